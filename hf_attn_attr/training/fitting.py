"""Labelled texts to a fine-tuned model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from ..data import LabelledTexts, concatenate, hold_out, load_labelled
from ..errors import IncompatibleError, InvalidInputError
from ..files import check_writable
from ..vectors import source_name
from .augmenting import random_ngrams
from .resuming import CHECKPOINTS, begin, check_own
from .saving import save_training
from .seed import BEST, Task, train_seed
from .settings import Source, TrainingResult, TrainingSettings
from .starting import check_config, new_tokenizer, new_vectors
from .targets import soft_targets
from .teacher import teacher_outputs

logger = logging.get_logger(__name__)


def train(
    train_texts: Source,
    validation_texts: Source = None,
    *,
    output_dir: str | Path,
    extra_train: Source = None,
    unlabelled: Source = None,
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    settings: TrainingSettings | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainingResult:
    """Train a self-attentive classifier and save it to `output_dir`.

    Args:
        train_texts: `LabelledTexts`, or whatever `load_labelled` reads: a Hub dataset name, a
            parquet, csv or jsonl file, a Dataset, a DataFrame.
        validation_texts: Likewise; early stopping and thresholds use them. None holds out a share
            of the training texts.
        output_dir: Folder for model, tokenizer and `training.json`; unfinished checkpoints lie
            under `checkpoints/` in it.
        extra_train: More training texts with the same labels.
        unlabelled: Texts without labels, for instance those to be classified later: a teacher's
            probabilities are learned on them too, and their words get pretrained vectors.
        preset: "default", "fast", "plain" or "lin2017".
        config: Fields of `SelfAttentiveConfig` to set on top of the preset.
        tokenizer: A tokenizer; None trains one on the training texts.
        settings: How to train.
        resume: Continue from the last checkpoint in `output_dir`.
        progress: Show progress bars.

    Returns:
        The best model by the validation metric (accuracy; multi-label macro-F1; regression mean
        squared error).

    Raises:
        InvalidInputError: If the texts or a config field cannot be used.
        IncompatibleError: If the texts have different labels.
        NonFiniteError: If training diverged; earlier results stay as they were.
        IncompleteCheckpointError: If there is no checkpoint to resume from.
        OSError: Before training, if `output_dir` cannot be written to.
    """
    result = fit(
        train_texts,
        validation_texts,
        output_dir=output_dir,
        extra_train=extra_train,
        unlabelled=unlabelled,
        preset=preset,
        config=config,
        tokenizer=tokenizer,
        settings=settings,
        resume=resume,
        progress=progress,
    )
    folder = Path(output_dir)
    if (folder / "influence").exists():
        logger.warning(
            "%s was folded with the weights that are replaced now. Fold again.",
            folder / "influence",
        )
    save_training(result, folder)
    return result


def fit(
    train_texts: Source,
    validation_texts: Source = None,
    *,
    output_dir: str | Path,
    extra_train: Source = None,
    unlabelled: Source = None,
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    settings: TrainingSettings | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainingResult:
    """`train` without saving the result: only checkpoints are written to `output_dir`."""
    check_writable(Path(output_dir))
    checkpoints = Path(output_dir) / CHECKPOINTS
    check_own(checkpoints, resume=resume)
    settings = settings or TrainingSettings()
    if unlabelled is not None and settings.teacher is None and settings.init_embeddings is None:
        raise InvalidInputError(
            "Unlabelled texts are of use with a teacher or with pretrained vectors alone. Set "
            "teacher or init_embeddings, or leave them out."
        )
    training, validation = _texts(train_texts, validation_texts, extra_train, settings)
    more = [] if unlabelled is None else _unlabelled(unlabelled)
    if tokenizer is None:
        tokenizer = new_tokenizer(training, config, settings, more)
    check_config(training, tokenizer, preset, config)
    vectors = new_vectors(tokenizer, settings, progress=progress)
    texts, targets = _targets(training, more, settings, checkpoints, progress)
    settings = settings.settled(texts)
    task = Task(training, validation, tokenizer, vectors, texts, targets, preset, config)
    begin(checkpoints, task.identity(settings), resume=resume)
    trained = [
        train_seed(task, replace(settings, seed=seed), checkpoints, resume, progress)
        for seed in range(settings.seed, settings.seed + settings.seeds)
    ]
    better = -1 if training.problem_type == "regression" else 1
    best = max(trained, key=lambda one: better * one.metrics[BEST[training.problem_type]])
    best.model.config.teacher = settings.teacher and source_name(settings.teacher)
    return TrainingResult(
        model=best.model,
        tokenizer=tokenizer,
        train=training,
        validation=validation,
        metrics=best.metrics,
        history=best.history,
        preset=preset,
        config=dict(config or {}),
        unlabelled=len(more),
        settings=settings,
        seeds=[{"seed": one.seed, **one.metrics} for one in trained],
    )


def _texts(
    train_texts: Source, validation_texts: Source, extra: Source, settings: TrainingSettings
) -> tuple[LabelledTexts, LabelledTexts]:
    training = _loaded(train_texts)
    if validation_texts is None:
        training, validation = hold_out(training, settings.holdout, settings.seed)
    else:
        validation = _loaded(validation_texts, training)
    if extra is not None:
        training = concatenate(training, _loaded(extra, training))
    return training, validation


def _loaded(source: Source, like: LabelledTexts | None = None) -> LabelledTexts:
    if isinstance(source, LabelledTexts):
        if like is not None and source.labels != like.labels:
            raise IncompatibleError(
                f"{source.source} has labels {source.labels}, the training texts have "
                f"{like.labels}. Load it with labels= of the training texts."
            )
        return source
    if like is None:
        return load_labelled(source)
    return load_labelled(source, labels=like.labels, problem_type=like.problem_type)


def _unlabelled(source: Source) -> list[str]:
    if not isinstance(source, LabelledTexts):
        source = load_labelled(source, require_labels=False)
    return list(source.dataset["text"][:])


def _targets(
    training: LabelledTexts,
    unlabelled: list[str],
    settings: TrainingSettings,
    cache: Path,
    progress: bool,
) -> tuple[list[str], list[Any]]:
    """Texts to learn from, and a label or a soft target for each."""
    texts = list(training.dataset["text"][:])
    if settings.teacher is None:
        if not settings.label_smoothing:
            return texts, training.dataset["label"][:]
        return texts, list(soft_targets(training, None, 0.0, settings.label_smoothing))
    pieces = random_ngrams(texts, settings.teacher_ngrams, settings.seed)
    every = texts + unlabelled + pieces
    taught = teacher_outputs(settings.teacher, every, training, cache=cache, progress=progress)
    labelled = soft_targets(
        training, taught[: len(texts)], settings.teacher_weight, settings.label_smoothing
    )
    return every, list(np.concatenate([labelled, taught[len(texts) :]]))
