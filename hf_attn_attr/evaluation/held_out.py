"""The texts a folder's records name: those held out, and those trained on."""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..classifier import label_names, problem_type
from ..data import LabelledTexts, concatenate, hold_out, load_labelled
from ..errors import AttnAttrError, InvalidInputError
from ..files import read_json
from ..influence import InfluenceMatrix
from ..layout import TRAINING

_HELD_OUT = " (held out)"  # as `hold_out` marks a source
_AND = " + "  # as `concatenate` joins sources


def load_for(model: PreTrainedModel, source: Any, **options: Any) -> LabelledTexts:
    """Texts for a model, with its labels where the source has labels.

    Args:
        model: A sequence classifier.
        source: As for `load_labelled`.
        options: As for `load_labelled`.

    Raises:
        InvalidInputError: As `load_labelled` does.
    """
    kind = problem_type(model)
    return load_labelled(
        source,
        labels=None if kind == "regression" else label_names(model),
        problem_type=kind,  # type: ignore[arg-type]
        require_labels=False,
        **options,
    )


def recorded_texts(
    folder: Path, model: PreTrainedModel, matrix: InfluenceMatrix | None, **options: Any
) -> LabelledTexts:
    """The validation texts of training, or else the texts of the matrix, read once more.

    Records name files, never their paths: a file is looked for in the current folder, and what is
    found must have the recorded digest.

    Args:
        folder: Folder of model and matrix.
        model: The model.
        matrix: The matrix, if there is one.
        options: As for `load_labelled`.

    Raises:
        InvalidInputError: If the folder names no texts, or they cannot be found again.
    """
    record = _record(folder, matrix)
    if record is None:
        raise InvalidInputError(
            f"{folder} does not say which texts were held out. Give them with --data."
        )
    name = str(record["source"])
    trouble = f"{folder} was validated on {name!r}, which cannot be read again here"
    try:
        texts = _read(name, record, model, options)
    except AttnAttrError as error:
        raise InvalidInputError(f"{trouble}: {error} Give the texts with --data.") from error
    if texts.digest != record["sha256"]:
        raise InvalidInputError(
            f"{trouble}: {texts.source} has other texts or labels (SHA-256 {texts.digest}, "
            f"recorded {record['sha256']}). Give the texts with --data, and perhaps their columns."
        )
    return texts


def recorded_training(
    record: Mapping[str, Any],
    model: PreTrainedModel,
    given: Sequence[Any] = (),
    *,
    rationale_column: str | None = None,
    **options: Any,
) -> LabelledTexts:
    """The texts that a model was trained on, read once more.

    Args:
        record: Content of its `training.json`.
        model: The model.
        given: The sources of the texts, in the order of training; those recorded where empty.
        rationale_column: As for `load_labelled`.
        options: As for `load_labelled`.

    Raises:
        InvalidInputError: If the texts cannot be found again, or are others.
    """
    recorded = record["texts"]["train"]
    trouble = f"The model was trained on {recorded['source']!r}"
    advice = "Give the training texts with --train, and perhaps their columns."
    options = {**options, "split": None, "rationale_column": rationale_column}
    try:
        if given:
            parts = [load_for(model, source, **options) for source in given]
        else:
            names = str(recorded["source"]).split(_AND)
            parts = [_read(name, recorded, model, options) for name in names]
        if str(record["texts"]["validation"]["source"]).endswith(_HELD_OUT):
            settings = record["settings"]
            parts[0], _ = hold_out(parts[0], float(settings["holdout"]), int(settings["seed"]))
        texts = reduce(concatenate, parts)
    except AttnAttrError as error:
        raise InvalidInputError(
            f"{trouble}, which cannot be read again here: {error} {advice}"
        ) from error
    if texts.digest != recorded["sha256"]:
        raise InvalidInputError(
            f"{trouble}; {texts.source} has other texts or labels (SHA-256 {texts.digest}, "
            f"recorded {recorded['sha256']}). {advice}"
        )
    marked = sum(map(bool, texts.rationales))
    if marked != recorded.get("rationales", 0):
        raise InvalidInputError(
            f"{trouble}, {recorded.get('rationales', 0)} of them with rationales; here {marked} "
            "have one. Name their column with --rationale-column, or leave it out."
        )
    return texts


def _record(folder: Path, matrix: InfluenceMatrix | None) -> Mapping[str, Any] | None:
    """Source, revision and digest of the held-out texts, as the folder's files have them."""
    if (folder / TRAINING).is_file():
        facts = read_json(folder / TRAINING)
        return {**facts["settings"], **facts["texts"]["validation"]}
    if matrix is None:
        return None
    corpus: Mapping[str, Any] | None = matrix.manifest.get("provenance", {}).get("corpus")
    return corpus


def _read(
    name: str, record: Mapping[str, Any], model: PreTrainedModel, options: Mapping[str, Any]
) -> LabelledTexts:
    source, _, split = name.removesuffix(_HELD_OUT).partition("@")
    # Only what came from the Hub is looked for there.
    if record.get("revision") is None and not Path(source).exists():
        raise InvalidInputError(f"There is no file or folder {source!r} in the current folder.")
    texts = load_for(model, source, **{**options, **({"split": split} if split else {})})
    if name.endswith(_HELD_OUT):
        _, texts = hold_out(texts, float(record["holdout"]), int(record["seed"]))
    return texts
