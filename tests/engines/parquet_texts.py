"""Texts of words w0 to w299, and parquet files of them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = [f"w{number}" for number in range(300)]


def some_texts(count, seed=0, nulls=40):
    """Texts of 0 to 29 words, some of them null."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, length)) for length in rng.integers(0, 30, count)]
    for place in rng.choice(count, nulls, replace=False):
        texts[place] = None
    return texts


def write_parquet(path, texts, row_group_size=1500):
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path, row_group_size)
    return path
