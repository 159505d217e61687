"""Intervals: how often does a third of a corpus name the value of the whole?

    python benchmarks/interval_coverage.py --data DATA [--seeds 3] [--work runs]

Again and again a third of the texts is folded. Given that a word is in d of its D texts, these are
a random sample of the D, so its interval, narrowed by sqrt(1 - d/D) because the D are finitely many
(Cochran 1977, section 2.6), should hold the word's mean over all D texts in 95% of the samples.
Reported for each d, for the fifth of the words that are strongest in the whole corpus (those that
lists show), and for the cells called consistent. Words all of whose texts were drawn say nothing.
"""

from typing import Any

import common
import numpy as np
from datasets import Dataset
from held_out import columns_of
from scipy.stats import t

from hf_attn_attr import InfluenceMatrix, fold

BINS = ((3, 4), (5, 9), (10, 29), (30, 99), (100, None))
REPETITIONS, SHARE = 100, 1 / 3
CORPORA = (("sst", "train"), ("sst", "validation"), ("planted", "validation"))


def main() -> None:
    """Measure, print a table, write `results/coverage.json`."""
    arguments = common.parser(__doc__).parse_args()
    result = {}
    for name, split in CORPORA:
        seeds = range(arguments.seeds)
        runs = [columns_of(name, seed, arguments.data, arguments.work, split) for seed in seeds]
        result[f"{name} {split}"] = [covered(columns) for columns in runs]
        print(name, split, result[f"{name} {split}"], flush=True)
    common.save("coverage", result)
    common.show(
        "Coverage of 95% intervals by number of texts",
        ("corpus", "cells", *(title(*ends) for ends in BINS)),
        [
            (
                corpus,
                kind,
                *(common.spread([one[kind][i] for one in runs]) for i in range(len(BINS))),
            )
            for corpus, runs in result.items()
            for kind in ("all", "strongest fifth", "consistent")
        ],
    )


def title(least: int, most: int | None) -> str:
    """A bin in words."""
    return f"{least}+" if most is None else f"{least}-{most}"


def covered(columns: Dataset) -> dict[str, list[float]]:
    """Share of intervals that hold the truth, for each kind of cells and each bin of texts."""
    whole = fold(columns)
    rng = np.random.default_rng(0)
    size = round(SHARE * len(columns))
    held: dict[str, Any] = {}
    for _ in range(REPETITIONS):
        chosen = np.sort(rng.choice(len(columns), size, replace=False))
        for kind, counts in hits(fold(columns.select(chosen)), whole).items():
            held[kind] = held.get(kind, 0) + counts
    return {kind: (counts[:, 0] / counts[:, 1]).tolist() for kind, counts in held.items()}


def hits(part: InfluenceMatrix, whole: InfluenceMatrix) -> dict[str, np.ndarray]:
    """Intervals that hold the truth, and intervals, for each kind of cells: (bins, 2)."""
    rows = np.searchsorted(whole.words, part.words)
    d, every = part.document_count, whole.document_count[rows]
    truth = whole.mean[rows]
    margin = t.ppf(0.975, part.degrees_of_freedom)[:, None] * part.standard_error
    held = np.abs(part.mean - truth) <= margin * np.sqrt(1 - d / every)[:, None]
    found: dict[str, np.ndarray] = {}
    for least, most in BINS:
        inside = (d >= least) & (d <= (most or d.max())) & (d < every)
        strong = np.abs(truth) >= np.quantile(np.abs(truth[inside]), 0.8, axis=0)
        kinds = {
            "all": np.ones(held.shape, bool),
            "strongest fifth": strong,
            "consistent": part.evidence == "consistent",
        }
        for kind, cells in kinds.items():
            chosen = held[inside[:, None] & cells]
            found.setdefault(kind, []).append((chosen.sum(), chosen.size))
    return {kind: np.array(counts) for kind, counts in found.items()}


if __name__ == "__main__":
    main()
