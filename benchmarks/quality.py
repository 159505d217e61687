"""Quality, cost and size of the classifier and its peers on the same splits.

    python benchmarks/quality.py --data DATA [--seeds 3] [--arms scratch ...] [--only sst ...]

Arms: "scratch" is the default preset, "vectors" starts it from word vectors distilled from MiniLM;
"plain" and "distilled" are the same with preset `plain`, and "taught" also learns from a MiniLM
fine-tuned on the same labelled texts; "tfidf", "bag", "frozen" and "finetuned" are the peers of
`peers.py`. All are measured on the validation split; on SST the
influence is held against human labels of single words. The figures of an arm go to
`results/quality_TASK_ARM.json`, and are not measured again (`--again` does). The table of
`ablation.py` is printed below, where it is measured.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ablation
import common
import peers
import tasks
import torch
import words
from tasks import TASKS, Texts

from hf_attn_attr import TrainingSettings, extract, fold
from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.encoding import token_ids
from hf_attn_attr.evaluation.linear import LinearModel, fit_linear
from hf_attn_attr.loading import load_model
from hf_attn_attr.tokenization import save_tokenizer
from hf_attn_attr.training import fit

TEACHER_WEIGHT = 0.7
NGRAMS_IN_ALL = 70_000  # that the teacher labels, at least one of each text
SHIPPED = ("model.safetensors", "tokenizer.json")
# Peers that take long, and tasks whose texts have a teacher to learn from.
FINETUNED = ("sst", "sst_phrases", "emotion")


def main() -> None:
    """Measure what is missing, print a table for each task."""
    options = common.parser(__doc__)
    options.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    options.add_argument("--again", action="store_true", help="measure what is there anew")
    arguments = options.parse_args()
    for name in arguments.only or TASKS:
        texts = tasks.load(TASKS[name], arguments.data)
        for arm in arguments.arms:
            if arm in ("taught", "finetuned") and name not in FINETUNED:
                continue
            file = f"quality_{name}_{arm}"
            if arguments.again or common.load(file) is None:
                folder = arguments.work / f"{name}_{arm}"
                runs = ARMS[arm](name, texts, range(arguments.seeds), folder, arguments.data)
                common.save(file, runs)
                print(name, arm, runs, flush=True)
        report(name)
    if common.load("ablation"):
        ablation.report()


Runs = list[dict[str, Any]]  # of each seed


def ours(
    name: str,
    texts: Texts,
    seeds: range,
    folder: Path,
    data: Path,
    preset: str = "default",
    **settings: Any,
) -> Runs:
    """Train all seeds, then of each: quality, cost, and agreement with human word labels."""
    task = TASKS[name]
    started = time.perf_counter()
    result = fit(
        texts.train,
        texts.validation,
        extra_train=texts.extra,
        output_dir=folder,
        preset=preset,
        settings=TrainingSettings(seed=seeds[0], seeds=len(seeds), **settings),
        progress=False,
    )
    seconds = (time.perf_counter() - started) / len(seeds)
    counts = word_counts(texts) if task.sentiment else None
    runs: Runs = []
    for found in result.seeds:
        seed = int(found.pop("seed"))
        saved = folder / "checkpoints" / f"seed_{seed}" / "finished"
        save_tokenizer(result.tokenizer, str(saved))
        figures: dict[str, Any] = {
            "seed": seed,
            "metrics": found,
            "train_seconds": seconds,
            "seconds_per_text": seconds_per_text(saved, texts),
            "bytes": sum((saved / file).stat().st_size for file in SHIPPED),
        }
        if counts is not None:
            figures["words"] = word_figures(saved, data, texts, counts)
        runs.append(figures)
    return runs


def scratch(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:
    """The default preset."""
    return ours(name, texts, seeds, folder, data)


def plain(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:
    """Preset `plain`."""
    return ours(name, texts, seeds, folder, data, "plain")


def vectors(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:
    """The default preset with word vectors from MiniLM."""
    return ours(name, texts, seeds, folder, data, init_embeddings=str(peers.minilm()))


def distilled(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:
    """Preset `plain` with word vectors from MiniLM."""
    return ours(name, texts, seeds, folder, data, "plain", init_embeddings=str(peers.minilm()))


def taught(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:
    """Preset `plain` with word vectors, and a fine-tuned MiniLM as teacher, of n-grams too."""
    teacher = folder.parent / f"{name}_finetuned"
    finetuned(name, texts, seeds, teacher, data)
    return ours(
        name,
        texts,
        seeds,
        folder,
        data,
        "plain",
        init_embeddings=str(peers.minilm()),
        teacher=str(teacher),
        teacher_weight=TEACHER_WEIGHT,
        teacher_ngrams=max(1, round(NGRAMS_IN_ALL / len(texts.known.dataset))),
    )


def finetuned(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:  # noqa: ARG001
    """MiniLM fine-tuned, one seed; reused where it lies in `folder`."""
    encoder = peers.minilm()
    return [asdict(peers.finetuned_encoder(texts.known, texts.validation, encoder, 0, folder))]


def tfidf(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:  # noqa: ARG001
    """TF-IDF + logistic regression."""
    return [asdict(peers.tfidf(texts.known, texts.validation))]


def bag(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:  # noqa: ARG001
    """A bag of word and word-pair embeddings."""
    return [asdict(peers.bag_of_embeddings(texts.known, texts.validation, seed)) for seed in seeds]


def frozen(name: str, texts: Texts, seeds: range, folder: Path, data: Path) -> Runs:  # noqa: ARG001
    """Logistic regression on frozen MiniLM sentence embeddings."""
    return [asdict(peers.frozen_encoder(texts.known, texts.validation, peers.minilm()))]


ARMS: dict[str, Callable[[str, Texts, range, Path, Path], Runs]] = {
    "scratch": scratch,
    "plain": plain,
    "vectors": vectors,
    "distilled": distilled,
    "taught": taught,
    "tfidf": tfidf,
    "bag": bag,
    "frozen": frozen,
    "finetuned": finetuned,
}


def seconds_per_text(folder: Path, texts: Texts) -> float:
    """Seconds to classify a validation text on one thread, tokenisation included."""
    model, tokenizer = load_model(folder)

    @torch.inference_mode()
    def predict(batch: Any) -> Any:
        ids = token_ids(tokenizer, batch, model.config.max_length)
        for rows in length_batches(list(map(len, ids))):
            model(**padded([ids[row] for row in rows], tokenizer.pad_token_id))

    validation = texts.validation.dataset["text"][:]
    return peers.inference_seconds(predict, validation) / len(validation)


def word_counts(texts: Texts) -> LinearModel:
    """Logistic regression on word counts, whose coefficients are a peer of influence."""
    return fit_linear(
        texts.known, texts.validation, weighting="count", longest_ngram=1, regularisation=(1.0,)
    )


def word_figures(folder: Path, data: Path, texts: Texts, counts: LinearModel) -> dict[str, Any]:
    """Agreement with human word labels, folded on validation texts and on training sentences."""
    humans = words.human_labels(data)
    model, tokenizer = load_model(folder)
    return {
        name: words.word_agreement(fold(extract(part.dataset, model, tokenizer)), humans, counts)
        for name, part in (("validation", texts.validation), ("train", texts.train))
    }


def report(name: str) -> None:
    """Print the figures of one task."""
    task = TASKS[name]
    rows = []
    for arm in ARMS:
        runs = common.load(f"quality_{name}_{arm}")
        if runs:
            goal = task.goals.get(arm)
            rows.append(
                (
                    arm,
                    common.spread([one["metrics"][task.metric] for one in runs]),
                    "" if goal is None else f"{goal}",
                    common.spread([one["train_seconds"] for one in runs], ".0f"),
                    common.spread([1000 * one["seconds_per_text"] for one in runs], ".2f"),
                    common.spread([one["bytes"] / 1e6 for one in runs], ".1f"),
                )
            )
    common.show(task.title, ("arm", "validation", "goal", "train s", "ms/text", "MB"), rows)


if __name__ == "__main__":
    main()
