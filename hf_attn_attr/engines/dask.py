"""Extract and fold on a Dask cluster."""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from transformers.utils import logging

from ..data.columns import choose_text_column
from ..data.sources import from_table
from ..encoding import CHUNK
from ..errors import (
    AttnAttrError,
    ClusterError,
    MissingDependencyError,
)
from ..influence import InfluenceMatrix
from ..influence.words import Normalization
from .corpus import Corpus, Shard, file_system, parquet_files
from .results import Entry
from .shards import Job, finished, fold_shard, job_of, merge

try:
    from distributed import Client, Future, as_completed
except ImportError as error:
    raise MissingDependencyError(
        "Dask is not installed, so there is no cluster to send texts to. Install it: "
        "pip install 'hf-attn-attr[dask]'."
    ) from error

SHARD_TEXTS = 32 * CHUNK
FAN_IN = 8  # accumulators merged by one task
MOST_FAILED = 8  # failed shards after which no more are sent out
_WAITING = 3  # shards sent out per thread, so that none waits for the scheduler
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h; the values set are glibc's largest
_NO_WORKER = 60  # seconds until a cluster without workers is given up


@dataclass(frozen=True)
class ClusterFold:
    """What a cluster made of a corpus.

    Attributes:
        matrix: Influence of every word on every class.
        texts: Texts folded.
        dropped: Rows without a text, which were not.
        cut: Texts that were cut because they are longer than the model reads.
        shards: Shards of the corpus.
        reused: Those of them that an earlier run had left in the results.
        accumulator_bytes: Size of the accumulator of all texts.
    """

    matrix: InfluenceMatrix
    texts: int
    dropped: int
    cut: int
    shards: int
    reused: int
    accumulator_bytes: int


def extract_and_fold(
    files_or_dataset: str | Path | Sequence[str | Path] | Dataset,
    model: str | Path,
    *,
    client: Client | str,
    results: str | Path,
    revision: str | None = None,
    split: str | None = None,
    text_column: str | None = None,
    source: str | None = None,
    corpus_revision: str | None = None,
    shard_texts: int = SHARD_TEXTS,
    lowercase: bool = True,
    normalization: Normalization | None = "NFC",
    device: str | None = None,
    retries: int = 2,
    progress: bool = False,
    **attribution: Any,
) -> ClusterFold:
    """The influence matrix of a corpus, extracted and folded by a Dask cluster.

    Each worker process loads the model once, reads its shards itself, and writes the accumulator of
    each to `results`, whole or not at all, under the digest of its texts and of all that makes the
    numbers what they are. What lies there already, from an earlier run or an attempt given up, is
    taken as it is; what is damaged or of something else is computed anew. So every text counts
    once, and a run that died goes on where it was. Accumulators are merged as a tree, likewise in
    `results`. Labels of the texts are not read.

    Matrix and manifest are those of `influence_of` with the same model and texts, byte for byte,
    where processors are of one kind and one thread computes on either side: shards are cut so that
    each text stands in the same batch, and accumulators are exact. On other processors numbers may
    differ in their last float32 bits; a warning says when a cluster has several kinds.

    Args:
        files_or_dataset: Parquet: a file, a folder, a pattern with `*`, or a list, local or as URLs
            of fsspec (s3://, hf://datasets/...); all machines must reach them. Or a dataset, whose
            texts are first written to `results`.
        model: A folder that all machines reach, or a Hub name.
        client: A client, or the address of a scheduler.
        results: A folder or a URL of fsspec that all machines reach, to be kept until the end.
        revision: Commit, branch or tag of a model on the Hub.
        split: Of a local folder whose file names tell splits.
        text_column: Default: found, as `load_labelled` finds it.
        source: What the manifest calls the corpus. Default: the name of the file or folder.
        corpus_revision: Its commit, for the manifest.
        shard_texts: Texts of a shard, a multiple of 2,048. More make fewer and larger accumulators,
            and lose more work with a worker.
        lowercase: As for `fold`.
        normalization: As for `fold`.
        device: Where workers run the model. Default: the GPU where there is one.
        retries: How often a shard is tried again after an error that may pass (of network or disk);
            what is wrong with a text or a model is not tried again.
        progress: Show a bar of shards.
        attribution: Arguments of `AttributionExtractor`; its `method` is "auto" unless given.

    Raises:
        InvalidInputError: If files, model or arguments cannot be used as given.
        ClusterError: If shards failed, the message names them and why, or the scheduler is lost.
            What was finished lies in `results`.
        CorruptArtifactError: If texts or results changed meanwhile.
        IncompatibleError: If workers have another model or other releases.
    """
    job, extractor = job_of(
        model,
        results=results,
        attribution={"method": "auto", **attribution},
        folding={"lowercase": lowercase, "normalization": normalization},
        revision=revision,
        device=device,
    )
    if isinstance(files_or_dataset, Dataset):
        name, files = "in memory", [_written(files_or_dataset, text_column, job.results)]
    else:
        name, files = parquet_files(files_or_dataset, split)
    corpus = Corpus(files, text_column, shard_texts)
    with _connected(client) as connection, _explained(connection, job):
        entries, reused = _folded(connection, job, corpus, retries, progress)
        whole = _merged(connection, job, entries, retries)
    matrix = finished(job, extractor, corpus, whole, source or name, corpus_revision)
    return ClusterFold(
        matrix=matrix,
        texts=corpus.texts,
        dropped=corpus.rows_read - corpus.texts,
        cut=whole.cut,
        shards=len(entries),
        reused=reused,
        accumulator_bytes=whole.bytes,
    )


def _on_worker(function: Any, *arguments: Any) -> Any:
    """The function with one thread; errors that will not pass are returned, so not tried again."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    _keep_freed_memory()
    try:
        return function(*arguments)
    except AttnAttrError as error:
        return error


@cache
def _keep_freed_memory() -> None:
    """Let glibc reuse memory, as it does by default.

    Dask's nanny sets MALLOC_TRIM_THRESHOLD_ so that workers give memory back at once; the tensors
    of every batch are then mapped anew, and extraction takes 1.5 times the processor time.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
            mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)


def _folded(
    client: Client, job: Job, corpus: Corpus, retries: int, progress: bool
) -> tuple[list[Entry], int]:
    """The accumulator of every shard, in order, and how many were there already."""
    entries: dict[int, Entry] = {}
    failed: dict[int, str] = {}
    reused = 0
    sent: dict[Future[Any], Shard] = {}
    running = as_completed(loop=client.loop)
    bar = logging.tqdm(desc="Shards", unit="shard", disable=not progress)

    def settle(future: "Future[Any]") -> None:
        nonlocal reused
        shard = sent.pop(future)
        found = _outcome(future)
        if isinstance(found, BaseException):
            failed[shard.number] = _told(shard, found)
        else:
            entries[shard.number], was_there = found
            reused += was_there
        bar.update()

    with bar:
        for shard in corpus.shards():
            while running.count() >= _room(client):
                settle(next(running))
            if len(failed) >= MOST_FAILED:
                break
            future = client.submit(_on_worker, fold_shard, job, shard, pure=False, retries=retries)
            sent[future] = shard
            running.add(future)
        for future in running:
            settle(future)
    if failed:
        raise ClusterError(
            f"{len(failed)} of {len(entries) + len(failed)} shards failed:\n"
            + "\n".join(failed[number] for number in sorted(failed))
            + f"\nThe other {len(entries)} are kept in {job.results}. Repair the cause and run "
            "again: these are not computed again."
        )
    return [entries[number] for number in sorted(entries)], reused


def _merged(client: Client, job: Job, entries: list[Entry], retries: int) -> Entry:
    """Accumulators merged as a tree, level by level."""
    while len(entries) > 1:
        groups = [entries[start : start + FAN_IN] for start in range(0, len(entries), FAN_IN)]
        futures = [
            client.submit(_on_worker, merge, job, group, pure=False, retries=retries)
            for group in groups
        ]
        entries = []
        for future in futures:
            found = _outcome(future)
            if isinstance(found, AttnAttrError):
                raise found
            if isinstance(found, BaseException):
                raise ClusterError(
                    f"Accumulators could not be merged: {type(found).__name__}: {found}. Shards "
                    f"are kept in {job.results}; run again."
                ) from found
            entries.append(found)
    return entries[0]


def _written(dataset: Dataset, text_column: str | None, results: str) -> str:
    """A parquet file of a dataset's texts, where all machines find it."""
    schema = dataset.features.arrow_schema
    column = choose_text_column(from_table(schema.empty_table(), "The dataset"), text_column, ())
    url = f"{results}/texts/{dataset._fingerprint}.parquet"
    system, place = file_system(url)
    with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
        path = Path(temporary) / "texts.parquet"
        dataset.select_columns(column).to_parquet(str(path), batch_size=CHUNK)
        system.makedirs(system._parent(place), exist_ok=True)
        system.put_file(str(path), place)
    return url


@contextmanager
def _connected(client: Client | str) -> Iterator[Client]:
    """A client with a worker at least; one that is made here is closed at the end."""
    if isinstance(client, str):
        try:
            made = Client(client, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(f"No scheduler answers at {client}: {error}.") from error
        with made, _connected(made) as connection:
            yield connection
        return
    try:
        client.wait_for_workers(1, timeout=_NO_WORKER)
    except TimeoutError as error:
        raise ClusterError(f"No worker came to {client} within {_NO_WORKER} s.") from error
    yield client


@contextmanager
def _explained(client: Client, job: Job) -> Iterator[None]:
    """A lost scheduler as an error that says what to do."""
    try:
        yield
    except Exception as error:
        # What distributed raises then depends on where it notices.
        if client.status == "running" and not isinstance(error, CancelledError):
            raise
        raise ClusterError(
            f"The scheduler was lost ({type(error).__name__}). Finished shards are kept in "
            f"{job.results}: start a cluster and run again, only what is missing is computed."
        ) from error


def _room(client: Client) -> int:
    return max(4, _WAITING * sum(client.nthreads().values()))


def _outcome(future: "Future[Any]") -> Any:
    """What a task returned, or the error it ended with; raises if the scheduler is lost."""
    try:
        return future.result()
    except Exception as error:
        if future.status != "error":
            raise
        return error


def _told(shard: Shard, error: BaseException) -> str:
    if isinstance(error, AttnAttrError):
        return str(error)
    return f"{shard}: {type(error).__name__}: {error}"
