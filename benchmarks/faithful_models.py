"""Which model is both right and right about itself? Values, gates and dropouts side by side.

    python benchmarks/faithful_models.py --data DATA [--seeds 3] [--tasks TASK ...]
        [--only VARIANT ...]

First the planted corpus, where the sign of a word's effect is known even behind a negator, then
SST-2 sentences, emotion and other data. Comprehensiveness is the mean fall of the predicted class's
probability when the top 1, 5, 10, 20 and 50% of a text's words are deleted (AOPC, DeYoung et al.
2020), on the first 300 validation texts; integrated gradients, at 50 passes and backward, are the
yardstick for contributions, at one. Seed 0 selects; the finalists go on to all seeds and to other
data. Figures go to `results/faithful_models.json`, and are not measured again.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import common
import numpy as np
import planted
import tasks
import torch
import words
from scipy.stats import spearmanr

from hf_attn_attr import TrainingSettings, extract, fold
from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.classifier import class_probabilities
from hf_attn_attr.data import LabelledTexts
from hf_attn_attr.demo import bayes_accuracy, generate_planted_corpus, recovery
from hf_attn_attr.demonstration import PLANTED, planted_texts
from hf_attn_attr.encoding import encode
from hf_attn_attr.training import TrainingResult, fit

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
TEXTS = 300
# Fields of the config; a teacher is another variant of the same task and seed.
GATED = {"value_source": "both_gated"}
VARIANTS: dict[str, dict[str, Any]] = {
    "both": {"value_source": "both", "context_dropout": 0.0},
    "both, context dropout 0.5": {"value_source": "both", "context_dropout": 0.5},
    "gate": {"value_source": "gate"},
    "gate, taught by both": {"value_source": "gate", "teacher": "both"},
    "both_gated": {**GATED, "context_dropout": 0.0},
    "both_gated, context dropout 0.2": {**GATED, "context_dropout": 0.2},
    "both_gated, context dropout 0.5": {**GATED, "context_dropout": 0.5},
    "both_gated, context dropout 0.8": {**GATED, "context_dropout": 0.8},
}
TASKS = ("planted", "sst", "emotion", "hatexplain", "trec", "ag_news")
SELECTING = ("planted", "sst")
FINALISTS = ("both", "gate", "both_gated, context dropout 0.5")


def main() -> None:
    """Measure what is missing, print a table."""
    options = common.parser(__doc__)
    options.add_argument("--tasks", nargs="*", choices=TASKS, default=TASKS)
    arguments = options.parse_args()
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for variant in arguments.only or (
                VARIANTS if seed == 0 and task in SELECTING else FINALISTS
            ):
                result = common.load("faithful_models") or {}
                runs = result.setdefault(task, {}).setdefault(variant, [])
                if len(runs) == seed:
                    runs.append(measure(task, variant, seed, arguments))
                    common.save("faithful_models", result)
                    print(task, variant, runs[-1], flush=True)
    report()


def measure(task: str, variant: str, seed: int, arguments: Any) -> dict[str, Any]:
    """Figures of one variant on one task."""
    if task != "planted":
        texts = tasks.load(tasks.TASKS[task], arguments.data)
        result = trained(task, variant, seed, texts.train, texts.validation, arguments.work)
        run = {"seed": seed, **result.metrics, "erasure": erasure(result)}
        if tasks.TASKS[task].sentiment:
            run["people"] = people(result, words.human_labels(arguments.data))
        return run
    corpus = generate_planted_corpus(seed)
    result = trained(task, variant, seed, *planted_texts(corpus), arguments.work)
    columns = extract(result.validation.dataset, result.model, result.tokenizer)
    matrix = fold(columns)
    return {
        "seed": seed,
        **result.metrics,
        "bayes": bayes_accuracy(corpus.validation),
        "signs": planted.right_signs(corpus, columns),
        "rho_own": recovery(matrix.words, matrix.influence, corpus).rho_own,
        "auc_noise": recovery(matrix.words, matrix.lower_bound, corpus).auc_noise,
        "erasure": erasure(result),
    }


def trained(
    task: str,
    variant: str,
    seed: int,
    train: LabelledTexts,
    validation: LabelledTexts,
    work: Path,
) -> TrainingResult:
    """The model of a variant, its teacher trained first if it has one."""
    config = dict(VARIANTS[variant])
    settings: dict[str, Any] = {"seed": seed}
    if teacher := config.pop("teacher", None):
        folder = work / "faithful_models_teacher"
        taught = trained(task, teacher, seed, train, validation, work)
        taught.model.save_pretrained(folder)
        taught.tokenizer.save_pretrained(folder)
        settings |= {"teacher": str(folder), "teacher_weight": 0.7}
    if task == "planted":
        config, settings = {**PLANTED, **config}, {**settings, "epochs": 12}
    return fit(
        train,
        validation,
        output_dir=work / "faithful_models",
        config=config,
        settings=TrainingSettings(**settings),
        progress=False,
    )


def people(result: TrainingResult, humans: dict[str, float]) -> float:
    """Spearman of influence, folded on validation texts, and human labels of single words."""
    matrix = fold(extract(result.validation.dataset, result.model, result.tokenizer))
    positive, negative = (matrix.labels.index(label) for label in ("positive", "negative"))
    polarity = matrix.influence[:, positive] - matrix.influence[:, negative]
    rows = [
        row for row, word in enumerate(matrix.words) if matrix.count[row] >= 3 and word in humans
    ]
    human = [humans[matrix.words[row]] for row in rows]
    return float(spearmanr(polarity[rows], human).statistic)


def erasure(result: TrainingResult) -> dict[str, float]:
    """Comprehensiveness of contributions, of attention and of integrated gradients."""
    model, tokenizer = result.model, result.tokenizer
    texts = result.validation.dataset.select(range(min(TEXTS, len(result.validation.dataset))))
    columns = extract(texts, model, tokenizer)
    gradients = extract(texts, model, tokenizer, method="integrated_gradients", classes="predicted")
    predicted = columns["prediction"][:]
    contribution = []
    for attribution, label in zip(columns["attribution"][:], predicted, strict=True):
        table = np.reshape(attribution, (-1, model.config.num_labels))
        contribution.append(table[:, label] - table.mean(1))
    scores = {
        "contribution": contribution,
        "attention": columns["attention"][:],
        "integrated_gradients": gradients["attribution"][:],
    }
    return {
        name: comprehensiveness(model, tokenizer, texts["text"][:], predicted, found)
        for name, found in scores.items()
    }


def comprehensiveness(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    predicted: Sequence[int],
    scores: Sequence[Any],
) -> float:
    """Mean fall of the predicted class's probability over the shares of words deleted."""
    encoded = encode(tokenizer, texts, model.config.max_length)
    every = np.arange(len(texts))
    full = probabilities(model, tokenizer, [text.ids for text in encoded])[every, predicted]
    falls = []
    for share in SHARES:
        left = []
        for text, found in zip(encoded, scores, strict=True):
            order = np.argsort(-np.asarray(found), kind="stable")
            gone = set(order[: ceil(share * len(text.spans))].tolist())
            left.append(
                [
                    token
                    for token, owner in zip(text.ids, text.owner, strict=True)
                    if owner not in gone
                ]
            )
        falls.append(full - probabilities(model, tokenizer, left)[every, predicted])
    return float(np.mean(falls))


@torch.inference_mode()
def probabilities(model: Any, tokenizer: Any, ids: list[list[int]]) -> np.ndarray:
    """Class probabilities of token ids."""
    found = np.zeros((len(ids), model.config.num_labels))
    for rows in length_batches(list(map(len, ids))):
        logits = model(**padded([ids[row] for row in rows], tokenizer.pad_token_id)).logits
        found[rows] = class_probabilities(logits.numpy(), "single_label_classification")
    return found


def report() -> None:
    """Print the table of each task."""
    for task, variants in common.load("faithful_models").items():
        rows = []
        for variant, runs in variants.items():
            kinds = (*runs[0]["erasure"], "ratio")
            for run in runs:
                erased = run["erasure"]
                erased["ratio"] = erased["contribution"] / erased["integrated_gradients"]
            cells = [common.spread([run["erasure"][kind] for run in runs], ".3f") for kind in kinds]
            if task == "planted":
                cells += [
                    common.spread([run["signs"][kind] for run in runs], ".3f")
                    for kind in ("plain", "negated")
                ]
                cells += [common.spread([run["rho_own"] for run in runs], ".3f")]
            if task == "sst":
                cells += [common.spread([run["people"] for run in runs], ".3f")]
            rows.append((variant, common.spread([run["accuracy"] for run in runs]), *cells))
        head = ["variant", "accuracy", "contribution", "attention", "IG", "ratio"]
        head += {"planted": ["signs", "negated", "rho"], "sst": ["people"]}.get(task, [])
        common.show(task, head, rows)


if __name__ == "__main__":
    main()
