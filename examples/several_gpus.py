"""Fold a corpus with a process per GPU, each with one partial accumulator, merged at the end.

    accelerate launch examples/several_gpus.py MODEL TEXTS --output OUT
    torchrun --nproc_per_node 2 examples/several_gpus.py MODEL TEXTS --output OUT  # without GPUs

MODEL is a folder or a Hub name, TEXTS a parquet file, a folder or a pattern of them. Shards go to
the processes in turn. What is finished is kept in OUT/shards, so a run that was stopped goes on.
"""

import argparse
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from hf_attn_attr.engines.corpus import Corpus, parquet_files
from hf_attn_attr.engines.shards import finished, fold_shard, job_of, merge


def main() -> None:
    """Every process folds its shards; the first one merges, and answers."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", help="a folder or a Hub name")
    options.add_argument("texts", help="a parquet file, a folder or a pattern")
    options.add_argument("--output", type=Path, required=True, help="folder for influence/")
    options.add_argument("--shard-texts", type=int, default=65_536, help="a multiple of 2,048")
    given = options.parse_args()

    state = PartialState(cpu=not torch.cuda.is_available())
    job, extractor = job_of(
        given.model,
        results=given.output / "shards",
        attribution={"method": "auto"},
        folding={"lowercase": True, "normalization": "NFC"},
        device=str(state.device),
    )
    source, files = parquet_files(given.texts, None)
    corpus = Corpus(files, None, given.shard_texts)
    mine = [
        fold_shard(job, shard)[0]
        for shard in corpus.shards()
        if shard.number % state.num_processes == state.process_index
    ]
    partial = gather_object([merge(job, mine)] if mine else [])
    if state.is_main_process:
        matrix = finished(job, extractor, corpus, merge(job, partial), source)
        matrix.save_pretrained(given.output)
        print(f"{corpus.texts} texts, {len(partial)} partial accumulators:")
        for label in matrix.labels:
            words = matrix.top_words(label, 5)["word"]
            print(f"  {label}: {', '.join(words)}")


if __name__ == "__main__":
    main()
