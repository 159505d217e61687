"""Attention supervised by human rationales: does it go where people point, and at what price?

    python benchmarks/rationales.py --data DATA [--seeds 3] [--only hatexplain movies]

HateXplain (Mathew et al. 2021) for several weights of the rationales on seed 0. A weight is chosen
there: the best macro-F1 among those whose attention agrees with people within 0.01 of the best.
Then all seeds with it, with the default weight and without, and movie reviews (ERASER) on seed 0.
The HateXplain models are also held against Toxic Spans, on which nothing was trained. Figures go to
`results/rationales.json`, and are not measured again.

Agreement is the area under the precision-recall curve of a text's tokens (by white space), averaged
over the texts that have a rationale: DeYoung et al. 2020, as used for HateXplain with the union of
the annotators' rationales. AUROC is that of HateXplain's own scorer, macro one-versus-one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import pandas as pd
from datasets import Dataset
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from hf_attn_attr import TrainingSettings, extract, load_labelled
from hf_attn_attr.data import LabelledTexts
from hf_attn_attr.training import fit

WEIGHTS = (0.0, 0.1, 1.0, 10.0, 100.0)
NORMAL = "normal"
Marks = list[np.ndarray]  # of each text, whether people marked its tokens


@dataclass(frozen=True)
class Case:
    """A data set; `truth` are rationales of the validation texts, by name."""

    train: LabelledTexts
    validation: LabelledTexts
    truth: dict[str, Marks]


def main() -> None:
    """Measure what is missing, print tables."""
    arguments = common.parser(__doc__).parse_args()
    chosen = arguments.only or ["hatexplain", "movies"]
    if "hatexplain" in chosen:
        case = hatexplain(arguments.data)
        for weight in WEIGHTS:
            measure("hatexplain", case, weight, 0, arguments)
        for seed in range(arguments.seeds):
            for weight in (0.0, TrainingSettings().attention_weight, best_weight()):
                measure("hatexplain", case, weight, seed, arguments)
    if "movies" in chosen:
        for weight in (0.0, best_weight()):
            measure("movies", movies(arguments.data), weight, 0, arguments)
    report()


def best_weight() -> float:
    """The weight that seed 0 on HateXplain chooses."""
    runs = {
        float(weight): found[0] for weight, found in common.load("rationales")["hatexplain"].items()
    }
    best = max(run["agreement"]["attention"]["union"] for run in runs.values())
    close = {
        w: run for w, run in runs.items() if run["agreement"]["attention"]["union"] > best - 0.01
    }
    return max(close, key=lambda weight: close[weight]["macro_f1"])


def measure(name: str, case: Case, weight: float, seed: int, arguments: Any) -> None:
    """Train and measure, unless the figures are there."""
    result = common.load("rationales") or {}
    runs = result.setdefault(name, {}).setdefault(f"{weight:g}", [])
    if len(runs) > seed:
        return
    trained = fit(
        case.train,
        case.validation,
        output_dir=arguments.work / f"rationales_{name}",
        preset="plain",
        settings=TrainingSettings(seed=seed, attention_weight=weight),
        progress=False,
    )
    columns = extract(case.validation.dataset, trained.model, trained.tokenizer)
    run = {
        "seed": seed,
        **trained.metrics,
        **auroc(columns, case.validation),
        "agreement": agreement(columns, case.truth, case.validation),
    }
    if name == "hatexplain":
        texts, truth = toxic_spans(arguments.data)
        elsewhere = extract(texts, trained.model, trained.tokenizer)
        run["toxic_spans"] = agreement(elsewhere, truth, None)
    runs.append(run)
    common.save("rationales", result)
    print(name, weight, run, flush=True)


def auroc(columns: Dataset, texts: LabelledTexts) -> dict[str, float]:
    """Areas under the ROC curve over several classes, and of toxic against normal."""
    probabilities, gold = np.array(columns["probabilities"][:]), np.array(texts.dataset["label"][:])
    if NORMAL not in texts.labels:
        return {"auroc": float(roc_auc_score(gold, probabilities[:, 1]))}
    normal = texts.labels.index(NORMAL)
    over = {
        name: float(roc_auc_score(gold, probabilities, multi_class=name, average="macro"))
        for name in ("ovo", "ovr")
    }
    toxic = float(roc_auc_score(gold != normal, -probabilities[:, normal]))
    return {"auroc": over["ovo"], "auroc_one_versus_rest": over["ovr"], "auroc_toxic": toxic}


def agreement(
    columns: Dataset, truth: dict[str, Marks], texts: LabelledTexts | None
) -> dict[str, dict[str, float]]:
    """AUPRC of each kind of score against each kind of rationale."""
    rng = np.random.default_rng(0)
    scores: dict[str, list[np.ndarray]] = {}
    for row, table in enumerate(columns):
        attribution = np.reshape(table["attribution"], (len(table["words"]), -1))
        centred = attribution - attribution.mean(1, keepdims=True)
        found = {
            "attention": np.array(table["attention"]),
            "contribution": centred[:, table["prediction"]],
        }
        if texts is not None:
            found["contribution_to_label"] = centred[:, texts.dataset[row]["label"]]
        for name, values in found.items():
            scores.setdefault(name, []).append(over_tokens(table, values))
        scores.setdefault("random", []).append(rng.random(len(token_spans(table["text"]))))
    return {
        name: {kind: mean_auprc(values, marks) for kind, marks in truth.items()}
        for name, values in scores.items()
    }


def token_spans(text: str) -> list[tuple[int, int]]:
    """Tokens by white space."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def over_tokens(row: dict[str, Any], scores: np.ndarray) -> np.ndarray:
    """Scores of our words summed over the tokens, as people saw them, in which they begin."""
    starts = [start for start, _ in token_spans(row["text"])]
    owner = np.searchsorted(starts, row["word_start"], side="right") - 1
    return np.bincount(owner, scores, len(starts))


def mean_auprc(scores: Sequence[np.ndarray], truth: Marks) -> float:
    """Mean over the texts with a rationale of the area under the precision-recall curve."""
    areas = []
    for found, marks in zip(scores, truth, strict=True):
        if marks.any():
            precision, recall, _ = precision_recall_curve(marks, found)
            areas.append(auc(recall, precision))
    return float(np.mean(areas))


def hatexplain(data: Path) -> Case:
    """Training on the union of the rationales; normal posts have none."""
    train, validation = (
        load_labelled(
            data / f"hatexplain_{split}.parquet",
            label_column="label",
            rationale_column="rationale_union",
        )
        for split in ("train", "validation")
    )
    table = pd.read_parquet(data / "hatexplain_validation.parquet")
    toxic = table["label"] != NORMAL
    truth = {
        kind: [
            _fitting(text, np.asarray(marks) > 0) & is_toxic
            for text, marks, is_toxic in zip(
                table["text"], table[f"rationale_{kind}"], toxic, strict=True
            )
        ]
        for kind in ("union", "majority")
    }
    return Case(train, validation, truth)


def movies(data: Path) -> Case:
    """Long reviews; rationales are runs of tokens."""
    tables = [
        pd.read_parquet(data / f"movies_{split}.parquet") for split in ("train", "validation")
    ]
    for table in tables:
        table["tokens"] = table["text"].str.split()
        table["rationale"] = [
            _inside(len(tokens), starts, ends).tolist()
            for tokens, starts, ends in zip(
                table["tokens"], table["rationale_starts"], table["rationale_ends"], strict=True
            )
        ]
    train, validation = (
        load_labelled(table, label_column="label", rationale_column="rationale") for table in tables
    )
    truth = [
        _fitting(text, np.array(marks))
        for text, marks in zip(tables[1]["text"], tables[1]["rationale"], strict=True)
    ]
    return Case(train, validation, {"union": truth})


def toxic_spans(data: Path) -> tuple[Dataset, dict[str, Marks]]:
    """Posts that were all judged toxic; a token is marked if one of its characters is."""
    table = pd.read_parquet(data / "toxic_spans_validation.parquet")
    truth = []
    for text, starts, ends in zip(
        table["text"], table["span_starts"], table["span_ends"], strict=True
    ):
        marked = _inside(len(text), starts, ends)
        truth.append(np.array([marked[a:b].any() for a, b in token_spans(text)]))
    return Dataset.from_dict({"text": table["text"].tolist()}), {"union": truth}


def _inside(length: int, starts: Sequence[int], ends: Sequence[int]) -> np.ndarray:
    marks = np.zeros(length, dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        marks[start:end] = True
    return marks


def _fitting(text: str, marks: np.ndarray) -> np.ndarray:
    if len(marks) != len(token_spans(text)):
        raise SystemExit(f"{text[:80]!r} has {len(token_spans(text))} tokens, {len(marks)} marks.")
    return marks


FIGURES = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "auroc_toxic": "AUROC, toxic vs normal",
}


def report() -> None:
    """Print the tables."""
    for name, weights in common.load("rationales").items():
        rows = []
        for weight, runs in weights.items():
            figures = [
                common.spread([run[key] for run in runs]) if key in runs[0] else ""
                for key in FIGURES
            ]
            rows.append((weight, str(len(runs)), *figures))
        common.show(name, ("weight", "seeds", *FIGURES.values()), rows)
        rows = [
            (
                weight,
                score,
                *(common.spread([run["agreement"][score][kind] for run in runs]) for kind in kinds),
            )
            for weight, runs in weights.items()
            for score, kinds in runs[0]["agreement"].items()
        ]
        kinds = next(iter(runs[0]["agreement"].values()))
        common.show(f"{name}: AUPRC against people", ("weight", "score", *kinds), rows)


if __name__ == "__main__":
    main()
