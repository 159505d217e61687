"""Damaged, foreign and hostile files: refused whole, or read as they were written."""

import json
import os
import shutil
import stat
import struct
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from influence.test_folding import dataset_of
from influence.test_storage import replaced, same
from influence.texts import LABELS, accumulated, random_rows
from safetensors import safe_open
from safetensors.numpy import save

from hf_attn_attr import InfluenceAccumulator, InfluenceMatrix
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError, NonFiniteError
from hf_attn_attr.files import canonical_json, sealed_json, sha256_of_bytes, sha256_of_file

FORMATS = Path(__file__).parent / "formats"
load_matrix, load_state = InfluenceMatrix.from_pretrained, InfluenceAccumulator.load


@pytest.fixture
def columns(tmp_path):
    save_columns(dataset_of(random_rows(0, 12)), tmp_path / "columns", {"method": "contribution"})
    return tmp_path / "columns"


@pytest.fixture
def artifacts(published, state, columns):
    """Each kind of file, and what reads it."""
    return [
        (published / "influence.parquet", lambda: load_matrix(published)),
        (published / "manifest.json", lambda: load_matrix(published)),
        (columns / "columns.parquet", lambda: load_columns(columns)),
        (columns / "columns.json", lambda: load_columns(columns)),
        (state, lambda: load_state(state)),
    ]


def resealed(folder, name="manifest.json", **changes):
    """Write a manifest again, with the right digests and other content."""
    manifest = json.loads((folder / name).read_bytes()) | changes
    del manifest["manifest_sha256"]
    if "files" in manifest:
        manifest["files"]["influence.parquet"]["sha256"] = sha256_of_file(
            folder / "influence.parquet"
        )
    (folder / name).write_bytes(sealed_json(manifest))


def rebuilt(path, change, header_change=None):
    """Write a state again, with the right digest and other tensors or header."""
    with safe_open(path, "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["hf_attn_attr"])
    change(tensors)
    header |= header_change or {}
    del header["sha256"]
    described = {
        name: [str(tensor.dtype), list(tensor.shape), sha256_of_bytes(tensor.tobytes())]
        for name, tensor in tensors.items()
    }
    header["sha256"] = sha256_of_bytes(canonical_json({"header": header, "tensors": described}))
    path.write_bytes(save(tensors, metadata={"hf_attn_attr": canonical_json(header).decode()}))


def unchanged(tensors):
    """Change no tensor."""


def raw_safetensors(header, payload=b""):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + payload


def test_01_file_truncated_at_every_byte(faults, artifacts, stride):
    """File truncated at every byte."""
    for path, read in artifacts:
        data = path.read_bytes()
        for length in range(0, len(data), stride):
            with path.open("r+b") as file:
                file.truncate(0)
                file.write(data[:length])
            with faults.refused(CorruptArtifactError):
                read()
        path.write_bytes(data)
        read()


def test_02_any_bit_flipped(faults, artifacts, stride):
    """Any single bit flipped: every bit of the manifests, one bit of every other byte."""
    for path, read in artifacts:
        data = path.read_bytes()
        for position in range(0, len(data), stride):
            for bit in range(8) if path.suffix == ".json" else [position % 8]:
                damaged = bytearray(data)
                damaged[position] ^= 1 << bit
                path.write_bytes(damaged)
                with faults.refused(CorruptArtifactError, IncompatibleError):
                    read()
        path.write_bytes(data)
        read()


def test_03_bytes_appended_holes_and_impossible_shapes(faults, artifacts, state):
    """Bytes appended, holes, overlaps, a key twice, a shape of 10^12: refused within 50 MB."""
    for path, read in artifacts:
        data = path.read_bytes()
        for tail in (b"\0", b" ", b"\n", data, os.urandom(100)):
            path.write_bytes(data + tail)
            with faults.refused(CorruptArtifactError):
                read()
        path.write_bytes(data)
    eight = {"dtype": "I64", "shape": [1]}
    hostile = [
        {"a": {**eight, "data_offsets": [0, 8]}, "b": {**eight, "data_offsets": [16, 24]}},
        {"a": {**eight, "data_offsets": [0, 8]}, "b": {**eight, "data_offsets": [4, 12]}},
        {"a": {**eight, "shape": [10**12], "data_offsets": [0, 8 * 10**12]}},
        {"a": {**eight, "shape": [2**62, 4], "data_offsets": [0, 8]}},
        b'{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},'
        b'"a":{"dtype":"I64","shape":[2],"data_offsets":[8,24]}}',
    ]
    process = psutil.Process()
    before = process.memory_info().rss
    for header in hostile:
        state.write_bytes(raw_safetensors(header, bytes(24)))
        with faults.refused(CorruptArtifactError):
            load_state(state)
    faults.survive(process.memory_info().rss - before < 50e6)


def test_04_header_length_of_2_to_the_63(faults, state, published):
    """Header length 2^63: refused in less than 100 ms."""
    for length in (2**63, 2**64 - 1, 2**40, 10**9):
        state.write_bytes(struct.pack("<Q", length) + state.read_bytes()[8:])
        start = time.perf_counter()
        with faults.refused(CorruptArtifactError):
            load_state(state)
        assert time.perf_counter() - start < 0.1  # an allocation of that size would not be
    table = published / "influence.parquet"
    table.write_bytes(table.read_bytes()[:-8] + struct.pack("<I", 2**32 - 1) + b"PAR1")
    resealed(published)
    with faults.refused(CorruptArtifactError):
        load_matrix(published)


def test_05_names_that_are_paths(faults, state, published, tmp_path):
    """Tensor, column or file named `../../x`, NUL or 10 kB long: refused, never used as a path."""
    data, before = state.read_bytes(), sorted(tmp_path.rglob("*"))
    for name in ("../../x", "/x", "\x00", "x" * 10_000, ".."):
        rebuilt(state, lambda tensors, name=name: tensors.update({name: np.zeros(1, np.int64)}))
        with faults.refused(CorruptArtifactError):
            load_state(state)
        state.write_bytes(data)
    table = published / "influence.parquet"
    sound = table.read_bytes(), (published / "manifest.json").read_bytes()
    for name in ("../../x", "/x", "\x00", "x" * 10_000):
        found = pq.read_table(table)
        pq.write_table(found.rename_columns([name, *found.column_names[1:]]), table)
        resealed(published)
        with faults.refused(CorruptArtifactError):
            load_matrix(published)
        table.write_bytes(sound[0])
        manifest = json.loads(sound[1])
        del manifest["manifest_sha256"]
        manifest["files"] = {name: manifest["files"]["influence.parquet"]}
        (published / "manifest.json").write_bytes(sealed_json(manifest))
        with faults.refused(CorruptArtifactError):
            load_matrix(published)
        (published / "manifest.json").write_bytes(sound[1])
    assert sorted(tmp_path.rglob("*")) == before


def test_06_other_format_versions(faults, state, published, columns, tmp_path):
    """Unknown format version: refused, both versions named; every older one is read."""
    for version in (0, 99, -1, "1", None, 1.5, [1]):
        resealed(published, format_version=version)
        with faults.refused(IncompatibleError, match="format version .*this release reads 1 to 3"):
            load_matrix(published)
        resealed(columns, "columns.json", format_version=version)
        with faults.refused(IncompatibleError, match="format version .*this release reads 1 to 2"):
            load_columns(columns)
        rebuilt(state, unchanged, {"format_version": version})
        with faults.refused(IncompatibleError, match="format version .*this release reads 1"):
            load_state(state)
    rows = random_rows(0, 12)
    for version in (1, 2):
        old = FORMATS / f"matrix_{version}"
        place = old if old.is_dir() else FORMATS.parents[1] / "influence" / f"format_{version}"
        matrix = load_matrix(place)
        matrix.save_pretrained(tmp_path / f"again_{version}")
        faults.survive(same(matrix, load_matrix(tmp_path / f"again_{version}")))
    faults.survive(same(matrix, accumulated(rows).finalize({"corpus": "test"})))
    dataset, provenance = load_columns(FORMATS / "columns_1")
    faults.survive(dataset.to_list() == dataset_of(rows).to_list())
    assert provenance == {"method": "contribution", "labels": list(LABELS)}
    accumulated(rows).save(tmp_path / "now")
    load_state(FORMATS / "state_1" / "state.safetensors").save(tmp_path / "old")
    faults.survive((tmp_path / "old").read_bytes() == (tmp_path / "now").read_bytes())


def test_07_right_digest_wrong_type_or_shape(faults, state, published):
    """Right digest, wrong type or shape."""
    data = state.read_bytes()
    with safe_open(state, "numpy") as file:
        names = list(file.keys())
    for name in names:
        for change in (
            lambda tensor: tensor.astype(np.int32),
            lambda tensor: tensor[:-1],
            lambda tensor: np.concatenate([tensor, tensor]),
            lambda tensor: tensor[None],
        ):
            rebuilt(state, lambda found, n=name, c=change: found.update({n: c(found[n])}))
            with faults.refused(CorruptArtifactError):
                load_state(state)
            state.write_bytes(data)
    table = published / "influence.parquet"
    sound = pq.read_table(table)
    for name in sound.column_names:
        column = pa.array(sound[name].to_pylist())
        other = pa.string() if pa.types.is_floating(column.type) else pa.binary()
        cast = column.cast(pa.string()).cast(other)
        pq.write_table(replaced(sound, name, cast), table)
        resealed(published)
        with faults.refused(CorruptArtifactError):
            load_matrix(published)
        pq.write_table(sound.drop_columns([name]), table)
        resealed(published)
        with faults.refused(CorruptArtifactError):
            load_matrix(published)


def test_08_numbers_that_cannot_be(faults, state, published):
    """NaN or infinite sums, negative counts, sums of words that do not occur."""
    table = published / "influence.parquet"
    sound, data = pq.read_table(table), state.read_bytes()
    impossible = {
        "count": [-1, 0],
        "documents": [-1, 0, 10**9],
        "joint": [np.inf, -np.inf, -0.5],
        "p_word_given_class": [np.inf, -0.5],
        "lift": [np.inf, -0.5],
        "mean": [np.inf, -np.inf],
        "influence": [np.inf, -np.inf],
        "low": [np.inf, -np.inf],
        "standard_error": [np.inf, -1.0],
        "attention_ratio": [np.inf, -1.0],
        "association_q_value": [-0.1, 1.1],
    }
    for name, values in impossible.items():
        column = sound[name].to_pylist()
        for value in values:
            spoilt = [value] * len(LABELS) + column[len(LABELS) :]
            array = pa.array(spoilt, sound.schema.field(name).type)
            pq.write_table(replaced(sound, name, array), table)
            resealed(published)
            with faults.refused(CorruptArtifactError, NonFiniteError):
                load_matrix(published)

    def negative(tensors):
        tensors["counts"][0, 0] *= -1

    def none(tensors):
        tensors["counts"][0] = 0

    def more_texts_than_words(tensors):
        tensors["counts"][0, 2] = tensors["counts"][0, 0] + 1

    def negative_attention(tensors):
        tensors["attention.high"][0] *= -1

    for change in (negative, none, more_texts_than_words, negative_attention):
        rebuilt(state, change)
        with faults.refused(CorruptArtifactError, NonFiniteError):
            load_state(state)
        state.write_bytes(data)
    for header in ({"texts": -1}, {"empty_texts": -1}, {"texts": True}, {"texts": 1.5}):
        rebuilt(state, unchanged, header)
        with faults.refused(CorruptArtifactError):
            load_state(state)
        state.write_bytes(data)


def test_09_a_word_or_label_twice(faults, state, published):
    """A word or a label twice."""
    table = published / "influence.parquet"
    sound, data = pq.read_table(table), state.read_bytes()
    words = sound["word"].to_pylist()
    for row in range(0, len(words) - 3, 3):
        twice = [*words[:row], *words[row + 3 : row + 6], *words[row + 3 :]]
        pq.write_table(
            replaced(sound, "word", pa.array(twice).dictionary_encode().cast(sound["word"].type)),
            table,
        )
        resealed(published)
        with faults.refused(CorruptArtifactError):
            load_matrix(published)
    labels = [name.replace("fear", "joy") for name in sound["label"].to_pylist()]
    encoded = pa.array(labels).dictionary_encode().cast(sound["label"].type)
    pq.write_table(replaced(sound, "label", encoded), table)
    resealed(published, labels=["joy", "joy", "anger"])
    with faults.refused(CorruptArtifactError):
        load_matrix(published)
    rebuilt(state, lambda tensors: tensors.update(words=np.frombuffer(b"aa", np.uint8)))
    with faults.refused(CorruptArtifactError):
        load_state(state)
    state.write_bytes(data)
    with safe_open(state, "numpy") as file:
        description = json.loads(file.metadata()["hf_attn_attr"])["description"]
    rebuilt(
        state, unchanged, {"description": {**description, "labels": ["joy"] * 3}}
    )  # fmt: skip
    with faults.refused(CorruptArtifactError):
        load_state(state)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_10_mode_of_a_saved_file(faults, matrix, tmp_path):
    """Umask and mode: a new file has 0o666 less the umask, an old one keeps its mode."""
    rows = dataset_of(random_rows(0, 3))
    writers = {
        "influence/influence.parquet": matrix.save_pretrained,
        "influence/manifest.json": matrix.save_pretrained,
        "columns.parquet": lambda folder: save_columns(rows, folder, {}),
        "columns.json": lambda folder: save_columns(rows, folder, {}),
        "state": lambda folder: accumulated(random_rows(0, 3)).save(folder / "state"),
        "table.csv": lambda folder: matrix.to_csv(folder / "table.csv"),
    }
    old = os.umask(0)
    try:
        for mask in (0o022, 0o077, 0o002):
            os.umask(mask)
            for number, (name, write) in enumerate(writers.items()):
                path = tmp_path / f"{mask}_{number}" / name
                write(tmp_path / f"{mask}_{number}")
                faults.survive(stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask, name)
                path.chmod(0o640)
                write(tmp_path / f"{mask}_{number}")
                faults.survive(stat.S_IMODE(path.stat().st_mode) == 0o640, name)
    finally:
        os.umask(old)


def test_11_saving_over_an_open_matrix(faults, matrix, other_matrix, published):
    """Saving over the files of a loaded matrix: the loaded one and the new files are right."""
    for saved, kept in ((other_matrix, matrix), (matrix, other_matrix)):
        loaded = load_matrix(published)
        assert same(loaded, kept)
        with (published / "influence.parquet").open("rb") as reader:
            held = reader.read(10)
            saved.save_pretrained(published.parent)
            faults.survive(same(loaded, kept))
            faults.survive(same(load_matrix(published), saved))
            reader.seek(0)
            assert reader.read(10) == held
    # Files of two revisions, each of them sound, are no matrix.
    other_matrix.save_pretrained(published.parents[1] / "other")
    for name in ("influence.parquet", "manifest.json"):
        sound = (published / name).read_bytes()
        shutil.copy(published.parents[1] / "other" / "influence" / name, published)
        with faults.refused(CorruptArtifactError):
            load_matrix(published)
        (published / name).write_bytes(sound)
