"""A dataset mapped piece by piece: what is finished stays, and pieces may share the processors."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import datasets
import pyarrow as pa
import torch
from datasets import Dataset, Features, concatenate_datasets
from datasets.utils import tqdm

from .encoding import CHUNK
from .errors import ClusterError, CorruptArtifactError, InvalidInputError

# Rows of a piece at most. A multiple of what is put into batches together, so that the pieces do
# not show in the numbers; large enough that a file each is no burden.
PIECE = 8 * CHUNK


@dataclass(frozen=True)
class Step:
    """What is done with each piece.

    Attributes:
        function: From an Arrow table to one with more columns.
        features: Types of all columns then.
        fingerprint: Of the dataset and all else that the result depends on.
        title: What a progress bar calls it.
    """

    function: Callable[[pa.Table], pa.Table]
    features: Features
    fingerprint: str
    title: str


def mapped(dataset: Dataset, step: Step, num_proc: int | None = None) -> Dataset:
    """`dataset` after `step`, rows in the same order, in Arrow format.

    Of a dataset that lies on disk each finished piece is cached beside it, so that a run that was
    cut off goes on where it was.

    Args:
        dataset: The rows.
        step: What is done.
        num_proc: Processes, each with one thread; None for this one alone.

    Raises:
        InvalidInputError: If `num_proc` is no whole number of at least 1.
        CorruptArtifactError: If a piece is in the cache with rows missing.
        ClusterError: If one of the processes was killed.
    """
    if num_proc is not None and (not isinstance(num_proc, int) or num_proc < 1):
        raise InvalidInputError(f"num_proc is {num_proc!r}; give a whole number of at least 1.")
    rows = len(dataset)
    size = PIECE
    if num_proc is not None:  # every process gets some, of whole chunks
        size = min(PIECE, CHUNK * max(1, -(-rows // (CHUNK * num_proc))))
    pieces = [range(start, min(start + size, rows)) for start in range(0, rows, size)]
    dataset = dataset.with_format("arrow")
    if len(pieces) < 2:
        return _checked(_map(dataset, step, step.fingerprint), rows)
    parts = [dataset.select(piece) for piece in pieces]
    work = zip(parts, repeat(step), pieces, strict=False)
    done = []
    with tqdm(total=rows, unit=" texts", desc=step.title) as bar, _no_bars():
        for part, piece in zip(_in_turn(work, num_proc), pieces, strict=True):
            done.append(_checked(part, len(piece)))
            bar.update(len(piece))
    return concatenate_datasets(done)


def _in_turn(work: Iterator[tuple[Any, ...]], num_proc: int | None) -> Iterator[Dataset]:
    if num_proc is None or num_proc == 1:
        yield from map(_one, work)
        return
    # As `Dataset.map` does: its children inherit the model, and functions that pickle refuses.
    from multiprocess import Pool

    with Pool(num_proc, initializer=_begun) as pool:
        born = _processes(pool)
        for result in [pool.apply_async(_one, (item,)) for item in work]:
            while not result.ready():
                result.wait(1)
                if _processes(pool) != born:  # the pool replaces it, and waits for ever
                    raise ClusterError(
                        "A process of the extraction was killed, perhaps for want of memory. Run "
                        "again with a smaller num_proc; of a dataset on disk the finished pieces "
                        "are kept."
                    )
            yield result.get()


def _begun() -> None:
    """What each process begins with: one thread, and nothing to clear away.

    An object that owns threads, such as a session of ONNX Runtime, waits for them when it is
    cleared away; in a forked process, which has none of them, for ever.
    """
    gc.freeze()
    torch.set_num_threads(1)


def _processes(pool: Any) -> set[int]:
    return {process.pid for process in pool._pool}


def _one(work: tuple[Dataset, Step, range]) -> Dataset:
    part, step, piece = work
    return _map(part, step, datasets.fingerprint.Hasher.hash((step.fingerprint, piece)))


def _map(dataset: Dataset, step: Step, fingerprint: str) -> Dataset:
    return dataset.map(
        step.function,
        batched=True,
        batch_size=CHUNK,
        features=step.features,
        new_fingerprint=fingerprint,
        desc=step.title,
    )


def _checked(part: Dataset, rows: int) -> Dataset:
    """Arrow takes a file that was cut between batches for a whole one."""
    if len(part) != rows:
        files = [file["filename"] for file in part.cache_files]
        raise CorruptArtifactError(
            f"The cache {files} holds {len(part):,} of {rows:,} rows: it was cut. Delete it and "
            "extract again."
        )
    return part


@contextmanager
def _no_bars() -> Iterator[None]:
    """No bars of single pieces within; those of others as they were afterwards."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
