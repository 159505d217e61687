"""What each attribution method costs, beside other libraries, in batched forward passes.

    python benchmarks/attribution_cost.py --data DATA

All explain one MiniLM fine-tuned on SST (reused where `any_classifier.py` has made it), the same
validation sentences, all classes, on one thread. CPU time of text in, attributions out, divided by
that of one forward pass over the same texts, batched by length, which is timed before and after
each. Rounds are interleaved; the median counts. Equal for all: steps, baseline, padded tokens per
pass. captum is called with texts as they come, and with texts sorted by length for it. Ours is
also held against captum's terms, number by number. Results go to `results/attribution_cost.json`.

The peers are for this table alone; one that is not installed is left out and named:

    pip install --no-deps shap lime transformers-interpret numba llvmlite slicer scikit-image \
        lazy-loader imageio tifffile cloudpickle

(`--no-deps` because transformers-interpret pins an old ipython that it does not need here).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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

FEW = 2  # texts for the methods that sample


@dataclass(frozen=True)
class Arm:
    """One method of one library.

    Attributes:
        method: What is computed.
        by: Who computes it, and how it is called.
        run: From texts to terms.
        subject: Whose forward pass is the unit.
        texts: Explain so many texts alone, of all lengths; 0 for all.
    """

    method: str
    by: str
    run: Callable[[Sequence[str]], Terms]
    subject: Subject
    texts: int = 0


def main() -> None:
    """Measure, print a table."""
    options = common.parser(__doc__)
    options.add_argument(
        "--texts", type=int, default=40, help="validation sentences, spread evenly"
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--batch-tokens", type=int, default=1024)
    arguments = options.parse_args()
    found = tasks.load(tasks.TASKS["sst"], arguments.data)
    every = found.validation.dataset["text"][:]
    texts = [every[row] for row in np.linspace(0, len(every) - 1, arguments.texts).astype(int)]
    subject, ours = (
        Subject(*load_classifier(str(folder)), arguments.steps, arguments.batch_tokens)
        for folder in any_classifier.models("sst", found, arguments.work)
    )
    settings = {
        "texts": len(texts),
        "steps": arguments.steps,
        "tokens": arguments.batch_tokens,
        "captum_batch": other.CAPTUM_BATCH,
    }
    with one_thread():
        for result in measured(arms(subject, ours), texts, arguments.rounds):
            common.save("attribution_cost", settings | result)
    rows = [
        (one["method"], one["by"], f"{one['passes']:.1f}" if one["passes"] else one["missing"])
        for one in result["arms"]
    ]
    common.show("Cost in batched forward passes", ("method", "by", "passes"), rows)


def arms(subject: Subject, ours: Subject) -> list[Arm]:
    """What is measured, in order."""
    found = [Arm("contribution", "this package", partial(mine, ours, method="contribution"), ours)]

    def add(
        method: str, by: str, run: Callable[..., Terms], few: int = 0, /, **settings: Any
    ) -> None:
        found.append(Arm(method, by, partial(run, subject, **settings), subject, few))

    def mine_and_captum(name: str, captum: Callable[..., Terms], **options: Any) -> None:
        add(name, "this package", mine, method=name, **options)
        add(name, "captum", captum, batching=other.in_order)
        add(name, "captum, texts sorted for it", captum, batching=other.by_length)

    add("attention", "this package", mine, method="attention")
    add("attention_rollout", "this package", mine, method="attention_rollout")
    mine_and_captum("input_x_gradient", other.captum_input_x_gradient)
    mine_and_captum("occlusion", other.captum_feature_ablation)
    add("occlusion", "captum, one by one, all classes at once", other.captum_all_classes_at_once)
    mine_and_captum(
        "integrated_gradients",
        other.captum_integrated_gradients,
        steps=subject.steps,
        max_error=float("inf"),
    )
    add("integrated_gradients", "transformers-interpret", other.transformers_interpret)
    add(
        "integrated_gradients",
        "this package, more steps until the error is 1%",
        mine,
        method="integrated_gradients",
        steps=subject.steps,
    )
    add("shap", "shap, defaults (500 evaluations)", other.shap_text, FEW)
    add("shap", "shap, 50 evaluations, batched", other.shap_text, FEW, max_evals=50, batch_size=64)
    add("lime", "lime, defaults (5000 samples)", other.lime_text, FEW)
    add("lime", "lime, 100 samples", other.lime_text, FEW, num_samples=100)
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


def measured(arms: Sequence[Arm], texts: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
    """Passes of each arm and how far terms are from captum's, after each round."""
    ratios: list[list[float]] = [[] for _ in arms]
    missing: list[str | None] = [None] * len(arms)
    terms: dict[tuple[str, str], Terms] = {}
    for _ in range(rounds):
        for index, arm in enumerate(arms):
            if missing[index]:
                continue
            chosen = of_all_lengths(texts, arm.texts) if arm.texts else texts
            before, _ = seconds(arm.subject.logits, texts)
            try:
                spent, terms[arm.method, arm.by] = seconds(arm.run, chosen)
            except ImportError as error:
                missing[index] = f"not installed ({error.name})"
                continue
            after, _ = seconds(arm.subject.logits, texts)
            unit = (before + after) / 2 / len(texts)
            ratios[index].append(spent / len(chosen) / unit)
            print(f"{arm.method}, {arm.by}: {ratios[index][-1]:.1f}", flush=True)
        yield {
            "arms": [
                {
                    "method": arm.method,
                    "by": arm.by,
                    "passes": median(found) if found else None,
                    "rounds": found,
                    "texts": arm.texts or len(texts),
                    "missing": absent,
                }
                for arm, found, absent in zip(arms, ratios, missing, strict=True)
            ],
            "farthest_from_captum": {
                method: distance(terms[method, "this package"], theirs)
                for (method, by), theirs in terms.items()
                if by == "captum"
            },
        }


def of_all_lengths(texts: Sequence[str], number: int) -> list[str]:
    """So many of the texts: the middle ones of as many parts of like length."""
    parts = np.array_split(sorted(texts, key=len), number)
    return [str(part[len(part) // 2]) for part in parts]


def seconds(run: Callable[..., Any], texts: Sequence[str]) -> tuple[float, Any]:
    """CPU time of a call, and its result."""
    started = time.process_time()
    found = run(texts)
    return time.process_time() - started, found


def distance(ours: Terms, theirs: Terms) -> float:
    """Largest difference of any term, as a share of the largest term."""
    a, b = np.concatenate(ours or []), np.concatenate(theirs or [])
    return float(np.abs(a - b).max() / np.abs(b).max())


if __name__ == "__main__":
    main()
