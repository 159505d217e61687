"""Files: whole or not at all, with the mode of any other file, recognised by their digests."""

import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr import InfluenceMatrix
from hf_attn_attr.columns import load_columns
from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError
from hf_attn_attr.files import (
    canonical_json,
    check_writable,
    read_json,
    read_manifest,
    read_verified,
    replacing,
    sealed_json,
    sha256_of_bytes,
    sha256_of_file,
    write_bytes,
)
from hf_attn_attr.files.parquet import require_proportion

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


def test_a_new_file_appears_whole_in_a_new_folder(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # a rename within one file system
        temporary.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader, replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half a")
        raise error
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if old is None else [old])


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "inside").write_bytes(b"kept")
    with pytest.raises(OSError, match="folder"):
        write_bytes(path, b"x")
    assert list(tmp_path.iterdir()) == [path]
    assert (path / "inside").read_bytes() == b"kept"


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_any_other_new_file(tmp_path, umask, mask):
    umask(mask)
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "other").write_bytes(b"")
    assert mode(tmp_path / "ours") == mode(tmp_path / "other") == 0o666 & ~mask
    assert umask(mask) == mask  # looked at, not changed


@posix
@pytest.mark.parametrize("old", [0o600, 0o640, 0o666])
def test_an_old_file_keeps_its_mode(tmp_path, umask, old):
    umask(0o022)
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(old)
    write_bytes(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", old)


@given(value=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), PLAIN))
def test_canonical_json_is_json_of_the_value_whatever_the_order_of_its_keys(value):
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(dict(reversed(value.items()))) == data
    assert canonical_json(json.loads(data)) == data
    assert data.endswith(b"\n")


@given(
    value=st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    wrap=st.sampled_from([lambda x: x, lambda x: [x], lambda x: {"a": {"b": [1, x]}}]),
)
def test_canonical_json_refuses_what_json_has_no_number_for(value, wrap):
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(wrap(value))


def test_canonical_json_has_these_bytes_for_ever():
    """Digests of old files are of them."""
    value = {"b": [1, 2.5, True], "ä": {"\u2028": None}, "a": "x\n"}
    assert (
        canonical_json(value)
        == (
            '{\n  "a": "x\\n",\n  "b": [\n    1,\n    2.5,\n    true\n  ],\n'
            '  "ä": {\n    "\u2028": null\n  }\n}\n'
        ).encode()
    )
    digest = hashlib.sha256(canonical_json(value)).hexdigest()
    assert json.loads(sealed_json(value)) == {**value, "manifest_sha256": digest}
    assert sealed_json(value) == canonical_json({**value, "manifest_sha256": digest})


MANIFEST = {"format_version": 2, "labels": ["a", "b"]}


@pytest.mark.parametrize(
    ("version", "write"),
    [(3, sealed_json), (2, sealed_json), (1, sealed_json), (1, canonical_json)],
)
def test_a_manifest_is_read_as_it_was_written(tmp_path, version, write):
    value = {**MANIFEST, "format_version": version}
    (tmp_path / "manifest.json").write_bytes(write(value))
    assert read_manifest(tmp_path / "manifest.json", 3, 2, "Ask.") == value


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_manifest_that_was_edited_is_refused(tmp_path, version):
    path = tmp_path / "manifest.json"
    value = {**MANIFEST, "format_version": version}
    sealed = sealed_json(value)
    for data in (sealed.replace(b'"a"', b'"c"'), sealed + b"\n", sealed[:-1]):
        path.write_bytes(data)
        with pytest.raises(CorruptArtifactError) as raised:
            read_manifest(path, 3, 2, "Ask.")
        assert str(raised.value) == (
            f"{path} does not have the digest that it names: it was damaged or edited. Fetch or "
            "write its folder again."
        )


@pytest.mark.parametrize("version", [2, 3])
def test_a_manifest_without_its_digest_is_refused_where_there_must_be_one(tmp_path, version):
    path = tmp_path / "manifest.json"
    path.write_bytes(canonical_json({**MANIFEST, "format_version": version}))
    with pytest.raises(CorruptArtifactError, match="does not have the digest"):
        read_manifest(path, 3, 2, "Ask.")


@pytest.mark.parametrize("version", [0, 4, "2", None])
def test_a_manifest_of_another_version_is_refused(tmp_path, version):
    path = tmp_path / "manifest.json"
    path.write_bytes(sealed_json({**MANIFEST, "format_version": version}))
    with pytest.raises(IncompatibleError) as raised:
        read_manifest(path, 3, 2, "Ask.")
    assert str(raised.value) == (
        f"{path} has format version {version}, this release reads 1 to 3. Ask."
    )


@given(value=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), PLAIN))
def test_read_json_gives_back_what_was_written(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "object.json"
    write_bytes(path, canonical_json(value))
    assert read_json(path) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"a": ' + b"[" * 200_000, "not valid JSON"),
        (b"[1, 2]", "holds a list, not an object"),
        (b"null", "holds a NoneType, not an object"),
        (None, "is missing"),
    ],
)
def test_read_json_names_the_file_and_what_is_wrong(tmp_path, data, message):
    path = tmp_path / "config.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


@given(data=st.binary(max_size=300))
def test_digests_are_sha256(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "data.bin"
    path.write_bytes(data)
    assert sha256_of_file(path) == sha256_of_bytes(data) == hashlib.sha256(data).hexdigest()


@given(data=st.binary(min_size=1, max_size=100), position=st.integers(0), bit=st.integers(0, 7))
def test_read_verified_reads_the_file_or_notices_any_flipped_bit(
    tmp_path_factory, data, position, bit
):
    path = tmp_path_factory.getbasetemp() / "verified.bin"
    path.write_bytes(data)
    digest = sha256_of_bytes(data)
    assert read_verified(path, digest, lambda file: file.read()) == data
    damaged = bytearray(data)
    damaged[position % len(data)] ^= 1 << bit
    path.write_bytes(damaged)
    read = []
    with pytest.raises(CorruptArtifactError, match=f"its manifest says {digest}"):
        read_verified(path, digest, read.append)
    assert read == []  # nothing parses damaged bytes


def test_what_is_read_is_what_was_checked_even_if_it_is_replaced_meanwhile(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def read(file):
        write_bytes(path, b"new")
        return file.read()

    assert read_verified(path, sha256_of_bytes(b"old"), read) == b"old"
    assert path.read_bytes() == b"new"


def test_read_verified_names_a_missing_file(tmp_path):
    with pytest.raises(CorruptArtifactError, match=r"gone\.bin is missing"):
        read_verified(tmp_path / "gone.bin", "0" * 64, lambda file: file.read())


@pytest.mark.parametrize(
    ("place", "table", "load"),
    [
        ("", "columns.parquet", load_columns),
        ("influence", "influence.parquet", InfluenceMatrix.from_pretrained),
    ],
    ids=["columns", "matrix"],
)
def test_what_is_loaded_is_not_out_of_proportion(tmp_path, place, table, load):
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"x": np.zeros(10_000_000)}), folder / table, compression="zstd")
    digest = sha256_of_file(folder / table)
    manifest = {"format_version": 2, "rows": 10_000_000, "sha256": digest, "provenance": {}}
    name = "columns.json"
    if place:
        manifest |= {"format_version": 3, "labels": ["a"], "files": {table: {"sha256": digest}}}
        name = "manifest.json"
    (folder / name).write_bytes(sealed_json(manifest))
    with pytest.raises(CorruptArtifactError, match=r"would take 8\d,000,\d+ in memory"):
        load(tmp_path)


def test_a_place_to_write_to_is_checked_and_nothing_is_made(tmp_path):
    for place in (tmp_path, tmp_path / "new", tmp_path / "new" / "below"):
        check_writable(place)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError) as raised:
            check_writable(place)
        assert raised.value.errno == errno.ENOTDIR
        assert Path(raised.value.filename) == tmp_path / "file"
        assert raised.value.strerror == "Not a folder"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix
@pytest.mark.parametrize("mode", [0o555, 0o666, 0o444])
def test_a_place_that_the_user_may_not_write_to_is_refused(mode):
    # Not in tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as closed:
        os.chmod(closed, mode)
        everything = os.geteuid() == 0
        if everything:
            os.chown(closed, 65534, -1)
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError) as raised:
                check_writable(Path(closed) if mode != 0o555 else Path(closed) / "new")
        finally:
            if everything:
                os.seteuid(0)
            os.chmod(closed, 0o700)
        assert raised.value.errno == errno.EACCES
        assert raised.value.filename == closed
        assert raised.value.strerror == "Cannot be written to"


def test_a_table_out_of_proportion_to_its_file_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    values = np.random.default_rng(0).normal(size=10_000_000)
    for column, fits in ((values, True), (np.zeros(10_000_000), False), (np.zeros(100_000), True)):
        pq.write_table(pa.table({"x": column}), path, compression="zstd")
        metadata, size = pq.read_metadata(path), path.stat().st_size
        if fits:
            require_proportion(metadata, size)
            continue
        with pytest.raises(ValueError, match=r"would take 8\d,000,\d+ in memory"):
            require_proportion(metadata, size)
