"""What is done with one shard, and how two become one; the same wherever it is done."""

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import tokenizers
import torch
import transformers
from datasets import Dataset
from datasets.fingerprint import Hasher

from .. import __version__
from ..classifier import problem_type
from ..encoding import CHUNK
from ..errors import (
    AttnAttrError,
    CorruptArtifactError,
    IncompatibleError,
    InvalidInputError,
)
from ..extraction import AttributionExtractor, cut_texts, warn_of_cut_texts
from ..files import canonical_json, sha256_of_bytes
from ..influence import InfluenceAccumulator, InfluenceMatrix
from ..influence.folding import task_of
from ..loading import load_classifier
from ..remote import resolve
from ..workflow import computed_with, corpus_facts
from .corpus import Corpus, Shard, read_shard
from .results import Entry, Results

# Other releases of these may give other bits.
_LIBRARIES = {
    "hf_attn_attr": __version__,
    "tokenizers": tokenizers.__version__,
    "torch": str(torch.__version__),
    "transformers": transformers.__version__,
}


@dataclass(frozen=True)
class Job:
    """What is done with every shard; small, and sent along with each.

    Attributes:
        model: Folder or Hub name of the classifier.
        revision: Commit on the Hub, None for a folder.
        attribution: Arguments of `AttributionExtractor`.
        folding: `lowercase` and `normalization` of `fold`.
        device: Where models run; None for the GPU where there is one.
        results: Where accumulators are kept.
        computed_with: What the weights, the tokenizer, the method and the libraries must be.
    """

    model: str
    revision: str | None
    attribution: Mapping[str, Any]
    folding: Mapping[str, Any]
    device: str | None
    results: str
    computed_with: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of everything that makes the numbers what they are, but for the texts."""
        return sha256_of_bytes(canonical_json({**self.computed_with, "fold": dict(self.folding)}))

    @property
    def kept(self) -> Results:
        """The accumulators of this job."""
        return Results(self.results, self.digest)


def job_of(
    model: str | Path,
    *,
    results: str | Path,
    attribution: Mapping[str, Any],
    folding: Mapping[str, Any],
    revision: str | None = None,
    device: str | None = None,
) -> tuple[Job, AttributionExtractor]:
    """A job, checked here before it goes anywhere, and the extractor it is done with here.

    Raises:
        InvalidInputError: As `load_classifier` and `AttributionExtractor` do, and if each text
            would have attributions of its predicted class alone, which do not fold.
    """
    name = str(model)
    if Path(name).is_dir():
        name = str(Path(name).resolve())
    else:
        revision = resolve(name, revision)
    extractor = _loaded(name, revision, attribution, device)
    chosen = {**attribution, "method": extractor.method}
    _new_accumulator(extractor, folding)
    place = str(results) if "://" in str(results) else str(Path(results).resolve())
    job = Job(name, revision, chosen, dict(folding), device, place, _computed_with(extractor))
    with _loading:  # a process that folds itself need not load it again
        _held.clear()
        _held[_key(job)] = extractor
    return job, extractor


def fold_shard(job: Job, shard: Shard) -> tuple[Entry, bool]:
    """The accumulator of a shard, kept; and whether it was there already.

    Raises:
        AttnAttrError: If a text or a file is not as it should be, the message names shard and row;
            if the model is not that of the job.
    """
    name = f"shards/{shard.number:07d}-{shard.sha256[:16]}"
    identity = {"shard": shard.number, "texts": shard.texts, "sha256": shard.sha256}
    if found := job.kept.find(name, identity):
        return found, True
    extractor = _extractor(job)
    try:
        texts = read_shard(shard)
        accumulator, cut = folded(extractor, texts, job.folding, first_row=shard.first_text)
    except AttnAttrError as error:
        raise type(error)(f"{shard}: {error}") from error
    entry = job.kept.keep(
        name,
        identity,
        accumulator,
        texts=len(texts),
        cut=cut,
        computed_on=(_device_kind(extractor.model.device),),
    )
    return entry, False


def folded(
    extractor: AttributionExtractor,
    texts: Sequence[str],
    folding: Mapping[str, Any],
    *,
    first_row: int = 0,
) -> tuple[InfluenceAccumulator, int]:
    """Texts added up in an accumulator, and how many of them were cut."""
    accumulator, cut = _new_accumulator(extractor, folding), 0
    for start in range(0, len(texts), CHUNK):
        table = extractor.table(texts[start : start + CHUNK])
        cut += cut_texts(table)
        try:
            accumulator.update(table, first_row=first_row + start)
        except InvalidInputError as error:
            raise _with_row(error, extractor, folding, table, first_row + start) from error
    return accumulator, cut


def _with_row(
    error: InvalidInputError,
    extractor: AttributionExtractor,
    folding: Mapping[str, Any],
    table: pa.Table,
    first_row: int,
) -> InvalidInputError:
    """An error of a batch that names its first text that is refused on its own, too."""
    for row in range(len(table)):
        try:
            _new_accumulator(extractor, folding).update(table.slice(row, 1))
        except InvalidInputError:
            return type(error)(f"Text {first_row + row} is refused: {error}")
    return error


def merge(job: Job, entries: Sequence[Entry]) -> Entry:
    """The accumulator of all texts of some accumulators, kept; of a single one, itself.

    Raises:
        CorruptArtifactError: If one of them is not as its entry says.
    """
    if len(entries) == 1:
        return entries[0]
    identity = {"members": [[entry.name, entry.sha256] for entry in entries]}
    name = f"merged/{sha256_of_bytes(canonical_json(identity))[:16]}"
    kept = job.kept
    if found := kept.find(name, identity):
        return found
    # One after the other: two of them in memory, however many there are.
    accumulator = kept.load(entries[0])
    for entry in entries[1:]:
        accumulator.merge(kept.load(entry))
    return kept.keep(
        name,
        identity,
        accumulator,
        texts=sum(entry.texts for entry in entries),
        cut=sum(entry.cut for entry in entries),
        computed_on=tuple(sorted({kind for entry in entries for kind in entry.computed_on})),
    )


def finished(
    job: Job,
    extractor: AttributionExtractor,
    corpus: Corpus,
    whole: Entry,
    source: str,
    revision: str | None = None,
) -> InfluenceMatrix:
    """The matrix of a corpus all of whose shards are merged.

    Warns if texts were cut, or if devices of several kinds computed.

    Args:
        job: What was done.
        extractor: What it was done with.
        corpus: The texts, all of them read.
        whole: The accumulator of all shards.
        source: What the manifest calls the corpus.
        revision: Its commit, if it has one.

    Raises:
        CorruptArtifactError: If not every text was added up, once.
    """
    facts = {
        **computed_with(extractor),
        "corpus": corpus_facts(source, revision, corpus.texts, corpus.digest),
        "folded_on": "other",
    }
    matrix = job.kept.load(whole).finalize(facts)
    added = matrix.manifest["texts"] + matrix.manifest["empty_texts"]
    if not added == whole.texts == corpus.texts:
        raise CorruptArtifactError(
            f"{added} texts were added up, the corpus has {corpus.texts}. Fold every shard once; "
            f"if all were, remove {job.results} and run again."
        )
    warn_of_cut_texts(whole.cut, corpus.texts, extractor.max_length)
    if len(whole.computed_on) > 1:
        warnings.warn(
            f"Shards were computed on {', '.join(whole.computed_on)}: numbers may differ in their "
            "last float32 bits from those of one machine.",
            stacklevel=3,
        )
    return matrix


def _new_accumulator(
    extractor: AttributionExtractor, folding: Mapping[str, Any]
) -> InfluenceAccumulator:
    features = extractor.features
    nothing = Dataset.from_dict({name: [] for name in features}, features=features)
    labels, kind = task_of(nothing, extractor.labels)
    assert kind == problem_type(extractor.model)
    return InfluenceAccumulator(
        labels,
        problem_type=kind,
        method=extractor.method,
        classes=extractor.provenance.get("classes"),
        **folding,
    )


def _computed_with(extractor: AttributionExtractor) -> dict[str, Any]:
    return {
        **computed_with(extractor),
        "word_rule": Hasher.hash(extractor.word_rule),
        "context": extractor.context,
        "batch_tokens": extractor.batch_tokens,
        "max_length": extractor.max_length,
        "libraries": _LIBRARIES,
    }


def _loaded(
    model: str, revision: str | None, attribution: Mapping[str, Any], device: str | None
) -> AttributionExtractor:
    classifier, tokenizer = load_classifier(model, revision=revision)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return AttributionExtractor(classifier.to(chosen), tokenizer, **attribution)


_loading = threading.Lock()
_held: dict[str, AttributionExtractor] = {}  # of this process, by job; one at a time


def _key(job: Job) -> str:
    return f"{job.digest} {job.device}"


def _extractor(job: Job) -> AttributionExtractor:
    """The extractor of a job, loaded once per process.

    Raises:
        IncompatibleError: If the model or a library here is not that of the job.
    """
    key = _key(job)
    with _loading:
        if key not in _held:
            _held.clear()
            extractor = _loaded(job.model, job.revision, job.attribution, job.device)
            here = _computed_with(extractor)
            if other := [part for part in here if here[part] != job.computed_with.get(part)]:
                raise IncompatibleError(
                    f"{job.model} is not the same on all machines; here differ "
                    f"{ {part: here[part] for part in other} }, wanted "
                    f"{ {part: job.computed_with.get(part) for part in other} }. Give all machines "
                    "the same model and the same releases."
                )
            _held[key] = extractor
        return _held[key]


def _device_kind(device: torch.device) -> str:
    """What decides the last bits of a number that is computed there."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
