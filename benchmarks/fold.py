"""What the fold costs, in time and memory, beside scipy and three group-bys.

    python benchmarks/fold.py

2 million words in texts of 20, of a vocabulary of 50,000 by Zipf's law, with random attention,
probabilities and attributions, for 6 and for 28 classes, on one thread. J is the joint alone: word
x class sums of attention times probability, as exact sums with counts and every check (`update` of
columns without attributions); the plain product is scipy's in float64, which checks nothing, from
the same columns, and the group-bys are of the same products. CPU time of a whole fold, vocabulary
discovered, and of the same words again ("known words", as in a long fold); rounds are interleaved
and the median counts. Memory is measured in a process of its own over a memory-mapped file: the
largest anonymous memory against what the accumulator holds at the end. Results go to
`results/fold.json`.

The peers are for this table alone; one that is not installed is left out and named:

    pip install polars duckdb pandas
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"

import common
import numpy as np
import pyarrow as pa
from corpus import Corpus, corpus
from scipy.sparse import csc_array

from hf_attn_attr import InfluenceAccumulator
from hf_attn_attr.influence.folding import BATCH_SIZE

VOCABULARY = 50_000


def main() -> None:
    """Measure, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--texts", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    pa.set_cpu_count(1)
    result = {
        "vocabulary": VOCABULARY,
        "batch": BATCH_SIZE,
        "missing": [name for name in ("pandas", "polars", "duckdb") if not find_spec(name)],
        "classes": {str(c): measure(c, arguments.texts, arguments.rounds) for c in (6, 28)},
    }
    common.save("fold", result)
    for n_classes, found in result["classes"].items():
        rows = [
            (name, f"{ns:.1f}", f"{1e3 / ns:.1f}", f"{ns / found['ns']['scipy, float64']:.2f}")
            for name, ns in found["ns"].items()
        ]
        common.show(f"{n_classes} classes", ("fold", "ns a word", "M words/s", "x scipy"), rows)
        for name, one in found["memory"].items():
            print(f"{name}: peak {one['peak']:.0f} MiB, accumulator {one['accumulator']:.0f} MiB")


def measure(n_classes: int, n_texts: int, rounds: int) -> dict[str, Any]:
    """CPU nanoseconds a word of every way, and memory."""
    texts = corpus(n_texts, VOCABULARY, n_classes)
    arms = ours(texts) | {"scipy, float64": lambda: plain(texts)} | group_bys(texts)
    check(texts)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in list(arms)[:: 1 if number % 2 else -1]:
            start = time.process_time()
            arms[name]()
            if number:  # the first is for warming up
                times[name].append((time.process_time() - start) / len(texts.ids) * 1e9)
    return {
        "words": len(texts.ids),
        "ns": {name: median(values) for name, values in times.items()},
        "memory": {kind: memory(n_texts, n_classes, kind == "whole") for kind in ("J", "whole")},
    }


def ours(texts: Corpus) -> dict[str, Callable[[], Any]]:
    """The fold of J and of everything, words given as numbers of a dictionary or written out."""
    arms: dict[str, Callable[[], Any]] = {}
    for key, written in (("numbered", False), ("written", True)):
        for kind, whole in (("J", False), ("whole", True)):
            table = texts.table(written=written, attribution=whole)
            arms[f"{kind}, {key} words"] = lambda table=table: fold(table, texts.n_classes)
            if not written:
                held = fold(table, texts.n_classes)
                arms[f"{kind}, known words"] = lambda table=table, held=held: add(held, table)
    return arms


def fold(table: pa.Table, n_classes: int) -> InfluenceAccumulator:
    """A new accumulator of the table."""
    return add(InfluenceAccumulator([f"class {c}" for c in range(n_classes)]), table)


def add(accumulator: InfluenceAccumulator, table: pa.Table) -> InfluenceAccumulator:
    """The accumulator with the table added, in the batches of `fold`."""
    for start in range(0, len(table), BATCH_SIZE):
        accumulator.update(table.slice(start, BATCH_SIZE), first_row=start)
    return accumulator


def plain(texts: Corpus) -> np.ndarray:
    """J by one sparse product in float64, from the same columns."""
    shape = (VOCABULARY, len(texts.probabilities))
    attention = csc_array((texts.attention.astype(np.float64), texts.ids, texts.offsets), shape)
    return attention @ texts.probabilities.astype(np.float64)


def group_bys(texts: Corpus) -> dict[str, Callable[[], Any]]:
    """J as a group-by of the products of each word, by three libraries."""
    arms: dict[str, Callable[[], Any]] = {}
    names = [f"p{c}" for c in range(texts.n_classes)]
    text = texts.text_of_word()

    if find_spec("pandas"):
        import pandas as pd

        def by_pandas() -> Any:
            products = texts.probabilities.astype(np.float64)[text]
            products *= texts.attention[:, None]
            return pd.DataFrame(products, columns=names).groupby(texts.ids).sum()

        arms["pandas group-by"] = by_pandas
    if find_spec("polars"):
        import polars as pl

        words = pl.DataFrame({"word": texts.ids, "text": text, "attention": texts.attention})
        classes = pl.DataFrame(dict(zip(names, texts.probabilities.T, strict=True)))

        def by_polars() -> Any:
            wide = pl.concat([words, classes[words["text"]]], how="horizontal").lazy()
            product = [pl.col(n).cast(pl.Float64) * pl.col("attention") for n in names]
            return wide.group_by("word").agg([p.sum() for p in product]).collect()

        arms["polars group-by"] = by_polars
    if find_spec("duckdb"):
        import duckdb

        found = duckdb.connect(config={"threads": 1})
        words_table = pa.table({"word": texts.ids, "text": text, "attention": texts.attention})
        numbered = {"text": np.arange(len(texts.probabilities), dtype=np.int32)}
        columns = dict(zip(names, texts.probabilities.T.copy(), strict=True))
        found.register("words_", words_table)
        found.register("classes_", pa.table(numbered | columns))
        found.execute("create table words as select * from words_")
        found.execute("create table classes as select * from classes_")
        sums = ", ".join(f"sum(attention::double * {n})" for n in names)
        query = f"select word, {sums} from words join classes using (text) group by word"
        arms["duckdb group-by"] = lambda: found.sql(query).to_arrow_table()
    return arms


def check(texts: Corpus) -> None:
    """Ours against scipy's product, so that the same thing is timed."""
    matrix = fold(texts.table(written=True, attribution=False), texts.n_classes).finalize()
    rows = [int(word.removeprefix("w")) for word in matrix.words]
    wanted = plain(texts)[rows] / len(texts.probabilities)
    np.testing.assert_allclose(matrix.joint, wanted, rtol=1e-9, atol=1e-17)


def memory(n_texts: int, n_classes: int, whole: bool) -> dict[str, float]:
    """MiB at the most and at the end, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.arrow"
        table = corpus(n_texts, VOCABULARY, n_classes).table(written=True, attribution=whole)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, BATCH_SIZE)
        del table
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            return process.submit(_memory, path, n_classes).result()


def _memory(path: Path, n_classes: int) -> dict[str, float]:
    pa.set_cpu_count(1)
    warm = corpus(100, 50, n_classes).table(written=True, attribution=True)
    fold(warm, n_classes)
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
        before = anonymous()
        with Watch() as watch:
            accumulator = fold(table, n_classes)
        totals = accumulator._totals()
    held = totals.counts.nbytes + sum(s.high.nbytes + s.low.nbytes for s in totals.sums.values())
    names = sum(len(word) + 49 + 100 for word in totals.words)  # a str and its place in a dict
    return {"peak": watch.peak - before, "accumulator": (held + names) / 2**20}


class Watch:
    """The largest anonymous memory of the process inside a `with`, looked at every 2 ms."""

    def __enter__(self) -> "Watch":
        self.peak, self._done = anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(0.002):
            self.peak = max(self.peak, anonymous())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def anonymous() -> float:
    """Anonymous resident memory of this process, MiB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
