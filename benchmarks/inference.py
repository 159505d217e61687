"""What attributions cost on top of the forward pass, and how near that pass is to its limit.

    python benchmarks/inference.py --data DATA [--rounds 7]

One model of 28 classes, trained for two epochs on GoEmotions, and the validation texts; one thread,
CPU seconds, arms interleaved, medians, as ratios. The limit of the forward pass is the time of its
matrix products alone, batch by batch in its own shapes, the recurrent ones step by step. bfloat16
is held against float32 by its effect on probabilities, attention and the influence matrix. Results
go to `results/inference.json`.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import common
import numpy as np
import torch
from datasets import Dataset, disable_caching, disable_progress_bars
from peers import one_thread
from scipy.stats import spearmanr
from tasks import TASKS, load
from torch import Tensor
from transformers import pipeline

from hf_attn_attr import InfluenceMatrix, TrainingSettings, extract, fold
from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.encoding import token_ids
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.training import train

BATCH = 32  # texts of a batch of `pipeline`, and of batches in random order
Batch = dict[str, Tensor]


def main() -> None:
    """Measure, print tables, write JSON."""
    options = common.parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    disable_caching()
    disable_progress_bars()
    folder = arguments.work / "inference"
    texts = load(TASKS["goemotions"], arguments.data)
    if not (folder / "config.json").is_file():
        settings = TrainingSettings(epochs=2)
        train(texts.train, texts.validation, output_dir=folder, settings=settings, progress=False)
    validation = texts.validation.dataset["text"][:]
    with one_thread():
        result = {
            "texts": len(validation),
            "seconds": seconds(folder, validation, arguments.rounds),
            "bfloat16": effect(folder, validation),
        }
    common.save("inference", result)
    report(result)


def seconds(folder: Any, texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every arm in every round."""
    model, tokenizer = load_classifier(folder)
    half, _ = load_classifier(folder)
    half = half.to(torch.bfloat16)
    small = six_classes(model)
    ids = token_ids(tokenizer, texts, model.config.max_length)
    budgeted = list(length_batches([len(text) for text in ids]))
    shuffled = np.random.default_rng(0).permutation(len(ids)).tolist()
    random = [shuffled[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    by_length, by_chance = (
        [padded([ids[row] for row in batch], tokenizer.pad_token_id) for batch in batches]
        for batches in (budgeted, random)
    )
    products = list(matrix_products(model.config, by_length))
    few = list(texts[: len(texts) // 2])
    classify = pipeline(
        "text-classification", model=model, tokenizer=tokenizer, batch_size=BATCH, top_k=None
    )
    dataset = Dataset.from_dict({"text": list(texts)})
    asked = {"output_attentions": True, "output_attributions": True}
    arms: dict[str, Callable[[], Any]] = {
        "forward, sorted by length": lambda: forward(model, by_length),
        "its matrix products alone": lambda: [product() for product in products],
        "forward with attention and attributions": lambda: forward(model, by_length, **asked),
        "6 classes: forward": lambda: forward(small, by_length),
        "6 classes: with attention and attributions": lambda: forward(small, by_length, **asked),
        "forward, random batches of 32": lambda: forward(model, by_chance),
        "forward in bfloat16": lambda: forward(half, by_length),
        "extract, text to Arrow": lambda: extract(dataset, model, tokenizer),
        "pipeline, batches of 32": lambda: classify(few),
    }
    for run in arms.values():
        run()
    measured: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            started = time.process_time()
            run()
            spent = time.process_time() - started
            share = len(texts) / len(few) if name.startswith("pipeline") else 1
            measured[name].append(spent * share)
    return measured


def six_classes(model: Any) -> Any:
    """The same model with a new head of 6 classes; what it says means nothing."""
    told = model.config.to_dict()
    for name in ("id2label", "label2id", "thresholds"):
        told.pop(name, None)
    config = model.config.__class__.from_dict({**told, "num_labels": 6})
    small = model.__class__(config).eval()
    small.gauge_texts.fill_(1)
    return small


@torch.inference_mode()
def forward(model: Any, batches: Sequence[Batch], **asked: bool) -> None:
    """The model over all batches."""
    for batch in batches:
        model(**batch, **asked)


def matrix_products(config: Any, batches: Sequence[Batch]) -> list[Callable[[], None]]:
    """For each batch a function that runs the products of its forward pass, on random numbers."""
    hidden, width = config.hidden_size, config.embedding_size
    gates = 4 * hidden  # of an LSTM
    weights = {
        "input": torch.randn(width, gates),
        "recurrent": torch.randn(hidden, gates),
        "attention": torch.randn(2 * hidden, config.attention_size),
    }

    def of(texts: int, tokens: int) -> Callable[[], None]:
        inputs = torch.randn(texts * tokens, width)
        states = torch.randn(texts * tokens, 2 * hidden)
        step = torch.randn(texts, hidden)

        @torch.inference_mode()
        def run() -> None:
            for _ in range(2):  # directions
                inputs @ weights["input"]
                for _ in range(tokens):
                    step @ weights["recurrent"]
            states @ weights["attention"]

        return run

    return [of(*batch["input_ids"].shape) for batch in batches]


def effect(folder: Any, texts: Sequence[str]) -> dict[str, float]:
    """What bfloat16 changes: largest and mean differences, rank agreement of the matrices."""
    matrices: list[InfluenceMatrix] = []
    columns = []
    for dtype in (torch.float32, torch.bfloat16):
        model, tokenizer = load_classifier(folder)
        columns.append(
            extract(Dataset.from_dict({"text": list(texts)}), model.to(dtype), tokenizer)
        )
        matrices.append(fold(columns[-1]))
    exact, rough = matrices
    found: dict[str, float] = {}
    for name in ("probabilities", "attention"):
        first, second = (np.concatenate(part[name][:]) for part in columns)
        found[f"{name}, largest"] = float(np.abs(first - second).max())
        found[f"{name}, mean"] = float(np.abs(first - second).mean())
    enough = exact.document_count >= 3
    found["influence, rank agreement"] = float(
        spearmanr(exact.influence[enough].ravel(), rough.influence[enough].ravel()).statistic
    )
    widths = np.subtract(*reversed(exact.interval(0.95)))[enough]
    shift = np.abs(exact.influence - rough.influence)[enough] / widths
    found["influence, median shift in widths of its interval"] = float(np.nanmedian(shift))
    overlaps = [
        len(set(exact.top_words(label, 20)["word"]) & set(rough.top_words(label, 20)["word"])) / 20
        for label in exact.labels
    ]
    found["top 20 words shared"] = float(np.mean(overlaps))
    return found


def report(result: dict[str, Any]) -> None:
    """Print what was measured."""
    middle = {name: median(values) for name, values in result["seconds"].items()}
    texts = result["texts"]
    unit = middle["forward, sorted by length"]
    common.show(
        f"{texts} GoEmotions texts, one thread",
        ["", "µs a text", "times the forward pass"],
        [
            (name, f"{1e6 * value / texts:.1f}", f"{value / unit:.2f}")
            for name, value in middle.items()
        ],
    )
    common.show(
        "bfloat16 against float32",
        ["", ""],
        [(name, f"{value:.2g}") for name, value in result["bfloat16"].items()],
    )


if __name__ == "__main__":
    main()
