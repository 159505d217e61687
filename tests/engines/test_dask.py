"""A real cluster of processes: the bytes of one machine, whatever dies on the way."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import dask
import pytest
import torch
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

from hf_attn_attr import AttributionExtractor
from hf_attn_attr.data import load_labelled
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.engines.dask import extract_and_fold
from hf_attn_attr.errors import ClusterError, MissingDependencyError
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.workflow import influence_of

from .parquet_texts import some_texts, write_parquet

SHARDS = 8
KEPT = 3  # shards, when the scheduler is lost: one to damage, one to take for another, one whole
pytestmark = pytest.mark.filterwarnings("ignore:.*were cut")


@pytest.fixture(scope="module")
def cluster():
    # Workers are forked from a process that has imported torch once: seconds less each.
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload(["distributed", "hf_attn_attr.engines.dask"])
        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as running:
            yield running


@pytest.fixture
def client(cluster):
    with Client(cluster) as connection:
        yield connection


@pytest.fixture(scope="module")
def one_machine(corpus, classifier, tmp_path_factory):
    """The files of the matrix that one machine makes of the corpus."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("one_machine")
    extractor = AttributionExtractor(*load_classifier(classifier), "auto")
    influence_of(extractor, load_labelled(corpus, require_labels=False), output_dir=folder)
    return matrix_files(folder)


def matrix_files(folder):
    return {path.name: path.read_bytes() for path in (folder / "influence").iterdir()}


def saved(found, folder):
    found.matrix.save_pretrained(folder)
    return matrix_files(folder)


def kept(results):
    """When each shard that is kept was written."""
    return {path.stem: path.stat().st_mtime_ns for path in results.glob("*/shards/*.json")}


def when_kept(results, number, act):
    """Act in the middle of a run, as soon as so many shards are kept."""

    def watch():
        while len(kept(results)) < number:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_worker_killed_in_the_middle_changes_no_byte(
    client, corpus, classifier, one_machine, tmp_path
):
    killed = []

    def kill():
        (busy, *_) = [worker for worker, tasks in client.processing().items() if tasks]
        killed.append(client.run(os.getpid, workers=[busy])[busy])
        os.kill(killed[0], signal.SIGKILL)

    killer = when_kept(tmp_path / "results", 1, kill)
    found = extract_and_fold(
        corpus, classifier, client=client, results=tmp_path / "results", shard_texts=CHUNK
    )
    killer.join()
    assert saved(found, tmp_path / "many") == one_machine
    assert (found.shards, found.texts, found.dropped) == (SHARDS, SHARDS * CHUNK - 140, 40)
    client.wait_for_workers(2)
    assert killed[0] not in client.run(os.getpid).values()


def test_a_run_whose_scheduler_was_lost_goes_on_where_it_was(
    cluster, corpus, classifier, one_machine, tmp_path
):
    results = tmp_path / "results"
    options = {"results": results, "shard_texts": CHUNK}
    lost = Client(cluster)
    closer = when_kept(results, KEPT, lost.close)
    with pytest.raises(ClusterError, match=r"scheduler was lost.*run again"):
        extract_and_fold(corpus, classifier, client=lost, **options)
    closer.join()
    time.sleep(1)  # for what was in flight
    before = kept(results)
    assert KEPT <= len(before) < SHARDS

    damaged, foreign, *_ = sorted(before)
    (folder,) = results.glob("*/shards")
    file = folder / f"{damaged}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    for suffix in (".safetensors", ".json"):
        shutil.copy(folder / f"{sorted(before)[-1]}{suffix}", folder / f"{foreign}{suffix}")
    with Client(cluster) as client:
        found = extract_and_fold(corpus, classifier, client=client, **options)
        assert saved(found, tmp_path / "again") == one_machine
        after = kept(results)
        assert found.reused == len(before) - len({damaged, foreign})
        assert {name for name in before if after[name] == before[name]} == {*before} - {
            damaged,
            foreign,
        }
        once_more = extract_and_fold(corpus, classifier, client=client, **options)
    assert once_more.reused == SHARDS
    assert kept(results) == after
    assert saved(once_more, tmp_path / "once_more") == one_machine


def test_a_shard_that_fails_is_named_and_costs_no_other(client, classifier, tmp_path):
    texts = some_texts(3 * CHUNK, seed=1, nulls=0)
    good = texts[CHUNK + 7]
    texts[CHUNK + 7] = "this is an overflow indeed"
    file = write_parquet(tmp_path / "texts.parquet", texts)
    options = {"client": client, "results": tmp_path / "results", "shard_texts": CHUNK}
    with pytest.raises(ClusterError) as caught:
        extract_and_fold(file, classifier, **options)
    message = str(caught.value)
    assert "1 of 3 shards failed" in message
    assert "Shard 1 (texts 2048 to 4095" in message
    assert "texts.parquet, row group 1, row 548" in message
    assert f"Text {CHUNK + 7} is refused" in message
    assert len(kept(tmp_path / "results")) == 2

    texts[CHUNK + 7] = good
    write_parquet(file, texts)
    assert extract_and_fold(file, classifier, **options).reused == 2


def test_the_command_answers_from_a_cluster(
    command, client, cluster, corpus, classifier, one_machine, tmp_path
):
    arguments = ["--dask", cluster.scheduler_address, "--model", classifier, "--texts", corpus]
    done = command("run", *arguments, "--output", tmp_path, "--json")
    assert done.status == 0, done.err
    answer = json.loads(done.out)
    assert answer["texts"].pop("cut") > 0
    assert answer["texts"] == {"rows": SHARDS * CHUNK - 140, "dropped": 40}
    assert answer["shards"] == {"all": 1, "reused": 0}
    assert matrix_files(tmp_path) == one_machine


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dask", "tcp://127.0.0.1:1"], "give --model and --texts"),
        (["--dask", "tcp://127.0.0.1:1", "--model", "m", "--texts", "t", "--columns"], "--columns"),
        (["--results", "somewhere", "--train", "t.csv"], "Give --dask too"),
    ],
)
def test_options_that_do_not_go_together_are_refused(command, options, told, tmp_path):
    done = command("run", *options, "--output", tmp_path)
    assert done.status == 1
    assert told in done.err


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "hf_attn_attr.engines.dask")
    with pytest.raises(MissingDependencyError, match=r"pip install 'hf-attn-attr\[dask\]'"):
        import hf_attn_attr.engines.dask  # noqa: F401


def test_a_scheduler_that_does_not_answer_is_named(corpus, classifier, tmp_path):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}),
        pytest.raises(ClusterError, match=r"No scheduler answers at tcp://127\.0\.0\.1:1"),
    ):
        extract_and_fold(
            corpus, classifier, client="tcp://127.0.0.1:1", results=tmp_path / "results"
        )
