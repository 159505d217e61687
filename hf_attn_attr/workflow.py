"""The whole job in one call: train, extract, fold, save."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset

from .columns import save_columns
from .data import LabelledTexts
from .extraction import AttributionExtractor, extract_with
from .influence import InfluenceMatrix, association, fold
from .influence.gold import feature_names
from .training import Source, TrainingResult, TrainingSettings, fit, save_training

FoldOn = Literal["validation", "train"]


@dataclass(frozen=True)
class RunResult:
    """What a run produced.

    Attributes:
        training: Model, tokenizer, texts and validation metrics.
        columns: The folded texts with their attention and attribution columns.
        matrix: Influence of every word on every class, and what the data say of it.
    """

    training: TrainingResult
    columns: Dataset
    matrix: InfluenceMatrix


def run(
    train_texts: Source,
    validation_texts: Source = None,
    *,
    output_dir: str | Path,
    extra_train: Source = None,
    unlabelled: Source = None,
    fold_on: FoldOn = "validation",
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
    settings: TrainingSettings | None = None,
    columns: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> RunResult:
    """Train a classifier, extract attributions, fold them, and save all of it in `output_dir`.

    Args:
        train_texts: As for `train`.
        validation_texts: As for `train`.
        output_dir: Folder for model, tokenizer, `training.json` and `influence/`.
        extra_train: As for `train`.
        unlabelled: As for `train`.
        fold_on: Texts the matrix is folded on. "validation" texts are new to the model; a matrix
            folded on "train" says so in its manifest.
        preset: As for `train`.
        config: As for `train`.
        settings: As for `train`.
        columns: Also save the attention and attribution columns.
        resume: As for `train`.
        progress: Show progress bars.
    """
    trained = fit(
        train_texts,
        validation_texts,
        output_dir=output_dir,
        extra_train=extra_train,
        unlabelled=unlabelled,
        preset=preset,
        config=config,
        settings=settings,
        resume=resume,
        progress=progress,
    )
    texts = trained.validation if fold_on == "validation" else trained.train
    method = "attention" if trained.model.config.head_hidden_size else "contribution"
    extractor = AttributionExtractor(trained.model, trained.tokenizer, method)
    extracted = extract_with(extractor, texts.dataset)
    origin = facts(extractor, texts, fold_on)
    matrix = matrix_of(extracted, origin)
    # Saved together at the end: a run that fails leaves the folder's earlier results as they were.
    save_training(trained, Path(output_dir))
    matrix.save_pretrained(output_dir)
    if columns:
        save_columns(extracted, Path(output_dir), origin)
    return RunResult(trained, extracted, matrix)


def influence_of(
    extractor: AttributionExtractor,
    texts: LabelledTexts,
    *,
    output_dir: str | Path,
    columns: bool = False,
) -> tuple[Dataset, InfluenceMatrix]:
    """Extract attributions of texts with a model that is trained already, fold and save them.

    Args:
        extractor: Any sequence classifier, and how its words are attributed.
        texts: What to fold. Labels are not needed; the model's own, if they are there, say what the
            data have to say of each word.
        output_dir: Folder for `influence/`.
        columns: Also save the attention and attribution columns.

    Returns:
        The texts with their columns, and the matrix.
    """
    extracted = extract_with(extractor, texts.dataset)
    origin = facts(extractor, texts, "other")
    matrix = matrix_of(extracted, origin)
    matrix.save_pretrained(output_dir)
    if columns:
        save_columns(extracted, Path(output_dir), origin)
    return extracted, matrix


def matrix_of(
    extracted: Dataset, origin: dict[str, Any], *, lowercase: bool = True
) -> InfluenceMatrix:
    """The fold, with what the data say beside it where the texts have the model's labels.

    Args:
        extracted: Columns as `extract` writes them; gold labels, if any, in `label`.
        origin: As `facts` gives it.
        lowercase: Whether words that differ in case are one word.
    """
    matrix = fold(
        extracted, lowercase=lowercase, provenance=origin, label_names=origin.get("labels")
    )
    if set(feature_names((extracted.features or {}).get("label"))) != set(matrix.labels):
        return matrix
    told = {name: value for name, value in origin.items() if name in ("corpus", "folded_on")}
    return matrix.with_association(association(extracted, lowercase=lowercase, provenance=told))


def facts(extractor: AttributionExtractor, texts: LabelledTexts, folded_on: str) -> dict[str, Any]:
    """What columns were computed from and with, for a manifest.

    Args:
        extractor: What computed them.
        texts: The texts of the columns.
        folded_on: "validation" or "train" texts of the model, or "other".
    """
    corpus = corpus_facts(texts.source, texts.revision, len(texts.dataset), texts.digest)
    return {**computed_with(extractor), "corpus": corpus, "folded_on": folded_on}


def computed_with(extractor: AttributionExtractor) -> dict[str, Any]:
    """The part of `facts` that is of the model and the method."""
    return {**extractor.provenance, "labels": extractor.labels}


def corpus_facts(source: str, revision: str | None, rows: int, digest: str) -> dict[str, Any]:
    """The part of `facts` that is of the texts."""
    return {"source": source, "revision": revision, "rows": rows, "sha256": digest}
