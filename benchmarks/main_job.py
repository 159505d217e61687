"""The main job on real data: quality beside TF-IDF + logistic regression, and human word labels.

    python benchmarks/main_job.py --data DATA [--seeds 3] [--only sst sst_phrases] [--peers]

For each data set and seed: train on the train split, measure on the validation split. On SST the
influence folded on the validation texts is held against the human labels of single words, beside
the coefficients of logistic regression. Peers are fitted on the same training texts, phrases
included. `--peers` keeps the trainings of an earlier call and measures the rest anew.
"""

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata, spearmanr

from hf_attn_attr import InfluenceMatrix, TrainingSettings, extract, fold, load_labelled
from hf_attn_attr.data import LabelledTexts, concatenate
from hf_attn_attr.evaluation.linear import LinearModel, fit_linear
from hf_attn_attr.loading import load_model
from hf_attn_attr.workflow import run

PHRASE_LABELS = {"0": "negative", "1": "negative", "2": "", "3": "positive", "4": "positive"}


@dataclass(frozen=True)
class Task:
    """A data set, how to train on it, and the goal for its main metric."""

    files: str
    label_column: str
    goal: float
    settings: dict[str, Any] = field(default_factory=dict)
    phrases: bool = False
    word_labels: bool = False


TASKS = {
    "sst": Task("sst", "polarity", 0.80, word_labels=True),
    "emotion": Task("emotion", "label_name", 0.92),
    "sst_phrases": Task(
        "sst",
        "polarity",
        0.83,
        {"batch_size": 64, "epochs": 4, "patience": 2},
        phrases=True,
        word_labels=True,
    ),
    "goemotions": Task("goemotions", "labels", 0.44, {"batch_size": 64, "epochs": 7}),
    "imdb": Task("imdb", "label_name", 0.87, {"epochs": 2}),
}


def main() -> None:
    """Run all tasks, print tables, write `results/main_job_TASK.json`."""
    options = common.parser(__doc__)
    options.add_argument("--first-seed", type=int, default=0)
    options.add_argument("--peers", action="store_true", help="keep earlier trainings")
    arguments = options.parse_args()
    for name in arguments.only or TASKS:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        earlier = common.load(f"main_job_{name}")["runs"] if arguments.peers else []
        result = measure(TASKS[name], name, arguments.data, arguments.work, list(seeds), earlier)
        common.save(f"main_job_{name}", result)
        report(name, result)


def measure(
    task: Task,
    name: str,
    data: Path,
    work: Path,
    seeds: list[int],
    earlier: list[dict[str, Any]],
) -> dict[str, Any]:
    """All figures of one task; trainings that `earlier` has figures of are loaded from `work`."""
    train, validation = (
        load_labelled(data / f"{task.files}_{split}.parquet", label_column=task.label_column)
        for split in ("train", "validation")
    )
    extra = phrases(data, train) if task.phrases else None
    known = train if extra is None else concatenate(train, extra)
    started = time.perf_counter()
    linear = fit_linear(known, validation)
    linear_seconds = time.perf_counter() - started
    runs = []
    for seed in seeds:
        folder = work / f"{name}_{seed}"
        figures = next((one for one in earlier if one["seed"] == seed), None)
        if figures is None:
            started = time.perf_counter()
            result = run(
                train,
                validation,
                extra_train=extra,
                output_dir=folder,
                settings=TrainingSettings(seed=seed, **task.settings),
                progress=False,
            )
            figures = {
                "seed": seed,
                "seconds": time.perf_counter() - started,
                **result.training.metrics,
                "epochs": len(result.training.history),
            }
        if task.word_labels:
            figures |= word_figures(folder, data, known, validation)
        print(name, figures, flush=True)
        runs.append(figures)
    return {
        "goal": task.goal,
        "metric": next(iter(runs[0].keys() & {"accuracy"}), "macro_f1"),
        "linear": {**linear.metrics, "seconds": linear_seconds, "C": linear.regularisation},
        "runs": runs,
    }


def phrases(data: Path, train: LabelledTexts) -> LabelledTexts:
    """Labelled phrases of two tokens or more: single words carry the labels we validate against."""
    table = pd.read_parquet(data / "sst_phrases_train.parquet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sst_phrases_two_or_more.parquet"
        table[table["n_tokens"] >= 2].to_parquet(path)
        return load_labelled(
            path, label_column="label5", label_map=PHRASE_LABELS, labels=train.labels
        )


def human_labels(data: Path) -> dict[str, float]:
    """Mean human sentiment of single words, -1 to 1."""
    names = ("train", "validation_only")
    tables = [
        pd.read_csv(data / f"sst_word_sentiment_{name}.csv", keep_default_na=False)
        for name in names
    ]
    table = pd.concat(tables)
    return dict(zip(table["word"], table["mean_label"].astype(float), strict=True))


def word_figures(
    folder: Path, data: Path, train: LabelledTexts, validation: LabelledTexts
) -> dict[str, Any]:
    """Agreement with human word labels, as published and with the gauge left at zero."""
    humans = human_labels(data)
    counts = fit_linear(
        train, validation, weighting="count", longest_ngram=1, regularisation=(1.0,)
    )
    model, tokenizer = load_model(folder)
    with torch.no_grad():
        model.gauge_word.zero_()
        model.gauge_context.zero_()
    ungauged = fold(extract(validation.dataset, model, tokenizer))
    return {
        "words": word_agreement(InfluenceMatrix.from_pretrained(folder), humans, counts),
        "words_without_gauge": word_agreement(ungauged, humans, counts),
    }


def word_agreement(
    matrix: InfluenceMatrix, humans: dict[str, float], linear: LinearModel, least: int = 3
) -> dict[str, Any]:
    """Spearman with human labels of words that occur `least` times or more in the folded texts."""
    row_of = {word: row for row, word in enumerate(matrix.words)}
    column_of = {word: column for column, word in enumerate(linear.words)}
    words = [
        word
        for word, row in row_of.items()
        if matrix.count[row] >= least and word in humans and word in column_of
    ]
    rows = [row_of[word] for word in words]
    positive, negative = (matrix.labels.index(label) for label in ("positive", "negative"))

    def difference(values: np.ndarray) -> np.ndarray:
        return values[rows, positive] - values[rows, negative]

    human = np.array([humans[word] for word in words])
    scores = {
        "influence": difference(matrix.influence),
        "lower_bound": difference(matrix.lower_bound),
        "word_part": difference(matrix.word_part),
        "p_class_given_word": difference(matrix.p_class_given_word),
        "joint": difference(matrix.joint),
        "logistic_regression": np.array([linear.coefficients[1, column_of[w]] for w in words]),
    }
    found = {name: float(spearmanr(score, human).statistic) for name, score in scores.items()}
    found["words"] = len(words)
    for other in ("logistic_regression", "p_class_given_word"):
        low, high = bootstrap_difference(scores["influence"], scores[other], human)
        found[f"minus_{other}"] = found["influence"] - found[other]
        found[f"minus_{other}_low"], found[f"minus_{other}_high"] = low, high
    return found


def bootstrap_difference(
    a: np.ndarray, b: np.ndarray, truth: np.ndarray, replicates: int = 2000
) -> tuple[float, float]:
    """95% percentile interval of Spearman(a, truth) - Spearman(b, truth), resampling words."""
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(replicates):
        chosen = rng.integers(len(truth), size=len(truth))
        ranks = [rankdata(values[chosen]) for values in (a, b, truth)]
        differences.append(
            np.corrcoef(ranks[0], ranks[2])[0, 1] - np.corrcoef(ranks[1], ranks[2])[0, 1]
        )
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def report(name: str, result: dict[str, Any]) -> None:
    """Print the figures of one task."""
    metric, runs = result["metric"], result["runs"]
    rows = [
        (f"{metric}, goal {result['goal']}", common.spread([one[metric] for one in runs])),
        (f"{metric} of TF-IDF + logistic regression", f"{result['linear'][metric]:.4f}"),
        ("seconds for the whole job", common.spread([one["seconds"] for one in runs])),
    ]
    if "words" in runs[0]:
        for measure_name in runs[0]["words"]:
            values = [one["words"][measure_name] for one in runs]
            bare = [one["words_without_gauge"][measure_name] for one in runs]
            rows.append(
                (
                    f"human word labels: {measure_name}",
                    f"{common.spread(values)} (without gauge {common.spread(bare)})",
                )
            )
    common.show(name, ("figure", f"{len(runs)} seeds"), rows)


if __name__ == "__main__":
    main()
