"""What each attribution method costs, beside other libraries, in batched forward passes.

    python benchmarks/attribution_cost.py --data DATA

All explain one MiniLM fine-tuned on SST (reused where `any_classifier.py` has made it), the same
validation sentences, all classes, on one thread. CPU time of text in, attributions out, divided by
that of one forward pass, batched by length, over as many tokens, which is timed before and after
each. Rounds are interleaved, each in a process and an order of its own; the median counts. Equal
for all: steps, baseline, padded tokens per pass. captum is called with texts as they come, and with
texts sorted by length for it. Ours is also held against captum's terms, number by number. Results
go to `results/attribution_cost.json`.

The peers are for this table alone; one that is not installed is left out and named:

    pip install --no-deps shap lime transformers-interpret numba llvmlite slicer scikit-image \
        lazy-loader imageio tifffile cloudpickle

(`--no-deps` because transformers-interpret pins an old ipython that it does not need here).
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import any_classifier
import attribution_peers as other
import common
import numpy as np
import tasks
from attribution_peers import Subject, Terms
from peers import one_thread

from hf_attn_attr import AttributionExtractor
from hf_attn_attr.loading import load_classifier

MANY, SOME, FEW = 128, 16, 1  # texts for methods of one pass, of many, and that sample
UNIT = 256  # texts of the forward pass that is the unit


@dataclass(frozen=True)
class Arm:
    """One method of one library.

    Attributes:
        method: What is computed.
        by: Who computes it, and how it is called.
        texts: How many to explain.
        run: From texts to terms.
        subject: Whose forward pass is the unit.
    """

    method: str
    by: str
    texts: int
    run: Callable[[Sequence[str]], Terms]
    subject: Subject


def main() -> None:
    """Measure, print a table."""
    options = common.parser(__doc__)
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--batch-tokens", type=int, default=1024)
    arguments = options.parse_args()
    found = tasks.load(tasks.TASKS["sst"], arguments.data)
    models = any_classifier.models("sst", found, arguments.work)
    texts = found.validation.dataset["text"][:]
    shared = (arguments.steps, arguments.batch_tokens)
    rounds = []
    for number in range(arguments.rounds):
        # In a process of its own: where memory lies can slow a method by half, always the same one.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            rounds.append(process.submit(measure, models, shared, texts, number).result())
        result = {
            "steps": arguments.steps,
            "tokens": arguments.batch_tokens,
            "captum_batch": other.CAPTUM_BATCH,
            "arms": [together(same) for same in zip(*(one["arms"] for one in rounds), strict=True)],
            "farthest_from_captum": rounds[-1]["farthest_from_captum"],
        }
        common.save("attribution_cost", result)
    rows = [
        (one["method"], one["by"], f"{one['passes']:.1f}" if one["passes"] else one["missing"])
        for one in result["arms"]
    ]
    common.show("Cost in batched forward passes", ("method", "by", "passes"), rows)


def together(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One arm over the rounds: the median of its passes."""
    passes = [one["passes"] for one in rounds if one["passes"]]
    return rounds[0] | {"passes": median(passes) if passes else None, "rounds": passes}


def arms(subject: Subject, ours: Subject) -> list[Arm]:
    """What is measured, in order."""
    found = [
        Arm("contribution", "this package", MANY, partial(mine, ours, method="contribution"), ours)
    ]

    def add(
        method: str, by: str, texts: int, run: Callable[..., Terms], /, **settings: Any
    ) -> None:
        found.append(Arm(method, by, texts, partial(run, subject, **settings), subject))

    def mine_and_captum(
        method: str, texts: int, captum: Callable[..., Terms], rows: int, /, **options: Any
    ) -> None:
        add(method, "this package", texts, mine, method=method, **options)
        add(method, "captum", texts, captum, batching=other.in_order)
        grouped = partial(other.by_length, rows=rows)
        add(method, "captum, texts sorted for it", texts, captum, batching=grouped)

    add("attention", "this package", MANY, mine, method="attention")
    add("attention_rollout", "this package", MANY, mine, method="attention_rollout")
    mine_and_captum("input_x_gradient", MANY, other.captum_input_x_gradient, 1)
    mine_and_captum("occlusion", SOME, other.captum_feature_ablation, other.ROWS)
    alone = "captum, one by one, all classes at once"
    add("occlusion", alone, SOME, other.captum_all_classes_at_once)
    mine_and_captum(
        "integrated_gradients",
        SOME,
        other.captum_integrated_gradients,
        other.ROWS,
        steps=subject.steps,
        max_error=float("inf"),
    )
    add("integrated_gradients", "transformers-interpret", SOME, other.transformers_interpret)
    for by, settings in (
        ("shap, defaults (500 evaluations)", {}),
        ("shap, 50 evaluations, batched", {"max_evals": 50, "batch_size": 64}),
    ):
        add("shap", by, FEW, other.shap_text, **settings)
    add("lime", "lime, defaults (5000 samples)", FEW, other.lime_text)
    add("lime", "lime, 100 samples", FEW, other.lime_text, num_samples=100)
    return found


def mine(subject: Subject, texts: Sequence[str], *, method: str, **options: Any) -> Terms:
    """Columns of this package, as `extract` writes them."""
    extractor = AttributionExtractor(
        subject.model, subject.tokenizer, method, context=False,
        batch_tokens=subject.batch_tokens, options=options,
    )  # fmt: skip
    table = extractor.table(texts)
    if table["attribution"].null_count:  # attention has no sign and no class
        return None
    classes = len(subject.classes)
    return [np.reshape(one, (-1, classes)) for one in table["attribution"].to_pylist()]


def measure(
    models: Sequence[Path], shared: tuple[int, int], texts: Sequence[str], seed: int
) -> dict[str, Any]:
    """One round: passes of each arm, in an order by `seed`, and how far terms are from captum's."""
    found: dict[int, dict[str, Any]] = {}
    terms: dict[tuple[str, str], Terms] = {}
    with one_thread():
        every = list(enumerate(arms(*(Subject(*load_classifier(one), *shared) for one in models))))
        for index, arm in random.Random(seed).sample(every, len(every)):
            chosen = spread_evenly(texts, arm.texts)
            passes, missing = None, None
            try:
                before = forward_seconds(arm.subject, texts)
                started = time.process_time()
                terms[arm.method, arm.by] = arm.run(chosen)
                spent = time.process_time() - started
                unit = (before + forward_seconds(arm.subject, texts)) / 2
                passes = spent / arm.subject.tokens(chosen) / unit
                print(f"{arm.method}, {arm.by}: {passes:.1f}", flush=True)
            except ImportError as error:
                missing = f"not installed ({error.name})"
            found[index] = {
                "method": arm.method,
                "by": arm.by,
                "texts": arm.texts,
                "passes": passes,
                "missing": missing,
            }
    farthest = {
        method: distance(terms[method, "this package"], theirs)
        for (method, by), theirs in terms.items()
        if by == "captum"
    }
    return {
        "arms": [found[index] for index in sorted(found)],
        "farthest_from_captum": farthest,
    }


def spread_evenly(texts: Sequence[str], number: int) -> list[str]:
    """So many of the texts, in their order; the middle one if it is one."""
    edges = np.linspace(0, len(texts), number + 1)
    return [texts[int(middle)] for middle in (edges[:-1] + edges[1:]) / 2]


def forward_seconds(subject: Subject, texts: Sequence[str]) -> float:
    """CPU time of a batched forward pass, per token."""
    chosen = spread_evenly(texts, UNIT)
    started = time.process_time()
    subject.logits(chosen)
    return (time.process_time() - started) / subject.tokens(chosen)


def distance(ours: Terms, theirs: Terms) -> float:
    """Largest difference of any term, as a share of the largest term."""
    a, b = np.concatenate(ours or []), np.concatenate(theirs or [])
    return float(np.abs(a - b).max() / np.abs(b).max())


if __name__ == "__main__":
    main()
