"""Labelled texts read from every kind of source, and every bad input turned away."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr.data import (
    LabelledTexts,
    concatenate,
    label_counts,
    label_indicators,
    load_labelled,
)
from hf_attn_attr.errors import IncompatibleError, InvalidInputError, NonFiniteError

SINGLE = "single_label_classification"
MULTI = "multi_label_classification"
Table = dict[str, list[Any]]


def write_parquet(path: Path, table: Table) -> None:
    pq.write_table(pa.table(table), path)


def write_csv(path: Path, table: Table, delimiter: str = ",") -> None:
    cells = {
        name: [json.dumps(x) if isinstance(x, list) else x for x in column]
        for name, column in table.items()
    }
    pa_csv.write_csv(pa.table(cells), path, pa_csv.WriteOptions(delimiter=delimiter))


def write_tsv(path: Path, table: Table) -> None:
    write_csv(path, table, "\t")


def records(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def write_jsonl(path: Path, table: Table) -> None:
    lines = [json.dumps(record, ensure_ascii=False) for record in records(table)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path: Path, table: Table) -> None:
    path.write_text(json.dumps(records(table), indent=1), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "texts.parquet": write_parquet,
    "texts.csv": write_csv,
    "texts.tsv": write_tsv,
    "texts.jsonl": write_jsonl,
    "texts.json": write_json,
}


def rows(texts: LabelledTexts) -> list[tuple[str, Any]]:
    """Text and label of each row, the label in names."""
    features = texts.dataset.features["label"]
    named = {
        SINGLE: lambda x: features.int2str(x),
        MULTI: lambda x: [features.feature.int2str(i) for i in x],
        "regression": lambda x: x,
    }[texts.problem_type]
    return [(row["text"], named(row["label"])) for row in texts.dataset]


NASTY_NAMES = ["joy", "null", "NA", "nan", "007", "a,b", 'say "hi"', "two\nlines", "é", " x "]
TEXTS = st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["", "NA", "null", "1", "true"]))
CELLS = {
    "names": (st.sampled_from(NASTY_NAMES), ["joy", "null"]),
    "numbers": (st.integers(-12, 12), [3, -3]),
    "bools": (st.booleans(), [True, False]),
    "floats": (st.floats(-1e9, 1e9), [0.5, 0.25]),
    "name lists": (st.lists(st.sampled_from(NASTY_NAMES), max_size=3), [["joy"], ["null"]]),
    "number lists": (st.lists(st.integers(0, 5), max_size=3, unique=True), [[1], [2]]),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of one kind of label, with at least two rows that are kept."""
    cells, first = CELLS[draw(st.sampled_from(sorted(CELLS)))]
    drawn = draw(st.lists(st.tuples(TEXTS, st.one_of(st.none(), cells)), max_size=8))
    pairs = [*zip(("first", "second"), first, strict=True), *drawn]
    return {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}


@settings(max_examples=30)
@given(tables())
def test_every_file_format_gives_the_same_texts_and_digest(table: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loaded = []
        for name, write in WRITERS.items():
            write(Path(folder) / name, table)
            loaded.append(load_labelled(Path(folder) / name))
    loaded.append(load_labelled(Dataset.from_dict(table)))
    first = loaded[0]
    for other in loaded[1:]:
        assert rows(other) == rows(first)
        assert (other.digest, other.labels, other.problem_type, other.dropped) == (
            first.digest,
            first.labels,
            first.problem_type,
            first.dropped,
        )
        assert other.dataset.features == first.dataset.features


@settings(max_examples=30)
@given(tables())
def test_rows_are_kept_in_order_or_counted_as_dropped(table: Table) -> None:
    loaded = load_labelled(Dataset.from_dict(table))
    kept = [
        text
        for text, label in zip(*table.values(), strict=True)
        if text is not None and label is not None
    ]
    assert loaded.dataset["text"][:] == kept
    assert loaded.rows_read == len(table["text"]) == len(kept) + sum(loaded.dropped.values())
    assert loaded.dropped.get("null text", 0) == table["text"].count(None)


@settings(max_examples=25)
@given(tables(), st.data())
def test_digest_changes_with_any_text_or_label_and_with_the_order(
    table: Table, data: st.DataObject
) -> None:
    digest = load_labelled(Dataset.from_dict(table)).digest
    changed = {name: list(column) for name, column in table.items()}
    if data.draw(st.booleans()):
        changed["text"][0] += "!"
    else:
        changed["label"][:2] = changed["label"][1::-1]
    assert load_labelled(Dataset.from_dict(changed)).digest != digest


@settings(max_examples=25)
@given(tables(), tables())
def test_concatenation_is_the_content_of_both(first: Table, second: Table) -> None:
    a = load_labelled(Dataset.from_dict(first))
    try:
        b = load_labelled(Dataset.from_dict(second), labels=a.labels, problem_type=a.problem_type)
    except InvalidInputError:
        return
    both = concatenate(a, b)
    assert rows(both) == rows(a) + rows(b)
    assert both.rows_read == a.rows_read + b.rows_read
    assert sum(both.dropped.values()) == sum(a.dropped.values()) + sum(b.dropped.values())
    joined = {name: first[name] + second[name] for name in first}
    whole = load_labelled(Dataset.from_dict(joined), labels=a.labels, problem_type=a.problem_type)
    assert both.digest == whole.digest


@settings(max_examples=30)
@given(tables())
def test_counts_are_the_sums_of_the_indicators(table: Table) -> None:
    loaded = load_labelled(Dataset.from_dict(table))
    if loaded.problem_type == "regression":
        with pytest.raises(InvalidInputError, match="no classes"):
            label_counts(loaded)
        return
    indicators = label_indicators(loaded)
    assert indicators.dtype == np.float32
    assert indicators.shape == (len(loaded.dataset), len(loaded.labels))
    assert label_counts(loaded).tolist() == indicators.sum(axis=0).tolist()
    for marks, (_, label) in zip(indicators, rows(loaded), strict=True):
        named = {loaded.labels[i] for i in np.flatnonzero(marks)}
        assert named == (set(label) if loaded.problem_type == MULTI else {label})


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from("abcd"), min_size=4, max_size=12),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x", "y", "a", ""])),
)
def test_a_label_map_is_the_same_as_labels_renamed_beforehand(
    labels: list[str], label_map: dict[str, str]
) -> None:
    texts = [f"text {i}" for i in range(len(labels))]
    new = [label_map.get(label, label) for label in labels]
    if len({*new} - {""}) < 2:
        return
    beforehand = Dataset.from_dict(
        {"text": [t for t, x in zip(texts, new, strict=True) if x], "label": [x for x in new if x]}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapped = load_labelled(
            Dataset.from_dict({"text": texts, "label": labels}), label_map=label_map
        )
    expected = load_labelled(beforehand)
    assert (mapped.digest, mapped.labels) == (expected.digest, expected.labels)
    assert mapped.dropped.get("mapped to nothing", 0) == new.count("")


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_shape_of_a_file(tmp_path: Path, name: str) -> None:
    table = {
        "text": ["good", "bad", None, "", "so so"],
        "label": ["pos", "neg", "pos", "neg", None],
    }
    WRITERS[name](tmp_path / name, table)
    loaded = load_labelled(str(tmp_path / name))
    assert rows(loaded) == [("good", "pos"), ("bad", "neg"), ("", "neg")]
    assert loaded.dataset.column_names == ["text", "label"]
    assert loaded.dataset.features["label"] == ClassLabel(names=["neg", "pos"])
    assert loaded.labels == ("neg", "pos")
    assert loaded.problem_type == SINGLE
    assert loaded.source == name
    assert loaded.revision is None
    assert loaded.rows_read == 5
    assert loaded.dropped == {"null text": 1, "null label": 1}
    assert len(loaded.digest) == 64


def test_digest_is_that_of_one_json_line_per_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"text": ["good", "bäd"], "label": ["pos", "neg"]})
    content = f'{SINGLE}\n["good", "pos"]\n["bäd", "neg"]\n'
    expected = hashlib.sha256(content.encode()).hexdigest()
    assert load_labelled(tmp_path / "t.csv").digest == expected


@pytest.mark.parametrize("cells", [["a", "b"], [["a", "b"], ["b"]]])
def test_digest_does_not_depend_on_the_order_of_classes(cells: list[Any]) -> None:
    assert load(cells, labels=["a", "b"]).digest == load(cells, labels=["b", "a"]).digest


def test_csv_as_pandas_and_python_write_it(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": [7, 8, 9], "text": ["one\ntwo, three", 'a "b"', "NA"], "label": [1.0, 0.0, None]}
    )
    frame.to_csv(tmp_path / "pandas.csv")
    assert rows(load_labelled(tmp_path / "pandas.csv")) == [
        ("one\ntwo, three", "1"),
        ('a "b"', "0"),
    ]
    with (tmp_path / "python.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(
            [["Text", "Label"], ["x\r\ny", "true"], ["null", "False"], ["", "true"]]
        )
    loaded = load_labelled(tmp_path / "python.csv")
    assert rows(loaded) == [("x\r\ny", "true"), ("null", "false")]
    assert loaded.dropped == {"null text": 1}


def test_csv_of_several_blocks_with_line_breaks_in_long_cells(tmp_path: Path) -> None:
    texts = [f"{i} " + "line\n" * 300_000 for i in range(16)]
    write_csv(tmp_path / "t.csv", {"text": texts, "label": ["a", "b"] * 8})
    assert load_labelled(tmp_path / "t.csv").dataset["text"][:] == texts


def test_text_in_csv_stays_as_it_stands(tmp_path: Path) -> None:
    texts = ["1", "NA", "null", "nan", "true", " x "]
    lines = [f"{text},{label}" for text, label in zip(texts, "ababab", strict=True)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["\ufefftext,label", *lines]), encoding="utf-8")
    assert load_labelled(path).dataset["text"][:] == texts
    path.write_text("\ufefftext,label\n1.50,a\n2,b\n", encoding="utf-8")
    assert load_labelled(path).dataset["text"][:] == ["1.50", "2"]


def test_codes_in_csv_are_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\na,007\nb,7\n")
    assert load_labelled(tmp_path / "t.csv").labels == ("007", "7")


def test_jsonl_keeps_dates_line_separators_and_late_columns(tmp_path: Path) -> None:
    lines = [
        {"text": "2024-01-01"},
        {"text": "2024-01-02 10:00:00", "label": "a", "other": 1},
        {"label": "b", "text": "one\u2028two", "other": "mixed"},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n\n".join(json.dumps(x, ensure_ascii=False) for x in lines), encoding="utf-8")
    loaded = load_labelled(path)
    assert rows(loaded) == [("2024-01-02 10:00:00", "a"), ("one\u2028two", "b")]
    assert loaded.dropped == {"null label": 1}


def test_a_folder_is_read_by_split(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_csv(folder / "train-00000-of-00002.csv", {"text": ["a", "b"], "label": ["x", "y"]})
    write_csv(folder / "train-00001-of-00002.csv", {"text": ["c", "d"], "label": ["y", "1"]})
    write_csv(folder / "corpus_dev.csv", {"label": ["y", "x"], "text": ["e", "f"]})
    (folder / "README.md").write_text("about")
    train = load_labelled(folder)
    assert rows(train) == [("a", "x"), ("b", "y"), ("c", "y"), ("d", "1")]
    assert train.source == "corpus@train"
    assert rows(load_labelled(folder, split="validation")) == [("e", "y"), ("f", "x")]
    with pytest.raises(InvalidInputError, match=r"\['train', 'validation'\], not 'test'"):
        load_labelled(folder, split="test")


def test_files_of_a_folder_may_differ_in_number_types(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "label": [1, 2]})
    write_parquet(tmp_path / "b.parquet", {"text": ["c", None], "label": [3.0, None]})
    assert load_labelled(tmp_path).labels == ("1", "2", "3")


def test_files_of_a_folder_must_have_the_same_columns(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", {"text": ["a", "b"], "label": ["x", "y"]})
    write_csv(tmp_path / "b.csv", {"text": ["a", "b"], "stars": ["x", "y"]})
    with pytest.raises(InvalidInputError, match="different columns"):
        load_labelled(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b"text,label\n", "t.csv is empty: it has no rows"),
        ("t.jsonl", b"\n", "t.jsonl is empty: it has no rows"),
        ("t.csv", b"text,label\na,b,c\n", "cannot be read as csv.*got 3"),
        ("t.csv", b"text,label\n\xff\xfe,b\n", "cannot be read as csv.*UTF-8"),
        ("t.csv", b"text,text\na,b\n", "two columns of one name"),
        ("t.csv", b"text,label\na,['x']\nb,['y']\n", "'label' look like lists but are not JSON"),
        ("t.csv", b'text,label\na,"[1]"\nb,"[""y""]"\n', "'label' holds values that do not go"),
        ("t.parquet", b"PAR1 but not really", "cannot be read as parquet"),
        ("t.jsonl", b'{"text": "a", "label": 1}\n{"text"', "nor one JSON object per line"),
        ("t.jsonl", b'["a", 1]\n', "Row 0 of t.jsonl is a str, not an object"),
        ("t.json", b'[{"text": "a", "label": 1}, 2]', "Row 1 of t.json is a int"),
        ("t.xlsx", b"anything", "suffix is none of .parquet, .csv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        load_labelled(tmp_path / name)


def test_missing_files_never_reach_for_the_network(tmp_path: Path) -> None:
    for source in (tmp_path / "no", str(tmp_path / "no"), "missing.csv", "./missing", "~/missing"):
        with pytest.raises(InvalidInputError, match="no file or folder"):
            load_labelled(source)
    with pytest.raises(InvalidInputError, match="no file with a suffix"):
        load_labelled(tmp_path)


def test_invalid_utf8_in_parquet_names_the_row(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": bad, "label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(InvalidInputError, match=r"Row 1 of the text column 'text' .* UTF-8"):
        load_labelled(tmp_path / "t.parquet")


# Tables in memory --------------------------------------------------------------------------------


def test_a_pandas_table() -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", "b", None, "d"],
            "label": pd.Categorical(["y", None, "x", "x"]),
            "odd": [1, "mixed", b"", None],
        },
        index=[9, 9, 4, 1],
    )
    loaded = load_labelled(frame)
    assert rows(loaded) == [("a", "y"), ("d", "x")]
    assert loaded.dropped == {"null text": 1, "null label": 1}
    assert loaded.source == "in memory"


def test_a_dataset_keeps_its_selection_and_class_names() -> None:
    features = Features(
        {"text": Value("string"), "label": ClassLabel(names=["no", "yes", "maybe"])}
    )
    data = {"text": list("abcde"), "label": [0, 1, 1, -1, 0]}
    dataset = Dataset.from_dict(data, features=features).select([3, 2, 0]).with_format("numpy")
    loaded = load_labelled(dataset)
    assert rows(loaded) == [("c", "yes"), ("a", "no")]
    assert loaded.labels == ("no", "yes", "maybe")
    assert loaded.dropped == {"null label": 1}


def test_class_names_survive_a_parquet_file(tmp_path: Path) -> None:
    features = Features(
        {"text": Value("string"), "label": List(ClassLabel(names=["sun", "rain", "fog"]))}
    )
    dataset = Dataset.from_dict({"text": ["a", "b"], "label": [[2, 0], []]}, features=features)
    dataset.to_parquet(tmp_path / "t.parquet")
    loaded = load_labelled(tmp_path / "t.parquet")
    assert loaded.labels == ("sun", "rain", "fog")
    assert rows(loaded) == [("a", ["sun", "fog"]), ("b", [])]


def test_splits_of_a_dataset_dict() -> None:
    def part(text: str) -> Dataset:
        return Dataset.from_dict({"text": [text, text], "label": ["x", "y"]})

    splits = DatasetDict({"test": part("t"), "train": part("r")})
    assert load_labelled(splits).source == "in memory@train"
    assert load_labelled(splits, split="test").dataset["text"][:] == ["t", "t"]
    assert load_labelled(DatasetDict({"dev": part("v")})).source == "in memory@dev"
    with pytest.raises(InvalidInputError, match=r"splits \['dev', 'test'\]"):
        load_labelled(DatasetDict({"dev": part("v"), "test": part("t")}))


def test_what_has_been_loaded_loads_again_unchanged() -> None:
    first = load_labelled(Dataset.from_dict({"text": ["a", "b"], "label": [["x"], ["y", "x"]]}))
    again = load_labelled(first.dataset)
    assert (again.labels, again.digest) == (first.labels, first.digest)


@pytest.mark.parametrize("source", [None, 3, ["a"], {"text": ["a"]}])
def test_other_sources_are_refused(source: Any) -> None:
    with pytest.raises(InvalidInputError, match="Cannot read texts from a"):
        load_labelled(source)


# Columns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        (["label", "text", "title"], "text", "label"),
        (["Title", "Content", "Label"], "Content", "Label"),
        (["headline", "category"], "headline", "category"),
        (["phrase", "label_name", "label"], "phrase", "label"),
        (["label_name", "utterance"], "utterance", "label_name"),
        (["tweet", "sentiment"], "tweet", "sentiment"),
    ],
)
def test_columns_are_found_by_common_names(columns: list[str], text: str, label: str) -> None:
    cells = {name: [f"{name} {i}" for i in range(2)] for name in columns}
    loaded = load_labelled(Dataset.from_dict(cells))
    assert rows(loaded) == list(zip(cells[text], cells[label], strict=True))


def test_a_column_given_as_text_is_not_taken_for_the_label() -> None:
    table = {"topic": ["a", "b"], "sentiment": ["x", "y"]}
    loaded = load_labelled(Dataset.from_dict(table), text_column="topic")
    assert rows(loaded) == [("a", "x"), ("b", "y")]


def test_the_only_column_of_text_is_the_text(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"n": [1, 2], "phrase": ["a", "b"], "label": [0, 1]})
    assert load_labelled(tmp_path / "t.csv").dataset["text"][:] == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (["review", "comment", "label"], {}, r"\['review', 'comment'\] could be.*--text-column"),
        (["premise", "hypothesis", "label"], {}, r"\['premise', 'hypothesis'\] could be"),
        (["text", "sentiment", "emotion"], {}, r"\['sentiment', 'emotion'\].*--label-column"),
        (["text", "stars"], {}, r"text \(string\), stars \(string\)\. None .*--label-column"),
        (["label"], {}, "None .*--text-column"),
        (["text", "label"], {"text_column": "body"}, "no column 'body'"),
        (["text", "label"], {"label_column": "y"}, "no column 'y'"),
        (["text", "label"], {"label_column": "label,y"}, "no column 'y'"),
        (["text", "label"], {"text_column": "label", "label_column": "label"}, "both text and"),
    ],
)
def test_columns_that_are_missing_or_ambiguous(
    columns: list[str], arguments: dict[str, str], message: str
) -> None:
    cells = {name: ["a", "b"] for name in columns}
    with pytest.raises(InvalidInputError, match=message):
        load_labelled(Dataset.from_dict(cells), **arguments)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([1, 2], "holds int64, not text"),
        ([b"a", b"b"], "holds binary, not text"),
        (["a", 2], r"do not go together \(int, str\)"),
        (["a", "\ud800"], "lone surrogate.*row 1"),
        ([["a"], ["b"]], "not text"),
    ],
)
def test_texts_that_are_no_text(texts: list[Any], message: str) -> None:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object), "label": ["x", "y"]})
    with pytest.raises(InvalidInputError, match=message):
        load_labelled(frame)


# Labels ------------------------------------------------------------------------------------------


def load(cells: Any, /, **arguments: Any) -> LabelledTexts:
    texts = [f"text {i}" for i in range(len(cells))]
    return load_labelled(Dataset.from_dict({"text": texts, "label": cells}), **arguments)


def test_order_of_classes() -> None:
    assert load([10, 9, -2, 9]).labels == ("-2", "9", "10")
    assert load(["10", "9", "-2"]).labels == ("-2", "9", "10")
    assert load([2.0, None, 1.0]).labels == ("1", "2")
    assert load(["b", "Z", "é", "a"]).labels == ("Z", "a", "b", "é")
    assert load([True, False]).labels == ("false", "true")
    assert load([[3], [1, 2]]).labels == ("1", "2", "3")


def test_class_numbers_of_a_row_are_sorted() -> None:
    loaded = load([["i", "b"], list("abcdefghi")])
    assert loaded.dataset["label"][:] == [[1, 8], list(range(9))]


def test_a_class_whose_texts_are_all_null_is_no_class() -> None:
    table = {"text": ["a", "b", None], "label": ["x", "y", "z"]}
    assert load_labelled(Dataset.from_dict(table)).labels == ("x", "y")


def test_numbers_too_large_to_count_by_are_targets() -> None:
    assert load([1e300, 2e300]).problem_type == "regression"


def test_a_companion_column_names_the_numbers() -> None:
    table = {"text": ["a", "b", "c", "d"], "label": [5, 2, 5, None]}
    named = {**table, "label_name": ["sun", "rain", "sun", None]}
    assert load_labelled(Dataset.from_dict(named)).labels == ("rain", "sun")
    for wrong in (["sun", "rain", "fog", None], ["sun", "sun", "sun", None], ["sun", None] * 2):
        loaded = load_labelled(Dataset.from_dict({**table, "label_name": wrong}))
        assert loaded.labels == ("2", "5")
    other = {"text": table["text"], "target": table["label"], "target_names": named["label_name"]}
    assert load_labelled(Dataset.from_dict(other)).labels == ("rain", "sun")


def test_a_companion_column_names_lists_of_numbers() -> None:
    table = {"text": ["a", "b"], "labels": [[4, 0], []], "label_names": [["sun", "rain"], []]}
    loaded = load_labelled(Dataset.from_dict(table))
    assert loaded.labels == ("rain", "sun")
    assert rows(loaded) == [("a", ["rain", "sun"]), ("b", [])]
    for wrong in ([["sun"], []], [[7, 8], []], [["sun", ""], []]):
        loaded = load_labelled(Dataset.from_dict({**table, "label_names": wrong}))
        assert loaded.labels == ("0", "4")


def test_columns_of_marks_are_multi_label(tmp_path: Path) -> None:
    table = {"text": ["a", "b", "c"], "toxic": [1, 0, None], "an insult": [True, False, True]}
    write_csv(tmp_path / "t.csv", table)
    loaded = load_labelled(tmp_path / "t.csv", label_column="toxic, an insult")
    assert rows(loaded) == [("a", ["toxic", "an insult"]), ("b", [])]
    assert loaded.labels == ("toxic", "an insult")
    assert loaded.dropped == {"null label": 1}
    table["toxic"] = [1, 0, 2]
    with pytest.raises(InvalidInputError, match="Row 2 of the label column 'toxic' is 2"):
        load_labelled(Dataset.from_dict(table), label_column="toxic,an insult")


def test_label_map_finds_labels_by_number_or_name() -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "so", "good"])})
    dataset = Dataset.from_dict({"text": ["a", "b", "c"], "label": [2, 1, 0]}, features=features)
    loaded = load_labelled(dataset, label_map={"0": "Bad", "1": "", "good": "Good"})
    assert rows(loaded) == [("a", "Good"), ("c", "Bad")]
    assert loaded.labels == ("Bad", "Good")
    assert loaded.dropped == {"mapped to nothing": 1}


def test_label_map_joins_numbers_in_their_order() -> None:
    loaded = load([0, 1, 2, 3], label_map={"3": "a", "2": "", "1": "z", "0": "z"})
    assert loaded.labels == ("z", "a")
    assert rows(loaded) == [("text 0", "z"), ("text 1", "z"), ("text 3", "a")]


def test_label_map_takes_labels_out_of_lists() -> None:
    loaded = load([["a", "b"], ["b"], ["c"]], label_map={"b": "", "c": "a"})
    assert rows(loaded) == [("text 0", ["a"]), ("text 1", []), ("text 2", ["a"])]
    assert loaded.dropped == {}


def test_label_map_warns_about_unused_keys_of_training_data_only() -> None:
    with pytest.warns(UserWarning, match=r"\['c'\]"):
        load(["a", "b"], label_map={"c": "d"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(["a", "b"], label_map={"c": "d"}, labels=["a", "b"])


def test_given_labels_fix_the_classes() -> None:
    loaded = load(["b", "b"], labels=["c", "b", "a"])
    assert loaded.labels == ("c", "b", "a")
    assert loaded.dataset["label"][:] == [1, 1]
    assert label_counts(loaded).tolist() == [0, 2, 0]
    with pytest.raises(InvalidInputError, match=r"Row 1 of in memory has the label 'x'.*\['a', 'b"):
        load(["a", "x"], labels=["a", "b"])
    with pytest.raises(InvalidInputError, match=r"Row 0 .* label '7'"):
        load([[7]], labels=["a", "b"])
    assert load(["a", "x"], labels=["a", "b"], label_map={"x": ""}).dropped == {
        "mapped to nothing": 1
    }


def test_regression_targets() -> None:
    loaded = load([0.5, None, 2.0])
    assert loaded.problem_type == "regression"
    assert loaded.dataset.features["label"] == Value("float64")
    assert rows(loaded) == [("text 0", 0.5), ("text 2", 2.0)]
    assert loaded.labels == ("label",)
    assert load([0.5, 1.5], labels=["score"]).labels == ("score",)
    assert load([1, 2], problem_type="regression").dataset["label"][:] == [1.0, 2.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite(tmp_path: Path, value: float) -> None:
    with pytest.raises(NonFiniteError, match="Row 1 "):
        load([0.5, value])
    (tmp_path / "t.csv").write_text(f"text,label\na,0.5\nb,{value}\n")
    with pytest.raises(NonFiniteError, match="Row 1 "):
        load_labelled(tmp_path / "t.csv")


def test_nan_in_a_pandas_table_is_null() -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [0.0, float("nan"), 1.0]})
    assert load_labelled(frame).dropped == {"null label": 1}


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (["a", "a"], {}, r"one class only, \['a'\]; a classifier needs at least two"),
        (["a", "b"], {"label_map": {"b": "a"}}, "one class only"),
        (["a", "b"], {"label_map": {"a": "", "b": ""}}, "None of 2 rows is left"),
        ([None, None], {}, "None of 2 rows is left"),
        ([[], []], {}, "No row of in memory has any label"),
        (["a", "b"], {"problem_type": "regression"}, "not of regression"),
        (["a", "b"], {"problem_type": MULTI}, "not of multi_label"),
        ([["a"], ["b"]], {"problem_type": SINGLE}, "not of single_label"),
        ([0.5, 1.5], {"problem_type": SINGLE}, "not of single_label"),
        ([0.5, 1.5], {"label_map": {"0": "a"}}, "regression targets"),
        ([0.5, 1.5], {"labels": ["a", "b"]}, "labels names 2"),
        ([[0, 1, 0], [1, 0, 0]], {}, r"a class number twice: \[0, 1, 0\].*a,b,c"),
        ([[0.0, 1.0]], {}, "lists of double.*a,b,c"),
        ([["a", None]], {}, "Row 0 .* null or an empty name"),
        ([["a"], ["b", ""]], {}, "Row 1 .* null or an empty name"),
        ([{"a": 1}, {"a": 2}], {}, "holds struct"),
        (["a", "b"], {"problem_type": "ranking"}, "Unknown problem type"),
        (["a", "b"], {"label_map": {0: "a"}}, "Write numbers as strings"),
        (["a", "b"], {"labels": "ab"}, "list of different, non-empty strings"),
        (["a", "b"], {"labels": ["a", "a"]}, "list of different, non-empty strings"),
        (["a", "b"], {"labels": []}, "list of different, non-empty strings"),
    ],
)
def test_labels_that_cannot_be_used(
    labels: list[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load(labels, **arguments)


def test_class_numbers_outside_the_declared_ones(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    schema = features.arrow_schema
    pq.write_table(pa.table([["a", "b"], [0, 2]], schema=schema), tmp_path / "t.parquet")
    with pytest.raises(InvalidInputError, match=r"Row 1 .* is class 2, .* declares 2 classes"):
        load_labelled(tmp_path / "t.parquet")


def test_labels_may_be_missing_where_none_are_required() -> None:
    dataset = Dataset.from_dict({"text": ["a", None, ""], "category": ["x", "x", "x"]})
    bare = load_labelled(dataset.remove_columns("category"), require_labels=False)
    assert bare.dataset.column_names == ["text"]
    assert bare.dataset["text"][:] == ["a", ""]
    assert (bare.labels, bare.labelled, bare.dropped) == ((), False, {"null text": 1})
    assert load_labelled(dataset, require_labels=False).labels == ("x",)
    assert not load_labelled(dataset, require_labels=False, label_column="").labelled
    with pytest.raises(InvalidInputError, match="no classes"):
        label_indicators(bare)
    assert not load([None, None], require_labels=False).labelled
    unclear = Dataset.from_dict({"text": ["a"], "sentiment": ["x"], "emotion": ["y"]})
    assert not load_labelled(unclear, require_labels=False).labelled


def test_only_alike_texts_are_concatenated() -> None:
    with pytest.raises(IncompatibleError, match="labels"):
        concatenate(load(["a", "b"]), load(["a", "c"]))
    with pytest.raises(IncompatibleError, match="problem_type"):
        concatenate(load(["a", "b"]), load([["a"], ["b"]]))


# The Hub -----------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of a Hub as one dataset repository, `me/texts`, needs to be read."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        """Answer with what the repository has, or with the Hub's way of saying it has not."""
        path = self.path.split("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/api/datasets/me/texts/tree/"):
            entries = [
                {"type": "file", "path": file, "size": len(content), "oid": COMMIT}
                for file, content in self.files.items()
            ]
            self._reply(200, json.dumps([] if name == "data" else entries).encode())
        elif path.startswith("/api/datasets/me/texts"):
            siblings = [{"rfilename": file} for file in self.files]
            body = {"id": "me/texts", "sha": COMMIT, "siblings": siblings}
            self._reply(200, json.dumps(body).encode())
        elif path.startswith("/datasets/me/texts/") and name in self.files:
            self._reply(200, self.files[name], ETag=f'"{name}"')
        else:
            known = path.startswith("/datasets/me/texts/")
            self._reply(404, b"", **{"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        headers |= {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub_address(tmp_path: Path) -> Iterator[str]:
    Hub.files = {}
    for name, labels in (("train", ["x", "y"]), ("validation", ["y", "x"])):
        write_parquet(tmp_path / name, {"text": [f"{name} 0", f"{name} 1"], "label": labels})
        Hub.files[f"{name}.parquet"] = (tmp_path / name).read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_hub_dataset_is_read_at_one_commit(hub_address: str, tmp_path: Path) -> None:
    # The Hub's address is read once, at import: hence another process.
    script = """
from hf_attn_attr.data import load_labelled
from hf_attn_attr.errors import InvalidInputError
for arguments in ({}, {"split": "validation"}, {"split": "train[1:]", "labels": ["x", "y"]}):
    loaded = load_labelled("me/texts", **arguments)
    print(loaded.source, loaded.revision, loaded.dataset["text"][:])
for name, split in (("me/nothing", None), ("me/texts:other", None), ("me/texts", "test")):
    try:
        load_labelled(name, split=split)
    except InvalidInputError as error:
        print(error)
"""
    environment = os.environ | {
        "HF_ENDPOINT": hub_address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"me/texts@train {COMMIT} ['train 0', 'train 1']",
        f"me/texts@validation {COMMIT} ['validation 0', 'validation 1']",
        f"me/texts@train[1:] {COMMIT} ['train 1']",
    ], done.stderr
    assert "doesn't exist on the Hub" in lines[3]
    assert "'other' not found" in lines[4]
    assert "['train', 'validation']" in lines[5]
