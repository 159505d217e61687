"""SIGKILL at any moment of whole jobs: nothing partial is accepted, nothing committed is lost.

A few moments each here; `make kill` tries 50 of each.
"""

import gc
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from datasets import Dataset, concatenate_datasets, load_from_disk
from engines.conftest import classifier  # noqa: F401
from engines.parquet_texts import some_texts, write_parquet
from hub.conftest import hub  # noqa: F401
from influence.test_folding import dataset_of
from influence.test_storage import same
from influence.texts import accumulated, random_rows
from test_extraction import Threaded, make

from hf_attn_attr import (
    IncompleteCheckpointError,
    InfluenceAccumulator,
    InfluenceMatrix,
    extract,
    fold,
    train_tokenizer,
)
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.extraction import AttributionExtractor
from hf_attn_attr.files import settle

from .killing import killed_after, landed, run
from .test_crashes import contents, trained

KILLS = int(os.environ.get("KILLS", "2"))
REPO = "owner/matrix"
ON_A_CLUSTER = Path(__file__).parent / "on_a_cluster.py"


def test_a_process_clears_nothing_away_that_was_there_before_it(tmp_path):
    """It would wait for threads that it does not have: a session of ONNX Runtime did."""
    gc.disable()
    try:
        Threaded(tmp_path / "told")
        run(gc.collect)
    finally:
        gc.enable()
    assert not (tmp_path / "told").exists()


def test_12_death_at_any_moment_of_saving(faults, tmp_path):
    """SIGKILL at any moment of saving a matrix and columns of 3,000 words."""
    vocabulary = [f"word{i:x}" for i in range(3000)]
    rows = [random_rows(seed, 400, vocabulary=vocabulary, longest=40) for seed in (0, 1)]
    datasets = [dataset_of(each) for each in rows]
    matrices = [accumulated(each).finalize() for each in rows]

    def save(number, folder):
        matrices[number].save_pretrained(folder)
        save_columns(datasets[number], folder, {"number": number})

    seconds = run(lambda: save(1, tmp_path / "1"))
    folder = tmp_path / "folder"

    def kill(moment):
        shutil.rmtree(folder, ignore_errors=True)
        save(0, folder)
        return killed_after(lambda: save(1, folder), moment)

    for _ in landed(KILLS, seconds, kill):
        found = InfluenceMatrix.from_pretrained(folder)
        columns, provenance = load_columns(folder)
        whole = any(same(found, one) for one in matrices)
        faults.survive(whole and columns.to_list() == datasets[provenance["number"]].to_list())
        save(1, folder)
        assert contents(folder) == contents(tmp_path / "1")


@pytest.fixture(scope="module")
def texts():
    words = ["love", "hate", "film", "dull", "grand", "a", "the"]
    draw = random.Random(1)
    return [" ".join(draw.choices(words, k=draw.randrange(30))) for _ in range(6000)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts)


@pytest.mark.parametrize("num_proc", [1, 4])
def test_13_death_at_any_moment_of_extraction(faults, texts, tokenizer, tmp_path, num_proc):
    """SIGKILL at any moment of an extraction, its children too: a rerun gives the same columns."""
    model = make(tokenizer)

    def work(folder):
        dataset = load_from_disk(folder)
        if num_proc == 1:
            columns = extract(dataset, model, tokenizer)
        else:
            extractor = AttributionExtractor(model, tokenizer)
            columns = dataset.map(
                extractor, batched=True, batch_size=100, features=None, num_proc=num_proc
            )
        save_columns(columns, folder / "columns", {})

    def anew(name):
        count = len(texts) if num_proc == 1 else 800
        Dataset.from_dict({"text": texts[:count]}).save_to_disk(tmp_path / name)
        return tmp_path / name

    whole = anew("whole")
    seconds = run(lambda: work(whole))
    folder = tmp_path / "killed"

    def kill(moment):
        shutil.rmtree(folder, ignore_errors=True)
        anew("killed")
        return killed_after(lambda: work(folder), moment)

    for moment in landed(KILLS, seconds, kill):
        run(lambda: work(folder))
        faults.survive(contents(folder / "columns") == contents(whole / "columns"), str(moment))


def test_16_death_at_any_moment_of_training(faults, tmp_path):
    """SIGKILL at any moment of a training: resumed, it comes to the same weights."""

    def work(folder, **options):
        trained(folder, **options).model.save_pretrained(folder / "model")

    seconds = run(lambda: work(tmp_path / "whole"))
    wanted = contents(tmp_path / "whole" / "model")["model.safetensors"]

    folder = tmp_path / "killed"

    def kill(moment):
        shutil.rmtree(folder, ignore_errors=True)
        return killed_after(lambda: work(folder), moment)

    def resume():
        try:
            work(folder, resume=True)
        except IncompleteCheckpointError:  # nothing was complete yet
            assert not list((folder / "checkpoints").glob("seed_0/*/complete.json"))
            work(folder)

    for moment in landed(KILLS, seconds, kill):
        run(resume)
        found = contents(folder / "model")["model.safetensors"]
        faults.survive(found == wanted, str(moment))


def test_19_death_at_any_moment_of_a_fold(faults, tmp_path):
    """SIGKILL at any moment of a fold that keeps its sums: the matrix is that of a whole fold."""
    vocabulary = [f"word{i:x}" for i in range(3000)]
    datasets = [
        dataset_of(random_rows(seed, 150, vocabulary=vocabulary, longest=40)) for seed in range(6)
    ]

    def work(folder):
        folder.mkdir(exist_ok=True)
        total = None
        for number, dataset in enumerate(datasets):
            path = folder / f"shard_{number}"
            if not path.is_file():
                part = InfluenceAccumulator(("joy", "fear", "anger"))
                part.update(dataset.with_format("arrow")[:])
                part.save(path)
            part = InfluenceAccumulator.load(path)
            if total is None:
                total = part
            else:
                total.merge(part)
        total.finalize().save_pretrained(folder)

    seconds = run(lambda: work(tmp_path / "whole"))
    wanted = contents(tmp_path / "whole" / "influence")
    whole = fold(concatenate_datasets(datasets))  # in one go
    assert same(whole, InfluenceMatrix.from_pretrained(tmp_path / "whole"))
    folder = tmp_path / "killed"

    def kill(moment):
        shutil.rmtree(folder, ignore_errors=True)
        return killed_after(lambda: work(folder), moment)

    for moment in landed(KILLS, seconds, kill):
        run(lambda: work(folder))
        faults.survive(contents(folder / "influence") == wanted, str(moment))


def test_19_death_at_any_moment_of_a_cluster(faults, classifier, tmp_path):  # noqa: F811
    """SIGKILL of a whole cluster at any moment of its work: run again, it comes to the same."""
    corpus = write_parquet(tmp_path / "texts.parquet", some_texts(4 * CHUNK))

    def work(folder):
        # A program of its own: a forked process would have threads and locks of Dask's that are
        # gone, where other tests have used it before.
        arguments = [ON_A_CLUSTER, corpus, classifier, folder]
        os.execv(sys.executable, [sys.executable, *map(str, arguments)])

    seconds = run(lambda: work(tmp_path / "whole"))
    wanted = contents(tmp_path / "whole" / "influence")
    folder = tmp_path / "killed"

    def kill(moment):
        shutil.rmtree(folder, ignore_errors=True)
        return killed_after(lambda: work(folder), moment)

    for moment in landed(KILLS, seconds, kill):
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/shards/*.json")}
        run(lambda: work(folder))
        same_files = all(path.stat().st_mtime_ns == when for path, when in kept.items())
        faults.survive(same_files and contents(folder / "influence") == wanted, str(moment))


def test_12_death_at_any_moment_of_publishing(faults, hub, matrix, other_matrix):  # noqa: F811
    """SIGKILL at any moment of a push: the repository has all of it or nothing, and again works."""
    seconds = run(lambda: matrix.push_to_hub(REPO))
    repository = hub.repository(REPO)
    pushed = [dict(repository.files())]
    run(lambda: other_matrix.push_to_hub(REPO))
    pushed.append(dict(repository.files()))

    def kill(moment):
        other_matrix.push_to_hub(REPO)
        return killed_after(lambda: matrix.push_to_hub(REPO), moment)

    for moment in landed(KILLS, seconds, kill):
        faults.survive(dict(repository.files()) in pushed, str(moment))
        matrix.push_to_hub(REPO)
        assert dict(repository.files()) == pushed[0]


def test_23_death_leaves_no_lock(faults, matrix, other_matrix, tmp_path):
    """Lock holder killed: there is no lock; the next writer and reader go on at once.

    Whatever a dead process had decided is finished by the next, and all that it had not is cleared
    away, so nobody can hold up anybody.
    """
    matrix.save_pretrained(tmp_path)

    def kill(moment):
        return killed_after(lambda: [matrix.save_pretrained(tmp_path) for _ in range(99)], moment)

    for _ in landed(KILLS, 0.5, kill):
        settle(tmp_path / "influence")
        InfluenceMatrix.from_pretrained(tmp_path)
        other_matrix.save_pretrained(tmp_path)
        names = sorted(path.name for path in (tmp_path / "influence").iterdir())
        faults.survive(names == ["influence.parquet", "manifest.json"], names)
