"""A few hundred short English sentences with one emotion each, to try the package offline."""

import csv
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""The classes of both demonstration corpora, in label order."""

SENTENCES_LICENCE = "CC0-1.0"
"""The sentences are dedicated to the public domain."""


def load_sentences() -> "Dataset":
    """360 English sentences, 60 for each of `EMOTIONS`, read from the package without a network.

    They are written for this package as diary entries, chat, reviews and comments on the news, and
    are dedicated to the public domain (CC0 1.0): use them for anything. The classes alternate, so
    that any stretch of rows is balanced. Too few to compare models; enough to see every step work.

    Returns:
        A dataset with `text` (string) and `label` (ClassLabel over `EMOTIONS`).
    """
    from datasets import ClassLabel, Dataset, Features, Value

    table = files(__package__).joinpath("sentences.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(EMOTIONS))})
    return Dataset.from_dict(
        {"text": [row["text"] for row in rows], "label": [row["label"] for row in rows]},
        features=features,
    )
