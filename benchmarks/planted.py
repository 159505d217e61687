"""Planted truth: does the matrix recover word influences that are known?

    python benchmarks/planted.py [--seeds 3]

For each seed: a new corpus, a new model, and the matrix folded on the validation texts. Beside it
joint attention mass, and the accuracy of the Bayes rule and of logistic regression on words.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import common
import numpy as np
from datasets import Dataset

from hf_attn_attr.demo import (
    PlantedCorpus,
    bayes_accuracy,
    generate_planted_corpus,
    recovery,
)
from hf_attn_attr.demonstration import PLANTED, planted_texts
from hf_attn_attr.evaluation.linear import fit_linear
from hf_attn_attr.training import TrainingSettings
from hf_attn_attr.workflow import run

MEASURES = ("influence", "lower_bound", "joint")


def main() -> None:
    """Run, print tables, write `results/planted.json`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--work", type=Path, default=Path("runs"))
    arguments = options.parse_args()
    runs = [measure(seed, arguments.work) for seed in range(arguments.seeds)]
    common.save("planted", runs)
    common.show(
        "Accuracy on the validation texts",
        ("rule", f"{len(runs)} seeds"),
        [(name, common.spread([one["accuracy"][name] for one in runs])) for name in ACCURACY],
    )
    common.show(
        "Planted words whose attribution has the right sign in its text",
        ("occurrences", "share"),
        [(name, common.spread([one["signs"][name] for one in runs])) for name in runs[0]["signs"]],
    )
    common.show(
        "Recovery of the planted strengths",
        ("figure", *MEASURES),
        [
            (
                name,
                *(
                    common.spread([one["recovery"][measure_name][name] for one in runs])
                    for measure_name in MEASURES
                ),
            )
            for name in runs[0]["recovery"]["influence"]
        ],
    )


ACCURACY = ("bayes", "model", "logistic_regression")


def measure(seed: int, work: Path) -> dict[str, Any]:
    """Accuracies and recovery of one seed."""
    corpus = generate_planted_corpus(seed)
    train, validation = planted_texts(corpus)
    linear = fit_linear(train, validation, weighting="count", longest_ngram=1, words=str.split)
    result = run(
        train,
        validation,
        output_dir=work / f"planted_{seed}",
        config=PLANTED,
        settings=TrainingSettings(epochs=12, seed=seed),
        progress=False,
    )
    matrix = result.matrix
    return {
        "seed": seed,
        "accuracy": {
            "bayes": bayes_accuracy(corpus.validation),
            "model": result.training.metrics["accuracy"],
            "logistic_regression": linear.metrics["accuracy"],
        },
        "signs": right_signs(corpus, result.columns),
        "recovery": {
            name: asdict(recovery(matrix.words, getattr(matrix, name), corpus)) for name in MEASURES
        },
    }


def right_signs(corpus: PlantedCorpus, columns: Dataset) -> dict[str, float]:
    """Share of the planted words' occurrences whose attribution has the sign of the true effect.

    The effect of a word on the class it was planted for is its strength, turned round behind a
    negator; both sides are centred over the classes.
    """
    kind = dict(zip(corpus.words, corpus.kind, strict=True))
    own = dict(zip(corpus.words, np.abs(corpus.strength).argmax(1), strict=True))
    right: dict[str, list[bool]] = {"plain": [], "negated": []}
    for row in columns:
        words = row["words"]
        found = np.reshape(row["attribution"], (len(words), len(corpus.labels)))
        truth = corpus.effective_strength(row["text"])
        found, truth = (x - x.mean(1, keepdims=True) for x in (found, truth))
        for position, word in enumerate(words):
            if kind[word] == "planted":
                negated = position > 0 and kind[words[position - 1]] == "negator"
                same = found[position, own[word]] * truth[position, own[word]] > 0
                right["negated" if negated else "plain"].append(bool(same))
    return {name: float(np.mean(values)) for name, values in right.items()}


if __name__ == "__main__":
    main()
