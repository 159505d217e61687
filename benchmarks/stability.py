"""Stability: do other texts, and other seeds, rank the words alike?

    python benchmarks/stability.py --data DATA [--seeds 3] [--work runs]

Spearman correlation over words, mean over labels: between random halves of the validation texts (8
splits of each seed's columns), and between models that differ by their seed. On planted corpora
every seed has a corpus of its own, so only halves are compared. "listed": of the words that any of
the matrices lists among the 20 of a label by lower bound, the share that an average matrix lists.
"""

from typing import Any

import common
import pandas as pd
from datasets import Dataset
from held_out import columns_of

from hf_attn_attr import InfluenceMatrix, fold
from hf_attn_attr.evaluation.stability import (
    MEASURES,
    half_matrices,
    seed_agreement,
    selection_frequency,
)

SPLITS, LEAST = 8, (3, 10)
CORPORA = ("sst", "goemotions", "planted")


def main() -> None:
    """Measure, print a table, write `results/stability.json`."""
    arguments = common.parser(__doc__).parse_args()
    result: dict[str, Any] = {}
    for name in CORPORA:
        runs = [
            columns_of(name, seed, arguments.data, arguments.work, "validation")
            for seed in range(arguments.seeds)
        ]
        found = {"halves": [halves(columns) for columns in runs]}
        if name != "planted":
            found["seeds"] = [figures([fold(columns) for columns in runs])]
        result[name] = found
        print(name, found, flush=True)
    common.save("stability", result)
    keys = list(next(iter(result.values()))["halves"][0])
    common.show(
        "Spearman between halves and between seeds",
        ("corpus", "between", *keys),
        [
            (name, between, *(common.spread([one[key] for one in runs]) for key in keys))
            for name, found in result.items()
            for between, runs in found.items()
        ],
    )


def halves(columns: Dataset) -> dict[str, float]:
    """Means over the splits."""
    matrices = half_matrices(columns, splits=SPLITS)
    pairs = [figures(matrices[at : at + 2]) for at in range(0, len(matrices), 2)]
    return pd.DataFrame(pairs).mean().to_dict()


def figures(matrices: list[InfluenceMatrix]) -> dict[str, float]:
    """Agreement by measure, over words of at least so many texts, and stability of the lists."""
    found = {}
    for least in LEAST:
        table = seed_agreement(matrices, min_documents=least)
        means = table.groupby("measure")["spearman"].mean()
        found |= {f"{measure}, {least}+ texts": float(means[measure]) for measure in MEASURES}
    return found | {"listed": float(selection_frequency(matrices)["frequency"].mean())}


if __name__ == "__main__":
    main()
