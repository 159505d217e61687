"""Whether the fold stays linear and bounded: 100 million words, and a stream of a million texts.

    python benchmarks/scale.py

Words by Zipf's law out of a vocabulary of 2 million, 6 classes, everything folded (attention,
attributions and their moments), on one thread. The long fold gets a batch of 10,000 texts after the
other, made as it goes, under a cap of 200,000 words; CPU time of the fold alone is noted every 5
million words and a line is fitted through it. The stream is an `IterableDataset` of `datasets` over
Arrow files, folded by `fold` into a matrix, under that cap and without. A thousand cells of the
long fold are added up once more in rational arithmetic: they must be the same, bit for bit.
Memory is the largest anonymous memory of the process, above what it had before. Results go to
`results/scale.json`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa
from corpus import corpus
from datasets import ClassLabel, Features, List, Value, load_dataset
from fold import Watch, anonymous
from sampled_cells import SampledCells

from hf_attn_attr import InfluenceAccumulator, fold

CLASSES, VOCABULARY, BATCH = 6, 2_000_000, 10_000


def main() -> None:
    """Measure, print, save."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--words", type=int, default=100_000_000)
    options.add_argument("--texts", type=int, default=1_000_000)
    options.add_argument("--max-words", type=int, default=200_000)
    arguments = options.parse_args()
    pa.set_cpu_count(1)
    result = {
        "classes": CLASSES,
        "vocabulary": VOCABULARY,
        "long": long_fold(arguments.words, arguments.max_words),
        "stream": stream(arguments.texts, arguments.max_words),
        "stream_without_cap": stream(arguments.texts, None),
    }
    common.save("scale", result)
    for name in ("long", "stream", "stream_without_cap"):
        print(name, {key: value for key, value in result[name].items() if key != "course"})


def long_fold(n_words: int, max_words: int) -> dict[str, Any]:
    """Seconds and memory of a fold under a cap."""
    labels = [f"class {c}" for c in range(CLASSES)]
    accumulator = InfluenceAccumulator(labels, max_words=max_words)
    dictionary = pa.array([f"w{i}" for i in range(VOCABULARY)])
    before = anonymous()
    sampled = SampledCells(corpus(BATCH, VOCABULARY, CLASSES, dictionary=dictionary))
    seconds, words, seed, course = 0.0, 0, 0, []
    with Watch() as watch:
        while words < n_words:
            texts = corpus(BATCH, VOCABULARY, CLASSES, seed=seed, dictionary=dictionary)
            table = texts.table(written=True, attribution=True)
            start = time.process_time()
            accumulator.update(table)
            seconds += time.process_time() - start
            sampled.add(texts)
            words, seed = words + len(texts.ids), seed + 1
            if seed % 25 == 0:
                course.append((words, seconds))
    x, y = np.array(course).T
    slope, intercept = np.polyfit(x, y, 1)
    left = y - slope * x - intercept
    matrix = accumulator.finalize()
    other = matrix.words.index("[other words]")
    return {
        "words": words,
        "seconds": seconds,
        "max_words": max_words,
        "other_words": int(matrix.count[other]),
        "words_counted": int(matrix.count.sum()),
        "nanoseconds_per_word": float(slope) * 1e9,
        "r_squared": float(1 - left.var() / y.var()),
        "largest_residual": float(np.abs(left).max() / y[-1]),
        "peak_mib": watch.peak - before,
        "exact": sampled.compared(matrix),
        "course": course,
    }


def stream(n_texts: int, max_words: int | None) -> dict[str, Any]:
    """Seconds and memory of a fold of files that are read as a stream."""
    floats = List(Value("float32"))
    features = Features(
        words=List(Value("string")),
        attention=floats,
        attribution=floats,
        probabilities=floats,
        prediction=ClassLabel(names=[f"class {c}" for c in range(CLASSES)]),
    )
    dictionary = pa.array([f"w{i}" for i in range(VOCABULARY)])
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for seed in range(n_texts // (5 * BATCH)):
            texts = corpus(5 * BATCH, VOCABULARY, CLASSES, seed=seed, dictionary=dictionary)
            table = texts.table(written=True, attribution=True)
            prediction = pa.array(texts.probabilities.argmax(axis=1))
            table = table.append_column("prediction", prediction).cast(features.arrow_schema)
            files.append(str(Path(folder) / f"{seed}.arrow"))
            with pa.OSFile(files[-1], "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
                out.write_table(table, BATCH)
        del dictionary, texts, table
        rows = load_dataset(
            "arrow", data_files=files, split="train", streaming=True, features=features
        )
        before = anonymous()
        with Watch() as watch:
            start = time.process_time()
            matrix = fold(rows, max_words=max_words)
            seconds = time.process_time() - start
    return {
        "texts": matrix.manifest["texts"],
        "words": matrix.manifest["words"],
        "different_words": len(matrix.words),
        "seconds": seconds,
        "peak_mib": watch.peak - before,
    }


if __name__ == "__main__":
    main()
