"""A real cluster of processes: the bytes of one machine, whatever dies on the way."""

import os
import signal
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distributed import Client, LocalCluster

from hf_attn_attr import (
    AttributionExtractor,
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    measure_gauge,
    train_tokenizer,
)
from hf_attn_attr.data import load_labelled
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.engines.dask import extract_and_fold
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.tokenization import save_tokenizer
from hf_attn_attr.workflow import influence_of

WORDS = [f"w{number}" for number in range(300)]
SHARDS = 6


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running


@pytest.fixture
def client(cluster):
    with Client(cluster) as connection:
        yield connection


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Parquet files with row groups, nulls and empty texts that fit no shard; and a bad text."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 30, SHARDS * CHUNK - 100)
    texts = [" ".join(rng.choice(WORDS, length)) for length in lengths]
    for place in rng.choice(len(texts), 40, replace=False):
        texts[place] = None
    for name, part in (("a", texts[:5000]), ("b", texts[5000:])):
        pq.write_table(pa.table({"text": part}), folder / f"{name}.parquet", row_group_size=1500)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A classifier that answers one word, "overflow", with infinity."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([" ".join(WORDS), "overflow"] * 2)
    torch.manual_seed(0)
    net = SelfAttentiveForSequenceClassification(
        SelfAttentiveConfig(
            vocab_size=len(tokenizer),
            num_labels=3,
            embedding_size=12,
            hidden_size=8,
            char_ngram_buckets=0,
            max_length=24,
        )
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.4)
        measure_gauge(net, tokenizer, [" ".join(WORDS[i : i + 9]) for i in range(0, 300, 3)])
        net.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids("overflow")] = 3e38
    net.save_pretrained(folder)
    save_tokenizer(tokenizer, str(folder))
    return folder


@pytest.fixture(scope="module")
def one_machine(corpus, model, tmp_path_factory):
    """The files of the matrix that one machine makes of the corpus."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("one_machine")
    extractor = AttributionExtractor(*load_classifier(model), "auto")
    with pytest.warns(UserWarning, match="were cut"):
        influence_of(extractor, load_labelled(corpus, require_labels=False), output_dir=folder)
    return matrix_files(folder)


def matrix_files(folder):
    return {path.name: path.read_bytes() for path in (folder / "influence").iterdir()}


def saved(found, folder):
    found.matrix.save_pretrained(folder)
    return matrix_files(folder)


def kept(results):
    """When each shard that is kept was written."""
    return {path.name: path.stat().st_mtime_ns for path in results.glob("*/shards/*.json")}


def when_kept(results, number, act):
    """Do something in the middle of a run, as soon as so many shards are kept."""

    def watch():
        while len(kept(results)) < number:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.filterwarnings("ignore:.*were cut")
def test_a_worker_killed_in_the_middle_changes_no_byte(
    client, corpus, model, one_machine, tmp_path
):
    results = tmp_path / "results"
    killed = []

    def kill():
        (busy, *_) = [worker for worker, tasks in client.processing().items() if tasks]
        killed.append(client.run(os.getpid, workers=[busy])[busy])
        os.kill(killed[0], signal.SIGKILL)

    killer = when_kept(results, 1, kill)
    found = extract_and_fold(corpus, model, client=client, results=results, shard_texts=CHUNK)
    killer.join()
    assert saved(found, tmp_path / "many") == one_machine
    assert (found.shards, found.texts, found.dropped) == (SHARDS, SHARDS * CHUNK - 140, 40)
    client.wait_for_workers(2)
    assert killed[0] not in client.run(os.getpid).values()
