"""Many machines: what shards cost, measured; and from that the plan for 10^9 texts.

    python benchmarks/engines.py --data DATA [--rounds 3]

One process and two Dask workers, a thread each, extract and fold the same texts in turn; a worker's
start is not counted. The classifier has the default sizes and random weights, on which time does
not depend. Further: reading and digesting the corpus, merging accumulators, and how accumulators
grow with their texts.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import common
import pyarrow.parquet as pq
import torch
from distributed import Client, LocalCluster

from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    measure_gauge,
    train_tokenizer,
)
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.engines.corpus import Corpus
from hf_attn_attr.engines.dask import FAN_IN, extract_and_fold
from hf_attn_attr.engines.shards import finished, fold_shard, job_of, merge
from hf_attn_attr.tokenization import save_tokenizer

LABELS = 6


def main() -> None:
    """Measure, print a table, write `results/engines.json`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(1)
    file = given.data / "emotion_train.parquet"
    texts = pq.read_table(file, columns=["text"])["text"].to_pylist()
    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        model, results = classifier(texts, Path(temporary)), Path(temporary) / "results"

        def alone_(number: Any) -> bytes:
            return files_of(alone(file, model, results / f"one{number}"), results / "matrix")

        def cluster_(number: Any) -> bytes:
            found = extract_and_fold(
                file, model, client=client, results=results / f"two{number}", shard_texts=CHUNK
            )
            return files_of(found.matrix, results / "matrix")

        same = alone_("warm") == cluster_("warm")
        rounds = []
        for number in range(given.rounds):
            seconds = {"one": timed(alone_, number), "two": timed(cluster_, number)}
            rounds.append(seconds)
            print(seconds, flush=True)
        result = {
            "texts": len(texts),
            "words_per_text": sum(len(text.split()) for text in texts) / len(texts),
            "bytes_per_text": sum(len(text.encode()) for text in texts) / len(texts),
            "labels": LABELS,
            "same_bytes": same,
            "rounds": rounds,
            **parts(file, model, results / "parts"),
        }
    common.save("engines", result)
    one, two = (len(texts) / median(round_[arm] for round_ in rounds) for arm in ("one", "two"))
    common.show(
        f"{len(texts):,} texts, {LABELS} labels, median of {len(rounds)} rounds",
        ("what", "measured"),
        [
            ("one process", f"{one:,.0f} texts/s"),
            ("two Dask workers", f"{two:,.0f} texts/s, {two / one:.2f}x"),
            ("reading and digesting the corpus", f"{result['survey_texts_per_s']:,.0f} texts/s"),
            ("merging", f"{result['merge_bytes_per_s'] / 1e6:,.0f} MB/s"),
            *(
                (f"accumulator of {n['texts']:,} texts", f"{n['bytes']:,} bytes")
                for n in result["accumulators"]
            ),
        ],
    )  # fmt: skip


def classifier(texts: list[str], folder: Path) -> Path:
    """A classifier of the default sizes with random weights, saved."""
    tokenizer = train_tokenizer(texts)
    torch.manual_seed(0)
    model = SelfAttentiveForSequenceClassification(
        SelfAttentiveConfig(vocab_size=len(tokenizer), num_labels=LABELS)
    )
    measure_gauge(model, tokenizer, texts[:500])
    model.save_pretrained(folder / "model")
    save_tokenizer(tokenizer, str(folder / "model"))
    return folder / "model"


def alone(file: Path, model: Path, results: Path) -> Any:
    """The matrix, made in this process, shard after shard."""
    job, extractor, corpus = ready(file, model, results)
    entries = [fold_shard(job, shard)[0] for shard in corpus.shards()]
    return finished(job, extractor, corpus, merge(job, entries), file.name)


def ready(file: Path, model: Path, results: Path) -> Any:
    """A job, its extractor and the corpus."""
    folding = {"lowercase": True, "normalization": "NFC"}
    job, extractor = job_of(
        model, results=results, attribution={"method": "auto"}, folding=folding, device="cpu"
    )
    return job, extractor, Corpus([str(file)], "text", CHUNK)


def files_of(matrix: Any, folder: Path) -> bytes:
    """The bytes of a matrix."""
    matrix.save_pretrained(folder)
    names = ("influence.parquet", "manifest.json")
    return b"".join((folder / "influence" / name).read_bytes() for name in names)


def timed(function: Callable[[Any], Any], *arguments: Any) -> float:
    """Seconds it takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def peak(function: Callable[[], Any]) -> int:
    """The most bytes it holds at a time, as tracemalloc counts them."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def parts(file: Path, model: Path, results: Path) -> dict[str, Any]:
    """Rates of reading and merging, and sizes of accumulators of 2,048 texts and more."""
    job, _, corpus = ready(file, model, results)
    survey = median(timed(lambda: list(corpus.shards())) for _ in range(3))
    entries = [fold_shard(job, shard)[0] for shard in corpus.shards()]
    grown, size = [], 1
    while size <= len(entries):
        entry = merge(job, entries[:size])
        words = len(job.kept.load(entry).finalize().words)
        grown.append({"texts": entry.texts, "bytes": entry.bytes, "words": words})
        size *= 2
    whole = merge(job, entries)
    # Groups that have not been merged yet, or they would be found.
    groups = [entries[first : first + FAN_IN - 1] for first in range(1, len(entries) - FAN_IN + 2)]
    groups = groups or [entries[1:]]
    rates = [sum(e.bytes for e in group) / timed(merge, job, group) for group in groups[:3]]
    return {
        "survey_texts_per_s": corpus.texts / survey,
        "merge_bytes_per_s": median(rates),
        # Of two accumulators of like words, as at the root of the tree, and of the end.
        "merge_peak": peak(lambda: merge(job, entries[1:3])) / merge(job, entries[1:3]).bytes,
        "finalize_peak": peak(lambda: job.kept.load(whole).finalize()) / whole.bytes,
        "accumulators": grown,
    }


if __name__ == "__main__":
    main()
