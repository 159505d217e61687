"""Labelled texts from anywhere (a Hub dataset, files, a table in memory) in one shape.

Rows are counted from 0 in messages. Null means missing: such rows are dropped and counted. NaN is
an error, except in a pandas table, where it is how null is written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    List,
    Value,
    concatenate_datasets,
)

from ..errors import IncompatibleError, InvalidInputError
from .classes import (
    Labels,
    ProblemType,
    check_contrast,
    choose_classes,
    encode,
    read_labels,
    renamed,
)
from .columns import choose_label_columns, choose_text_column
from .digest import CorpusDigest, json_lines
from .rationales import FEATURE as RATIONALE
from .rationales import Span, read_rationales
from .sources import Source, open_source, read_texts


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their labels, and where they came from.

    Attributes:
        dataset: Column `text` (string) and column `label`: ClassLabel, List(ClassLabel) for
            multi-label, float64 for regression. Without `label` where the source has none. With
            column `rationale` if asked for: spans {"start", "end", "weight"} of characters that
            people marked, null for a text without any.
        labels: Class names in the order of the class numbers; the target's name for regression;
            empty without labels.
        problem_type: As in transformers' configurations.
        source: File or folder name, Hub name with split, or "in memory"; never an absolute path.
        revision: Commit of the Hub dataset.
        rows_read: Rows of the source, before any were dropped.
        dropped: Rows dropped, by reason: "null text", "null label", "mapped to nothing".
        digest: SHA-256 of texts and label names in row order; the same content has the same digest
            whatever its file format or class order.
    """

    dataset: Dataset
    labels: tuple[str, ...]
    problem_type: ProblemType
    source: str
    revision: str | None
    rows_read: int
    dropped: dict[str, int]
    digest: str

    @property
    def labelled(self) -> bool:
        """Whether there is a `label` column."""
        return "label" in self.dataset.column_names

    @property
    def rationales(self) -> list[list[Span] | None]:
        """The rationale of each text, None where it has none."""
        if "rationale" not in self.dataset.column_names:
            return [None] * len(self.dataset)
        return self.dataset["rationale"][:]


def load_labelled(
    source: str | Path | Dataset | DatasetDict | pd.DataFrame,
    *,
    split: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_map: Mapping[str, str] | None = None,
    problem_type: ProblemType | None = None,
    labels: Sequence[str] | None = None,
    require_labels: bool = True,
    rationale_column: str | None = None,
) -> LabelledTexts:
    """Read texts and labels from `source`.

    A string is a path where something exists there or it looks like one (a data file's suffix, a
    leading `.`, `/` or `~`); else a Hub dataset, "name" or "name:configuration", which is the only
    thing that touches the network.

    How the label column is understood:
        - text, bool: classes, sorted by code point (by number where all are whole numbers);
        - whole numbers, also as floats: classes, named by the dataset's ClassLabel, else by a
          companion text column (`<label>_name(s)`, `label_name(s)`) that pairs one to one, else by
          the numbers themselves. -1 is missing where there is a ClassLabel, as is usual on the Hub;
        - other floats: regression;
        - lists of numbers or texts (JSON lists in csv): multi-label;
        - several columns of 0 and 1, named "a,b,c": multi-label, one class per column.

    In csv and tsv, an empty cell is null, a quoted empty cell is the empty text, every other cell
    of the text column is text as it stands ("null" and "NA" too), and the type of a label column
    follows from its cells.

    Rationales, which characters made people choose the label, are lists of character spans
    [[start, end], ...], or one number from 0 to 1 per word (0/1 marks, or the share of annotators)
    with the words beside them in a column `words` or `tokens`. Null, an empty list and zeros alone
    mean that the text has none.

    Args:
        source: Parquet, csv, tsv, json or jsonl file, a folder of them (split by file name, e.g.
            `train.csv`), a Hub name, or a table in memory.
        split: Split of a Hub dataset, a folder or a DatasetDict; default the only one, or "train".
            A single table has no splits and ignores it.
        text_column: Default: `text` or another common name, else the only column of text.
        label_column: Default: `label` or another common name; "" for none, if none is required.
        label_map: Renames labels, found by name or else by number; several may become one. To ""
            drops the row (multi-label: drops that label from the row). Keys that never occur are
            legal and, unless `labels` is given, warned about.
        problem_type: What the labels must be. "regression" reads whole numbers as targets.
        labels: Fixes the classes and their order, as a validation set needs; a regression target
            takes the one name given.
        require_labels: If False, a source without labels gives texts alone, and one class is
            enough.
        rationale_column: Column of human rationales, for attention to learn from. Default: none.

    Raises:
        InvalidInputError: If the source cannot be read or its content is not as described.
        NonFiniteError: If a number among the labels is NaN or infinite.
    """
    _check_arguments(label_map, problem_type, labels)
    opened = open_source(source, split)
    label_names = choose_label_columns(opened, label_column, text_column, require_labels)
    texts = read_texts(opened, choose_text_column(opened, text_column, label_names))
    found = read_labels(opened, label_names, problem_type) if label_names else None
    marked = read_rationales(opened, rationale_column, texts) if rationale_column else None
    if found is None or (not require_labels and all(value is None for value in found.values)):
        return _assemble(opened, texts, None, marked, *_keep(texts, None), (), problem_type)
    if label_map is not None:
        found = renamed(found, label_map, warn=labels is None)
    kept, dropped = _keep(texts, found)
    if require_labels and labels is None:
        check_contrast(found, kept, opened.name)
    classes = choose_classes(found, kept, labels, opened.name)
    return _assemble(opened, texts, found, marked, kept, dropped, classes, found.problem_type)


def label_counts(texts: LabelledTexts) -> np.ndarray:
    """Number of texts of each class, int64 (classes,); multi-label texts count once per label.

    Raises:
        InvalidInputError: If there are no classes (no labels, or regression).
    """
    _, classes = _row_class_pairs(texts)
    return np.bincount(classes, minlength=len(texts.labels)).astype(np.int64)


def label_indicators(texts: LabelledTexts) -> np.ndarray:
    """1 where the text has the class, else 0, float32 (texts, classes).

    Raises:
        InvalidInputError: If there are no classes (no labels, or regression).
    """
    rows, classes = _row_class_pairs(texts)
    indicators = np.zeros((len(texts.dataset), len(texts.labels)), dtype=np.float32)
    indicators[rows, classes] = 1.0
    return indicators


def concatenate(a: LabelledTexts, b: LabelledTexts) -> LabelledTexts:
    """The texts of `a`, then those of `b`; the digest is that of the joined content.

    Raises:
        IncompatibleError: If labels, their order, or problem types differ.
    """
    for name in ("labels", "problem_type", "labelled"):
        if getattr(a, name) != getattr(b, name):
            raise IncompatibleError(
                f"{a.source} has {name} {getattr(a, name)}, but {b.source} has "
                f"{getattr(b, name)}. Load the second with `labels` and `problem_type` of the "
                "first, and `label_map` where names differ."
            )
    dataset = concatenate_datasets([a.dataset, b.dataset])
    revisions = (a.revision, b.revision)
    return LabelledTexts(
        dataset=dataset,
        labels=a.labels,
        problem_type=a.problem_type,
        source=f"{a.source} + {b.source}",
        revision=" + ".join(r or "none" for r in revisions) if any(revisions) else None,
        rows_read=a.rows_read + b.rows_read,
        dropped=dict(Counter(a.dropped) + Counter(b.dropped)),
        digest=_digest(dataset, a.labels, a.problem_type),
    )


def hold_out(texts: LabelledTexts, share: float, seed: int) -> tuple[LabelledTexts, LabelledTexts]:
    """`texts` without a random `share` of its rows, and those rows.

    Rows dropped on reading are counted with the first part alone.

    Raises:
        InvalidInputError: If a part would be empty.
    """
    count = round(len(texts.dataset) * share)
    if not 0 < count < len(texts.dataset):
        raise InvalidInputError(
            f"A share of {share} of {len(texts.dataset)} texts leaves an empty part. Give "
            "validation texts, or more texts."
        )
    order = np.random.default_rng(seed).permutation(len(texts.dataset))
    return (
        _part(texts, np.sort(order[count:]), texts.source),
        replace(
            _part(texts, np.sort(order[:count]), f"{texts.source} (held out)"),
            rows_read=count,
            dropped={},
        ),
    )


def _part(texts: LabelledTexts, rows: np.ndarray, source: str) -> LabelledTexts:
    dataset = texts.dataset.select(rows)
    digest = _digest(dataset, texts.labels, texts.problem_type)
    return replace(texts, dataset=dataset, source=source, digest=digest)


def _row_class_pairs(texts: LabelledTexts) -> tuple[np.ndarray, np.ndarray]:
    """Row and class number of every label, both int64 (labels in all,)."""
    if not texts.labelled or texts.problem_type == "regression":
        raise InvalidInputError(
            f"{texts.source} has no classes to count: "
            f"{texts.problem_type if texts.labelled else 'it has no labels'}. Load classification "
            "labels."
        )
    column = texts.dataset.with_format("arrow")[:]["label"].combine_chunks()
    rows = np.arange(len(column))
    if texts.problem_type == "single_label_classification":
        return rows, column.to_numpy(zero_copy_only=False)
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    return np.repeat(rows, lengths), column.flatten().to_numpy(zero_copy_only=False)


def _check_arguments(
    label_map: Mapping[str, str] | None, problem_type: str | None, labels: Sequence[str] | None
) -> None:
    if problem_type not in (None, *get_args(ProblemType)):
        raise InvalidInputError(
            f"Unknown problem type {problem_type!r}. Use one of {', '.join(get_args(ProblemType))}."
        )
    if label_map is not None and not all(
        isinstance(part, str) for pair in label_map.items() for part in pair
    ):
        raise InvalidInputError(
            f"label_map {dict(label_map)!r} has keys or values that are no strings. Write numbers "
            'as strings too: {"0": "negative"}.'
        )
    if labels is not None and (
        isinstance(labels, str)
        or not labels
        or len(set(labels)) < len(labels)
        or not all(isinstance(name, str) and name for name in labels)
    ):
        raise InvalidInputError(
            f"labels is {labels!r}. Give the class names as a list of different, non-empty strings."
        )


def _keep(texts: list[str | None], found: Labels | None) -> tuple[list[int], dict[str, int]]:
    """Rows with a text and a label, and how many were dropped for each reason."""
    kept: list[int] = []
    dropped: Counter[str] = Counter()
    for row, text in enumerate(texts):
        label = found.values[row] if found else ["not asked for"]
        if text is None:
            dropped["null text"] += 1
        elif label is None:
            dropped["null label"] += 1
        # Without labels is a legal multi-label text: it has none of the classes.
        elif not label and found and found.problem_type == "single_label_classification":
            dropped["mapped to nothing"] += 1
        else:
            kept.append(row)
    if not kept:
        raise InvalidInputError(
            f"None of {len(texts)} rows is left (dropped: {dict(dropped)}). Choose other columns "
            "or another label_map."
        )
    return kept, dict(dropped)


def _assemble(
    opened: Source,
    texts: list[str | None],
    found: Labels | None,
    marked: list[list[Span] | None] | None,
    kept: list[int],
    dropped: dict[str, int],
    classes: tuple[str, ...],
    problem_type: ProblemType | None,
) -> LabelledTexts:
    problem_type = problem_type or "single_label_classification"
    columns: dict[str, list[Any]] = {"text": [texts[row] for row in kept]}
    features = Features({"text": Value("string")})
    if found is not None:
        columns["label"] = encode(found, kept, classes)
        features["label"] = _label_feature(problem_type, classes)
    if marked is not None:
        columns["rationale"] = [marked[row] for row in kept]
        features["rationale"] = RATIONALE
    dataset = Dataset.from_dict(columns, features=features)
    return LabelledTexts(
        dataset=dataset,
        labels=classes,
        problem_type=problem_type,
        source=opened.name,
        revision=opened.revision,
        rows_read=opened.rows,
        dropped=dropped,
        digest=_digest(dataset, classes, problem_type),
    )


def _label_feature(problem_type: ProblemType, classes: tuple[str, ...]) -> Any:
    if problem_type == "regression":
        return Value("float64")
    feature = ClassLabel(names=list(classes))
    return List(feature) if problem_type == "multi_label_classification" else feature


def _digest(dataset: Dataset, classes: tuple[str, ...], problem_type: ProblemType) -> str:
    digest = CorpusDigest(problem_type)
    for batch in dataset.with_format("arrow").iter(batch_size=10_000):
        columns = [batch["text"].to_pylist()]
        if "label" in batch.column_names:
            columns.append([_canonical(x, classes) for x in batch["label"].to_pylist()])
        digest.update(json_lines(*columns))
    return digest.hexdigest()


def _canonical(label: Any, classes: tuple[str, ...]) -> Any:
    if isinstance(label, list):
        return sorted(classes[i] for i in label)
    return label if isinstance(label, float) else classes[label]
