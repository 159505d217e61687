"""Full disks, places that cannot be written, several writers, and caches that were cut."""

import errno
import gc
import multiprocessing
import os
import re
import resource
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset, load_from_disk
from influence.test_folding import dataset_of
from influence.test_storage import same
from influence.texts import accumulated, random_rows
from test_extraction import TEXTS, make, tokenizer  # noqa: F401
from test_training import SMALL, reviews

from hf_attn_attr import AttributionExtractor, InfluenceMatrix, extract
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.errors import CorruptArtifactError
from hf_attn_attr.files import sealed_json, sha256_of_file
from hf_attn_attr.training import averaging, checkpoints, fit, saving
from hf_attn_attr.workflow import influence_of

from .killing import run
from .test_crashes import contents, two_results  # noqa: F401


@pytest.fixture
def extracted(tokenizer, tmp_path):  # noqa: F811
    """5,000 extracted rows in a folder."""
    texts = [TEXTS[i % len(TEXTS)] + f" {i}" for i in range(5000)]
    columns = extract(Dataset.from_dict({"text": texts}), make(tokenizer), tokenizer)
    save_columns(columns, tmp_path / "columns", {})
    return tmp_path / "columns"


def test_14_columns_cut_at_a_batch_of_rows(faults, extracted):
    """Columns cut between batches of rows, which Arrow takes for the end: rows are counted."""
    path, manifest = extracted / "columns.parquet", extracted / "columns.json"
    table, facts = pq.read_table(path), load_columns(extracted)[1]
    for rows in [*range(0, 5000, 400), 4999, 2600]:
        pq.write_table(table.slice(0, rows), path)
        with faults.refused(CorruptArtifactError, match="SHA-256"):
            load_columns(extracted)
        told = {
            "format_version": 2, "rows": 5000, "sha256": sha256_of_file(path), "provenance": facts,
        }  # fmt: skip
        manifest.write_bytes(sealed_json(told))
        with faults.refused(CorruptArtifactError, match=f"{rows:,} of 5000 rows"):
            load_columns(extracted)


def test_15_a_cache_cut_at_a_batch_of_rows(faults, tokenizer, tmp_path):  # noqa: F811
    """The cache of an extraction cut between batches of rows: refused, and named.

    Of texts that come cut out of `load_from_disk`, or through a `cache_file_name` given to
    `Dataset.map` itself, nobody has said how many they were. They are taken as they are.
    """
    texts = [TEXTS[i % len(TEXTS)] + f" {i}" for i in range(7000)]
    Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "texts")
    model = make(tokenizer)

    def work():
        return extract(load_from_disk(tmp_path / "texts"), model, tokenizer)

    whole = work()
    (cache,) = (Path(file["filename"]) for file in whole.cache_files)
    data = cache.read_bytes()
    with pa.memory_map(str(cache)) as source:
        stream = pa.ipc.open_stream(source)
        batches = list(stream)
        schema = stream.schema
    assert len(batches) > 3
    for kept in range(len(batches)):
        cache.unlink()  # the open one stays as it was
        with pa.OSFile(str(cache), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches[:kept]:
                writer.write_batch(batch)
        rows = sum(len(batch) for batch in batches[:kept])
        with faults.refused(CorruptArtifactError, match=f"{rows:,} of 7,000 rows"):
            work()
    cache.unlink()
    cache.write_bytes(data)
    assert work()["words"][:] == whole["words"][:]
    shutil.rmtree(tmp_path / "texts")


def writers(results, columns):
    """For each writer the file that grows, and what writes it."""
    matrix = accumulated(random_rows(7, 60)).finalize()
    state = accumulated(random_rows(7, 60))
    weights = {name: torch.ones(200) for name in ("a", "b")}

    def save_averaging(folder):
        callback = averaging.WeightAveraging(0.9)
        callback.average, callback.raw = weights, {name: 2 * w for name, w in weights.items()}
        place = folder / "checkpoint-1"
        place.mkdir(exist_ok=True)
        args = SimpleNamespace(output_dir=folder)
        callback.on_save(args, SimpleNamespace(global_step=1), None)

    def save_vouching(folder):
        (folder / "small").mkdir(exist_ok=True)
        for number in range(30):
            (folder / "small" / f"{number}").touch()
        checkpoints.vouch(folder / "small")

    return {
        "matrix": matrix.save_pretrained,
        "state": lambda folder: state.save(folder / "state"),
        "csv": lambda folder: matrix.to_csv(folder / "table.csv"),
        "columns": lambda folder: save_columns(columns, folder, {}),
        "model": lambda folder: saving.save_training(results[1], folder),
        "averaging": save_averaging,
        "complete": save_vouching,
    }


KINDS = ["matrix", "state", "csv", "columns", "model", "averaging", "complete"]


@pytest.mark.parametrize("kind", KINDS)
def test_20_disk_full(faults, kind, two_results, tmp_path):  # noqa: F811
    """Disk full at 10 sizes per writer: OSError that names the place, the old files, no litter."""
    write = writers(two_results, dataset_of(random_rows(0, 60)))[kind]
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder)
    before = contents(folder)
    largest = max(map(len, before.values()))
    for cut in range(10):
        size = largest * cut // 10

        def full(size=size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            with pytest.raises(OSError, match=re.escape(str(folder))) as raised:
                write(folder)
            assert raised.value.errno == errno.EFBIG

        run(full)
        faults.survive(contents(folder) == before, f"at {size} of {largest}")
    write(folder)


@pytest.fixture
def nobody():
    """Rights are those of nobody, if the tests are run by somebody who may do everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


class ComputedError(Exception):
    """The job had begun to compute."""


def test_21_places_that_cannot_be_written(faults, matrix, tokenizer, two_results, request):  # noqa: F811
    """No right to write, a file for a folder, no such place: refused before computing."""
    place = Path(tempfile.mkdtemp())
    (place / "file").write_text("kept")
    (place / "closed").mkdir()
    (place / "closed").chmod(0o555)
    place.chmod(0o755)
    model = make(tokenizer)
    extractor = AttributionExtractor(model, tokenizer)

    def computed(*args, **kwargs):
        raise ComputedError

    extractor.table = computed
    texts = SimpleNamespace(dataset=Dataset.from_dict({"text": TEXTS}))
    table = reviews(20)
    rows = dataset_of(random_rows(0, 4))
    request.getfixturevalue("nobody")
    for name in ("file", "file/below", "closed", "closed/below/that"):
        target = place / name
        with faults.refused(OSError, match=name.split("/")[0]):
            fit(table, output_dir=target, config=SMALL, progress=False)
        with faults.refused(OSError, match=name.split("/")[0]):
            influence_of(extractor, texts, output_dir=target)
        with faults.refused(OSError, match=name.split("/")[0]):
            matrix.save_pretrained(target)
        with faults.refused(OSError, match=name.split("/")[0]):
            save_columns(rows, target, {})
        with faults.refused(OSError, match=name.split("/")[0]):
            matrix.to_csv(target / "table.csv")
    with pytest.raises(ComputedError):
        influence_of(extractor, texts, output_dir=Path(tempfile.gettempdir()))
    assert (place / "file").read_text() == "kept"
    assert not list((place / "closed").iterdir())


def _save_often(matrices, folder, rounds):
    gc.freeze()
    for number in range(rounds):
        matrices[number % len(matrices)].save_pretrained(folder)


def test_22_several_processes_save_to_one_folder(faults, tmp_path, thorough):
    """8 processes save to one folder: whoever reads finds the whole matrix of one of them."""
    matrices = [accumulated(random_rows(seed, 8)).finalize() for seed in range(8)]
    matrices[0].save_pretrained(tmp_path)
    rounds = 100 if thorough else 12
    context = multiprocessing.get_context("fork")
    writing = [
        context.Process(target=_save_often, args=(matrices[n:] + matrices[:n], tmp_path, rounds))
        for n in range(8)
    ]
    for process in writing:
        process.start()
    while any(process.is_alive() for process in writing):
        found = InfluenceMatrix.from_pretrained(tmp_path)
        faults.survive(any(same(found, matrix) for matrix in matrices))
    for process in writing:
        process.join(60)
        assert process.exitcode == 0
    found = InfluenceMatrix.from_pretrained(tmp_path)
    faults.survive(any(same(found, matrix) for matrix in matrices))
    assert sorted(path.name for path in (tmp_path / "influence").iterdir()) == [
        "influence.parquet", "manifest.json",
    ]  # fmt: skip
