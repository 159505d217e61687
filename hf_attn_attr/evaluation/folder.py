"""A model folder evaluated: all checks on held-out texts, written beside the matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..attribution import METHODS
from ..errors import CorruptArtifactError, IncompatibleError
from ..extraction import AttributionExtractor
from ..files import canonical_json, check_writable, read_json, write_bytes
from ..influence import InfluenceMatrix, storage
from ..layout import EVALUATION, TRAINING
from .checks import Check, run_checks
from .held_out import load_for, recorded_texts
from .refits import planned_refits
from .subject import HALVED, Subject, usual_sample

FORMAT_VERSION = 1
_MODEL = ("model_type", "weights_sha256", "config_sha256", "tokenizer_sha256")


def matching_extractor(
    folder: str | Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> AttributionExtractor:
    """An extractor that reads and attributes texts as was done for the matrix in a folder.

    Without a matrix, of the method "auto".

    Raises:
        InvalidInputError: If the matrix's words were found by a function, which its manifest can
            only name; make the extractor with that function then.
        IncompatibleError: If the method does not fit the model.
    """
    matrix = _matrix(Path(folder))
    facts = matrix.manifest.get("provenance", {}) if matrix is not None else {}
    method = facts.get("method", "auto")
    return AttributionExtractor(
        model,
        tokenizer,
        method if method in METHODS else "auto",
        options=facts.get("options"),
        word_rule=facts.get("words", "pre_tokens"),
        window_overlap=facts.get("window", {}).get("overlap"),
    )


def evaluate_folder(
    folder: str | Path,
    extractor: AttributionExtractor,
    data: Any = None,
    *,
    sample: int | None = None,
    seed: int = 0,
    seeds: int = 0,
    train: Sequence[Any] = (),
    rationale_column: str | None = None,
    read_options: Mapping[str, Any] | None = None,
    started: Callable[[Check], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
    refitting: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Run all checks and write them to `evaluation.json`; the matrix's manifest gets the verdicts.

    Args:
        folder: Where `influence/` and perhaps `training.json` lie.
        extractor: The model, and how its words are attributed; see `matching_extractor`.
        data: Texts that are new to the model: whatever `load_labelled` reads. None for the
            validation texts that the folder's records name.
        sample: As for `Subject`; None for 300, or 100 where the model is not self-attentive, and
            halves of 900 texts in either case.
        seed: As for `Subject`.
        seeds: Train the model with so many other seeds, as `training.json` records, and compare
            their matrices; 0 does not. Finished refits are kept in `refits/`, which may be deleted.
        train: Sources of the texts it was trained on, in that order, for refits; empty for those
            that the folder's records name.
        rationale_column: As for `load_labelled`, of these texts.
        read_options: Further arguments of `load_labelled`.
        started: Called before each check.
        progress: As for `Subject`.
        refitting: Called before each refit: which, counted from 1, of how many.

    Returns:
        The content of `evaluation.json`.

    Raises:
        InvalidInputError: If the texts cannot be read, or found again; or refits are asked for of a
            model that cannot be trained again.
        IncompatibleError: If the matrix is of another model, or was made in another way.
        NonFiniteError: If the training of a refit diverged.
        OSError: Before computing, if the folder cannot be written to.
    """
    check_writable(Path(folder))
    folder = Path(folder)
    matrix = _matrix(folder)
    identity = extractor.provenance
    _check_belongs(matrix, identity, folder)
    options = dict(read_options or {})
    if data is None:
        texts = recorded_texts(folder, extractor.model, matrix, **options)
    else:
        texts = load_for(extractor.model, data, **options)
    refits = None
    if seeds:
        refits = planned_refits(
            folder,
            extractor,
            matrix,
            texts,
            seeds,
            train=train,
            rationale_column=rationale_column,
            read_options=options,
            started=refitting,
        )
    subject = Subject(
        extractor,
        texts,
        matrix=matrix,
        trained_on=texts.digest == _training_digest(folder),
        sample=usual_sample(extractor.model) if sample is None else sample,
        halved=HALVED if sample is None else None,
        seed=seed,
        progress=progress,
        refits=refits,
    )
    findings = [finding.to_json() for finding in run_checks(subject, started)]
    if matrix is not None:
        verdicts = {one["name"]: one["verdict"] for one in findings}
        checks = {**matrix.manifest["checks"], "verdicts": verdicts}
        replace(matrix, manifest={**matrix.manifest, "checks": checks}).save_pretrained(folder)
    record = {
        "format_version": FORMAT_VERSION,
        "model": {key: identity[key] for key in _MODEL},
        "influence_sha256": _table_digest(folder) if matrix is not None else None,
        "texts": _text_facts(subject),
        "seed": seed,
        "checks": findings,
    }
    write_bytes(folder / EVALUATION, canonical_json(record))
    return load_evaluation(folder)


def load_evaluation(folder: str | Path) -> dict[str, Any]:
    """What `evaluate_folder` wrote, if it still is about the matrix in the folder.

    Raises:
        CorruptArtifactError: If the file is missing or no JSON object.
        IncompatibleError: If another format version wrote it, or the matrix has changed since.
    """
    path = Path(folder) / EVALUATION
    record = read_json(path)
    if record.get("format_version") != FORMAT_VERSION:
        raise IncompatibleError(
            f"{path} has format version {record.get('format_version')}, this release reads "
            f"{FORMAT_VERSION}. Evaluate again, or use the release that wrote it."
        )
    wanted = record.get("influence_sha256")
    if wanted is not None and wanted != _table_digest(Path(folder)):
        raise IncompatibleError(
            f"{path} is about another influence matrix than the one in {folder}. Evaluate again."
        )
    return record


def _matrix(folder: Path) -> InfluenceMatrix | None:
    if not (folder / storage.FOLDER / storage.MANIFEST).is_file():
        return None
    return InfluenceMatrix.from_pretrained(folder / storage.FOLDER)


def _table_digest(folder: Path) -> str:
    path = folder / storage.FOLDER / storage.MANIFEST
    try:
        return str(read_json(path)["files"][storage.TABLE]["sha256"])
    except (KeyError, TypeError):
        raise CorruptArtifactError(
            f"{path} does not name the digest of its table. Fold again."
        ) from None


def _check_belongs(
    matrix: InfluenceMatrix | None, identity: Mapping[str, Any], folder: Path
) -> None:
    facts = matrix.manifest.get("provenance", {}) if matrix is not None else {}
    for key in (*_MODEL, "method", "options", "words", "window"):
        if key in facts and facts[key] != identity.get(key):
            raise IncompatibleError(
                f"The influence matrix in {folder} is of another model, or was made in another "
                f"way: its {key} is {facts[key]!r}, here it is {identity.get(key)!r}. Extract and "
                "fold again, or name the matrix's own model."
            )


def _training_digest(folder: Path) -> str | None:
    path = folder / TRAINING
    return str(read_json(path)["texts"]["train"]["sha256"]) if path.is_file() else None


def _text_facts(subject: Subject) -> dict[str, Any]:
    texts = subject.texts
    return {
        "source": texts.source,
        "revision": texts.revision,
        "rows": len(texts.dataset),
        "dropped": texts.dropped,
        "sha256": texts.digest,
        "labelled": texts.labelled,
        "trained_on": subject.trained_on,
        "folded_on": subject.folded_on,
        "corpus_sample": len(subject.corpus_texts.dataset),
        "text_sample": len(subject.text_test.texts),
        "truncated": sum(text.truncated > 0 for text in subject.corpus.eraser.encoded),
    }
