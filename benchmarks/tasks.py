"""The data sets of the benchmarks: which files, which labels, which split."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hf_attn_attr import load_labelled
from hf_attn_attr.data import LabelledTexts, concatenate, hold_out

PHRASE_LABELS = {"0": "negative", "1": "negative", "2": "", "3": "positive", "4": "positive"}
HELD_OUT = 0.2  # of the data sets without a validation split, always the same texts


@dataclass(frozen=True)
class Task:
    """A data set.

    `goals` are the validation figures to reach, by arm of `quality.py`.
    """

    title: str
    files: str
    label_column: str
    goals: dict[str, float] = field(default_factory=dict)
    metric: str = "accuracy"
    phrases: bool = False
    sentiment: bool = False  # its words have human labels
    own_split: bool = True


@dataclass(frozen=True)
class Texts:
    """The texts of a task; `known` are all labelled training texts, `extra` included."""

    train: LabelledTexts
    validation: LabelledTexts
    extra: LabelledTexts | None
    known: LabelledTexts


TASKS = {
    "sst": Task(
        "SST-2, sentences only, accuracy",
        "sst",
        "polarity",
        goals={"scratch": 0.81, "distilled": 0.83},
        sentiment=True,
    ),
    "sst_phrases": Task(
        "SST-2, with phrases of two or more tokens, accuracy",
        "sst",
        "polarity",
        goals={"scratch": 0.845, "distilled": 0.86, "taught": 0.87},
        phrases=True,
        sentiment=True,
    ),
    "emotion": Task("emotion, accuracy", "emotion", "label_name", goals={"scratch": 0.935}),
    "goemotions": Task(
        "GoEmotions (28 labels), macro-F1",
        "goemotions",
        "labels",
        metric="macro_f1",
        goals={"scratch": 0.475, "distilled": 0.505},
    ),
    "ekman": Task(
        "GoEmotions (7 Ekman groups), macro-F1",
        "goemotions",
        "ekman",
        metric="macro_f1",
        goals={"scratch": 0.60, "distilled": 0.615},
    ),
    "hatexplain": Task(
        "HateXplain, macro-F1",
        "hatexplain",
        "label",
        metric="macro_f1",
        goals={"distilled": 0.65},
    ),
    "imdb": Task("IMDB, accuracy", "imdb", "label_name", goals={"scratch": 0.89}),
    "movies": Task("movie reviews, accuracy", "movies", "label"),
    "trec": Task("TREC-6, accuracy", "trec_train", "label", own_split=False),
    "ag_news": Task(
        "AG News (sample), accuracy",
        "ag_news_train_sample",
        "label_name",
        own_split=False,
    ),
}


def load(task: Task, data: Path) -> Texts:
    """Training and validation texts of a task."""
    if task.own_split:
        train, validation = (
            load_labelled(data / f"{task.files}_{split}.parquet", label_column=task.label_column)
            for split in ("train", "validation")
        )
    else:
        every = load_labelled(data / f"{task.files}.parquet", label_column=task.label_column)
        train, validation = hold_out(every, HELD_OUT, seed=0)
    extra = phrases(data, train) if task.phrases else None
    known = train if extra is None else concatenate(train, extra)
    return Texts(train, validation, extra, known)


def phrases(data: Path, train: LabelledTexts) -> LabelledTexts:
    """Labelled phrases of two tokens or more: single words carry the labels we validate against."""
    table = pd.read_parquet(data / "sst_phrases_train.parquet")
    return load_labelled(
        table[table["n_tokens"] >= 2],
        label_column="label5",
        label_map=PHRASE_LABELS,
        labels=train.labels,
    )
