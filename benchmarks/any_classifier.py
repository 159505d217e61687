"""Influence of a fine-tuned encoder beside that of our model, on the same validation texts.

    python benchmarks/any_classifier.py --data DATA [--only sst emotion]

MiniLM is fine-tuned (or reused where `quality.py` has done so) and folded by occlusion; our default
model by its exact contributions. Both matrices are held against the log-odds of the gold labels
and, on SST, against human labels of single words. Figures go to `results/any_classifier.json`.
"""

import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import peers
import tasks
import words
from scipy.stats import spearmanr
from tasks import TASKS, Texts

from examples.any_classifier import disagreements
from hf_attn_attr import AttributionExtractor, InfluenceMatrix, TrainingSettings
from hf_attn_attr.data import LabelledTexts
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.tokenization import words_of
from hf_attn_attr.workflow import RunResult, influence_of, run

ON = ("sst", "emotion")
LEAST = 5  # texts that hold a word, for two matrices to be compared on it
SHOWN = 8  # words named


def main() -> None:
    """Measure, print a table."""
    arguments = common.parser(__doc__).parse_args()
    result = common.load("any_classifier") or {}
    for name in arguments.only or ON:
        texts = tasks.load(TASKS[name], arguments.data)
        result[name] = measure(name, texts, arguments.data, arguments.work)
        common.save("any_classifier", result)
    for name, found in result.items():
        rows = [
            (model, *(f"{value:.4f}" for value in figures.values()))
            for model, figures in found["models"].items()
        ]
        columns = next(iter(found["models"].values()))
        common.show(TASKS[name].title, ("model", *columns), rows)
        print("Spearman of the two matrices:", f"{found['spearman']:.4f}")
        for one in found["disagreements"]:
            print("{word}, {label}: {influence:+.2f}, ours {influence_other:+.2f}".format(**one))


def measure(name: str, texts: Texts, data: Path, work: Path) -> dict[str, Any]:
    """Figures of both models on one task, and where they disagree."""
    validation = texts.validation
    tuned = fine_tuned(name, texts, work)
    extractor = AttributionExtractor(
        *load_classifier(work / f"{name}_finetuned"), method="occlusion"
    )
    started = time.perf_counter()
    _, theirs = influence_of(extractor, validation, output_dir=work / f"{name}_occlusion")
    occlusion_seconds = time.perf_counter() - started
    trained = trained_by_us(name, texts, work)
    ours = trained.matrix
    gold = log_odds(validation, ours.labels)
    humans = words.human_labels(data) if TASKS[name].sentiment else None
    return {
        "models": {
            "MiniLM, occlusion": figures(theirs, tuned.metrics["accuracy"], gold, humans),
            "ours, contribution": figures(ours, trained.training.metrics["accuracy"], gold, humans),
        },
        "spearman": agreement(ours, theirs),
        "occlusion_seconds": occlusion_seconds,
        "disagreements": disagreements(theirs, ours, LEAST).head(SHOWN).to_dict("records"),
    }


def fine_tuned(name: str, texts: Texts, work: Path) -> peers.Peer:
    """MiniLM fine-tuned on the task, in `work`; one that is there already is reused."""
    folder = work / f"{name}_finetuned"
    return peers.finetuned_encoder(texts.known, texts.validation, peers.minilm(), 0, folder)


def trained_by_us(name: str, texts: Texts, work: Path) -> RunResult:
    """Our default model, its matrix folded on the validation texts, in `work`."""
    return run(
        texts.train,
        texts.validation,
        extra_train=texts.extra,
        output_dir=work / f"{name}_contribution",
        preset="plain",
        settings=TrainingSettings(),
        progress=False,
    )


def models(name: str, texts: Texts, work: Path) -> tuple[Path, Path]:
    """Folders of the fine-tuned MiniLM and of our model, made where they are missing."""
    fine_tuned(name, texts, work)
    ours = work / f"{name}_contribution"
    if not (ours / "config.json").is_file():
        trained_by_us(name, texts, work)
    return work / f"{name}_finetuned", ours


def figures(
    matrix: InfluenceMatrix,
    accuracy: float,
    gold: dict[tuple[str, str], float],
    humans: dict[str, float] | None,
) -> dict[str, float]:
    """Accuracy, and Spearman of influence with gold log-odds and human word labels."""
    table = matrix.to_pandas()
    table = table[table["documents"] >= LEAST]
    found = {"accuracy": accuracy}
    pairs = [
        (influence, gold[word, label])
        for word, label, influence in zip(
            table["word"], table["label"], table["influence"], strict=True
        )
        if (word, label) in gold
    ]
    found["gold log-odds"] = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    if humans is not None:
        counts = matrix.count
        rows = [r for r, word in enumerate(matrix.words) if counts[r] >= 3 and word in humans]
        positive, negative = map(matrix.labels.index, ("positive", "negative"))
        difference = matrix.influence[rows, positive] - matrix.influence[rows, negative]
        human = [humans[matrix.words[row]] for row in rows]
        found["human labels"] = float(spearmanr(difference, human).statistic)
    return found


def log_odds(texts: LabelledTexts, labels: Any) -> dict[tuple[str, str], float]:
    """Log-odds of a word in texts of a label against others, half an occurrence added."""
    gold = np.array(texts.dataset["label"][:])
    counts: dict[str, np.ndarray] = {}
    for text, label in zip(texts.dataset["text"][:], gold, strict=True):
        for word in words_of(text):
            counts.setdefault(word, np.zeros(len(labels)))[label] += 1
    total = sum(counts.values())
    found = {}
    for word, count in counts.items():
        inside = np.log((count + 0.5) / (total - count + 0.5))
        others, all_others = count.sum() - count, total.sum() - total
        outside = np.log((others + 0.5) / (all_others - others + 0.5))
        for label, value in zip(labels, inside - outside, strict=True):
            found[word, label] = float(value)
    return found


def agreement(ours: InfluenceMatrix, theirs: InfluenceMatrix) -> float:
    """Spearman of the influences of both on words that `LEAST` texts or more hold."""
    table = theirs.compare(ours, min_documents=LEAST).dropna(subset="difference")
    return float(spearmanr(table["influence"], table["influence_other"]).statistic)


if __name__ == "__main__":
    main()
