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

from hf_attn_attr.demo import bayes_accuracy, generate_planted_corpus, recovery
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
        "recovery": {
            name: asdict(recovery(matrix.words, getattr(matrix, name), corpus)) for name in MEASURES
        },
    }


if __name__ == "__main__":
    main()
