"""The published files: same bytes, same matrix, every damage found."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr.errors import CorruptArtifactError, HubError, IncompatibleError, InvalidInputError
from hf_attn_attr.files import sealed_json, sha256_of_file
from hf_attn_attr.influence import InfluenceMatrix
from hf_attn_attr.influence.storage import COLUMNS, NUMBERS

from .texts import LABELS, accumulated, random_rows

FORMAT_1 = Path(__file__).parent / "format_1"  # written by the release that wrote format 1
TYPES = ["single_label_classification", "multi_label_classification"]


def files(folder):
    return {file.name: file.read_bytes() for file in (folder / "influence").iterdir()}


def same(left, right):
    names = ["document_count" if name == "documents" else name for name in NUMBERS]
    return (
        left.words == right.words
        and left.labels == right.labels
        and left.manifest == right.manifest
        and all(getattr(left, n).tobytes() == getattr(right, n).tobytes() for n in names)
        and all(getattr(left, n).dtype == getattr(right, n).dtype for n in names)
        and (left.evidence == right.evidence).all()
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def matrix():
    return accumulated(random_rows(0, 60)).finalize({"corpus": "test", "rows": 60})


@pytest.fixture
def published(matrix, tmp_path):
    matrix.save_pretrained(tmp_path)
    return tmp_path


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.sampled_from(TYPES))
@settings(max_examples=25)
def test_a_loaded_matrix_is_the_saved_one_and_saves_to_the_same_bytes(folder, seed, n, kind):
    matrix = accumulated(random_rows(seed, n, problem_type=kind), problem_type=kind).finalize()
    matrix.save_pretrained(folder / "first")
    loaded = InfluenceMatrix.from_pretrained(folder / "first")
    assert same(matrix, loaded)
    loaded.save_pretrained(folder / "second")
    assert files(folder / "first") == files(folder / "second")


def test_regression_and_many_words_come_back_too(tmp_path):
    vocabulary = [f"{i:x}" * 9 for i in range(20_000)]
    rows = random_rows(0, 800, ("value",), "regression", vocabulary, longest=60)
    matrix = accumulated(rows, labels=("value",), problem_type="regression").finalize()
    matrix.save_pretrained(tmp_path)
    assert same(matrix, InfluenceMatrix.from_pretrained(tmp_path))


def test_the_table_is_readable_by_anyone(matrix, published):
    frame = pd.read_parquet(published / "influence" / "influence.parquet")
    assert tuple(frame.columns) == COLUMNS
    assert frame["word"].astype(str).tolist() == [w for w in matrix.words for _ in LABELS]
    assert frame["label"].astype(str).tolist() == list(LABELS) * len(matrix.words)
    assert frame["influence"].tolist() == matrix.influence.ravel().tolist()
    assert frame["evidence"].astype(str).tolist() == matrix.evidence.ravel().tolist()
    table = pq.read_table(published / "influence" / "influence.parquet")
    assert table.column("association_q_value").null_count == len(frame)
    assert table.column("low").null_count == int(np.isnan(matrix.low).sum())


def test_the_manifest_says_what_the_matrix_is_of(matrix, published):
    manifest = json.loads((published / "influence" / "manifest.json").read_bytes())
    table = published / "influence" / "influence.parquet"
    assert manifest["format_version"] == 3
    assert manifest["labels"] == list(LABELS)
    assert manifest["word_rule"] == {"lowercase": True, "normalization": "NFC"}
    assert manifest["method"] == "contribution"
    assert manifest["rows"] == len(matrix.words) * len(LABELS)
    assert manifest["texts"] + manifest["empty_texts"] == 60
    assert manifest["words"] == matrix.count.sum()
    assert manifest["distinct_words"] == len(matrix.words)
    assert manifest["provenance"] == {"corpus": "test", "rows": 60}
    assert manifest["checks"] == {}
    assert manifest["files"] == {
        "influence.parquet": {"sha256": sha256_of_file(table), "bytes": table.stat().st_size}
    }


def test_a_matrix_opens_from_its_own_folder_or_the_one_above(matrix, published):
    assert same(matrix, InfluenceMatrix.from_pretrained(published))
    assert same(matrix, InfluenceMatrix.from_pretrained(str(published / "influence")))


def test_a_matrix_of_one_word_comes_back(tmp_path):
    accumulated(random_rows(2, vocabulary=["one"])).finalize().save_pretrained(tmp_path)
    loaded = InfluenceMatrix.from_pretrained(tmp_path)
    assert loaded.words == ("one",)
    assert same(loaded, accumulated(random_rows(2, vocabulary=["one"])).finalize())


@pytest.mark.parametrize(
    ("name", "value"),
    [("provenance", "x"), ("checks", [1]), ("checks.association", 3), ("checks.verdicts", "x")],
)
def test_what_must_be_an_object_is_named_with_what_it_is(matrix, name, value):
    outer, _, inner = name.partition(".")
    manifest = {**matrix.manifest, outer: {inner: value} if inner else value}
    with pytest.raises(InvalidInputError, match=re.escape(f"{name} = {value!r}; wanted an object")):
        dataclasses.replace(matrix, manifest=manifest)


def test_what_was_filled_in_later_is_published(matrix, tmp_path):
    q = np.linspace(0, 1, matrix.joint.size).reshape(matrix.joint.shape)
    manifest = {**matrix.manifest, "checks": {"stability": 0.9}}
    filled = dataclasses.replace(matrix, association_q_value=q, manifest=manifest)
    filled.save_pretrained(tmp_path)
    loaded = InfluenceMatrix.from_pretrained(tmp_path)
    assert loaded.association_q_value.tolist() == q.tolist()
    assert loaded.manifest["checks"] == {"stability": 0.9}


def test_undefined_is_undefined_whatever_its_sign(matrix):
    negative = np.full(matrix.joint.shape, -np.nan)
    assert negative.tobytes() != matrix.log_odds.tobytes()
    assert same(dataclasses.replace(matrix, log_odds=negative), matrix)


def test_saving_over_an_open_matrix_leaves_it_as_it_was(matrix, published):
    loaded = InfluenceMatrix.from_pretrained(published)
    accumulated(random_rows(9, 60)).finalize().save_pretrained(published)
    assert same(matrix, dataclasses.replace(loaded))
    assert not same(matrix, InfluenceMatrix.from_pretrained(published))


@pytest.mark.parametrize("name", ["influence.parquet", "manifest.json"])
def test_a_missing_file_is_reported(published, name):
    (published / "influence" / name).unlink()
    with pytest.raises(CorruptArtifactError, match=name):
        InfluenceMatrix.from_pretrained(published)


def test_a_table_cut_or_changed_anywhere_is_refused(published):
    table = published / "influence" / "influence.parquet"
    data = table.read_bytes()
    for position in range(0, len(data), 61):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        for content in (damaged, data[:position]):
            table.write_bytes(content)
            with pytest.raises(CorruptArtifactError, match=r"influence\.parquet"):
                InfluenceMatrix.from_pretrained(published)


def test_a_manifest_cut_anywhere_is_refused(published):
    path = published / "influence" / "manifest.json"
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 13):
        path.write_bytes(data[:length])
        with pytest.raises(CorruptArtifactError):
            InfluenceMatrix.from_pretrained(published)


def test_a_crash_between_table_and_manifest_is_found(published, tmp_path):
    accumulated(random_rows(9, 60)).finalize().save_pretrained(tmp_path / "new")
    shutil.copy(tmp_path / "new/influence/influence.parquet", published / "influence")
    with pytest.raises(CorruptArtifactError, match="SHA-256"):
        InfluenceMatrix.from_pretrained(published)


def rewritten(folder, table=None, **changes):
    """Write the folder anew with right digests but another table or manifest."""
    path = folder / "influence" / "influence.parquet"
    if table is not None:
        pq.write_table(table, path)
    manifest = json.loads((folder / "influence" / "manifest.json").read_bytes())
    manifest["files"]["influence.parquet"]["sha256"] = sha256_of_file(path)
    manifest = {k: v for k, v in {**manifest, **changes}.items() if v is not None}
    manifest.pop("manifest_sha256")
    (folder / "influence" / "manifest.json").write_bytes(sealed_json(manifest))


def test_another_format_version_is_named(published):
    for version in (4, 0, None, "2"):
        rewritten(published, format_version=version)
        with pytest.raises(IncompatibleError, match=f"version {version}, this release reads 1 to"):
            InfluenceMatrix.from_pretrained(published)


def test_a_matrix_of_format_1_is_read_and_written_as_of_today(tmp_path):
    frame = pd.read_parquet(FORMAT_1 / "influence.parquet")
    matrix = InfluenceMatrix.from_pretrained(FORMAT_1)
    assert matrix.manifest["provenance"] == {"corpus": "test"}
    for name in frame.columns:
        pd.testing.assert_series_equal(
            frame[name], matrix.to_pandas()[name], check_dtype=False, check_categorical=False
        )
    assert np.isnan(matrix.log_odds_standard_error).all()
    matrix.save_pretrained(tmp_path)
    assert same(matrix, InfluenceMatrix.from_pretrained(tmp_path))
    manifest = json.loads((tmp_path / "influence" / "manifest.json").read_bytes())
    assert manifest["format_version"] == 3


def test_a_column_too_many_or_too_few_for_its_version_is_damage(published):
    rewritten(published, format_version=1)
    with pytest.raises(CorruptArtifactError):
        InfluenceMatrix.from_pretrained(published)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["joy", "fear"]},
        {"labels": ["fear", "joy", "anger"]},
        {"labels": ["joy", "joy", "anger"]},
        {"labels": []},
        {"labels": None},
        {"rows": 3},
        {"rows": None},
        {"files": {}},
        {"files": None},
        {"word_rule": None},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_the_table_is_refused(published, changes):
    if "files" in changes:
        path = published / "influence" / "manifest.json"
        manifest = json.loads(path.read_bytes()) | changes
        manifest.pop("manifest_sha256")
        path.write_bytes(sealed_json(manifest))
    else:
        rewritten(published, **changes)
    with pytest.raises(CorruptArtifactError):
        InfluenceMatrix.from_pretrained(published)


def replaced(table, name, values):
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, values)


def with_first(name, value):
    """A table whose first word has another number, in the rows of all its labels."""

    def change(table):
        values = table[name].to_pylist()
        values[:3] = [value] * 3
        return replaced(table, name, pa.array(values, table.schema.field(name).type))

    return change


def half_undefined(table):
    """One label's row of the first word undefined, in a column that is per word."""
    values = [None, *table["degrees_of_freedom"].to_pylist()[1:]]
    return replaced(table, "degrees_of_freedom", pa.array(values, pa.float64()))


CANNOT_BE = "its column {} holds numbers that cannot be"
TABLES = {
    "a column less": (lambda t: t.drop_columns(["lift"]), "its columns are word: dictionary"),
    "another type": (lambda t: replaced(t, "lift", t["lift"].cast(pa.float32())), "lift: float"),
    "another order of columns": (lambda t: t.select(list(reversed(COLUMNS))), "its columns are"),
    "fewer rows": (lambda t: t.slice(3), r"it has \d+ rows, its manifest says \d+"),
    "rows in another order": (
        lambda t: t.take(list(reversed(range(len(t))))),
        "its label column does not repeat the labels of the manifest",
    ),
    "a word twice": (
        lambda t: pa.concat_tables([t.slice(0, 3), t.slice(0, 3), t.slice(6)]),
        "The words are not sorted by code point, or one is repeated",
    ),
    "words not label by label": (
        lambda t: t.take([0, 3, 6, *range(3, len(t))]),
        "its word column does not give each word one row per label",
    ),
    "a null count": (
        lambda t: replaced(t, "count", pa.nulls(len(t), pa.int64())),
        "its column count has nulls",
    ),
    "a count that differs within a word": (
        lambda t: replaced(t, "count", pa.array(range(len(t)), pa.int64())),
        "its column count differs within a word",
    ),
    "a number undefined for one label": (
        half_undefined,
        "its column degrees_of_freedom differs within a word",
    ),
    "a null word": (
        lambda t: replaced(t, "word", pa.nulls(len(t), t.schema.field("word").type)),
        "its column word has nulls",
    ),
    "no texts": (with_first("documents", 0), "its counts cannot be"),
    "more texts than occurrences": (with_first("documents", 10**6), "its counts cannot be"),
    **{
        f"{name} {value}": (with_first(name, value), CANNOT_BE.format(name))
        for name, value in [
            *(("joint", -0.1), ("lift", -1.0), ("standard_error", -1e-9), ("mean", np.inf)),
            *(("npmi", -np.inf), ("association_q_value", 1.5), ("association_q_value", -0.5)),
        ]
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_is_refused(published, name):
    change, told = TABLES[name]
    rewritten(published, change(pq.read_table(published / "influence" / "influence.parquet")))
    with pytest.raises(CorruptArtifactError, match=f"(?s)no sound influence matrix: .*{told}"):
        InfluenceMatrix.from_pretrained(published)


@pytest.mark.parametrize(
    ("name", "value"), [("mean", -5.0), ("association_q_value", 1.0), ("degrees_of_freedom", None)]
)
def test_a_table_that_can_be_is_read(published, name, value):
    """Undefined numbers are equal to each other."""
    table = pq.read_table(published / "influence" / "influence.parquet")
    rewritten(published, with_first(name, value)(table))
    found = getattr(InfluenceMatrix.from_pretrained(published), name)[0]
    np.testing.assert_array_equal(found, np.nan if value is None else value)


def test_what_is_loaded_cannot_be_written_to(published):
    loaded = InfluenceMatrix.from_pretrained(published)
    for name in ("influence", "count", "document_count", "degrees_of_freedom", "mean"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(loaded, name)[0] = 0


def test_a_folder_without_a_matrix_is_no_damage(tmp_path):
    with pytest.raises(InvalidInputError, match="no influence matrix"):
        InfluenceMatrix.from_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="is a folder, which has no revision 'v1'"):
        InfluenceMatrix.from_pretrained(tmp_path, revision="v1")
    with pytest.raises(InvalidInputError, match=r"is no folder, and no repository of the Hub"):
        InfluenceMatrix.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(HubError, match=r"no folder somebody/model here.*HF_HUB_OFFLINE is set"):
        InfluenceMatrix.from_pretrained("somebody/model")


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "manifest.json").write_text("theirs")
    (tmp_path / "received").mkdir()
    (tmp_path / "received" / "influence").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInputError, match="is a link"):
        accumulated(random_rows(0)).finalize().save_pretrained(tmp_path / "received")
    assert (tmp_path / "elsewhere" / "manifest.json").read_text() == "theirs"
