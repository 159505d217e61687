"""Labelled texts to a fine-tuned model: a thin layer over `Trainer`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from .batching import padded
from .data import LabelledTexts, concatenate, hold_out, label_indicators, load_labelled
from .errors import (
    IncompatibleError,
    IncompleteCheckpointError,
    InvalidInputError,
    NonFiniteError,
)
from .extraction import class_probabilities, measure_gauge, token_ids
from .files import canonical_json, replacing, write_bytes
from .metrics import (
    multi_label_metrics,
    regression_metrics,
    single_label_metrics,
    tune_thresholds,
)
from .models.configuration_self_attentive import PRESETS, SelfAttentiveConfig
from .models.modeling_self_attentive import SelfAttentiveForSequenceClassification
from .tokenization import save_tokenizer, train_tokenizer

logger = logging.get_logger(__name__)

Source = Any  # whatever `load_labelled` reads


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; what to train is the config.

    Attributes:
        epochs: At most this many passes over the training texts.
        patience: Stop after this many epochs without a better validation metric.
        batch_size: Texts per step.
        learning_rate: Peak of the schedule: short warm-up, then linear to 0.
        weight_decay: AdamW's.
        class_weights: "balanced" weighs each class by the inverse of its share; "none" does not.
        thresholds: Multi-label thresholds tuned on the validation texts: one for all labels
            ("global"), one each ("per_label"), or 0.5 ("none").
        holdout: Share of the training texts held out where no validation texts are given.
        seed: Seed of initial weights, order and dropout.
    """

    epochs: int = 10
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    class_weights: Literal["none", "balanced"] = "none"
    thresholds: Literal["global", "per_label", "none"] = "global"
    holdout: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class TrainingResult:
    """A trained model, its tokenizer, and what it reached.

    Attributes:
        model: In eval mode, gauge measured, character n-grams folded in.
        tokenizer: Its tokenizer.
        train: The training texts, those of `extra_train` included.
        validation: The validation texts.
        metrics: On the validation texts, by name.
        history: The metrics of every epoch.
        preset: The preset it started from.
        settings: How it was trained.
    """

    model: SelfAttentiveForSequenceClassification
    tokenizer: PreTrainedTokenizerFast
    train: LabelledTexts
    validation: LabelledTexts
    metrics: dict[str, float]
    history: list[dict[str, float]]
    preset: str
    settings: TrainingSettings


def train(
    train_texts: Source,
    validation_texts: Source = None,
    *,
    output_dir: str | Path,
    extra_train: Source = None,
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
        preset: "default", "gate" or "lin2017".
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
    """
    result = fit(
        train_texts,
        validation_texts,
        output_dir=output_dir,
        extra_train=extra_train,
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
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    settings: TrainingSettings | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainingResult:
    """`train` without saving the result: only checkpoints are written to `output_dir`."""
    settings = settings or TrainingSettings()
    checkpoints = Path(output_dir) / "checkpoints"
    training, validation = _texts(train_texts, validation_texts, extra_train, settings)
    set_seed(settings.seed)
    if tokenizer is None:
        tokenizer = _tokenizer(training, config)
    model = new_model(training, tokenizer, preset=preset, config=config)
    metrics_of = _Metrics(training)
    checkpoints.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written fails now
    trainer = Trainer(
        model=model,
        args=_arguments(checkpoints, settings, metrics_of.best, progress),
        train_dataset=_examples(training, tokenizer, model.config.max_length),
        eval_dataset=_examples(validation, tokenizer, model.config.max_length),
        data_collator=_Collator(training, tokenizer.pad_token_id),
        compute_metrics=metrics_of,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=settings.patience)],
    )
    trainer.remove_callback(PrinterCallback)  # prints to standard output, which is for answers
    if settings.class_weights == "balanced":
        model.loss_function = _balanced_loss(training)
    trainer.train(resume_from_checkpoint=_checkpoint(checkpoints) if resume else None)
    # Trainer groups these texts by length too, so their labels come back in its order.
    logits, gold, _ = trainer.predict(trainer.eval_dataset)
    if training.problem_type == "multi_label_classification" and settings.thresholds != "none":
        tuned = tune_thresholds(
            class_probabilities(logits, training.problem_type),
            gold,
            per_label=settings.thresholds == "per_label",
        )
        model.config.thresholds = [round(float(value), 2) for value in tuned]
    _check_finite(model)
    model.fold_char_ngrams()
    if not model.config.head_hidden_size:
        measure_gauge(model, tokenizer, training.dataset["text"][:])
    return TrainingResult(
        model=model.eval(),
        tokenizer=tokenizer,
        train=training,
        validation=validation,
        metrics=metrics_of.scores(logits, gold, model.config.thresholds),
        history=[entry for entry in trainer.state.log_history if "eval_loss" in entry],
        preset=preset,
        settings=settings,
    )


def save_training(result: TrainingResult, folder: Path) -> None:
    """Write model, tokenizer and `training.json`, each file whole; then drop the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
        result.model.save_pretrained(temporary)
        save_tokenizer(result.tokenizer, temporary)
        write_bytes(Path(temporary) / "training.json", canonical_json(_facts(result)))
        for path in sorted(Path(temporary).iterdir()):
            with replacing(folder / path.name) as target:  # safetensors would leave mode 0600
                path.replace(target)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def new_model(
    texts: LabelledTexts,
    tokenizer: PreTrainedTokenizerFast,
    *,
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
) -> SelfAttentiveForSequenceClassification:
    """A model with fresh weights for these labels and this tokenizer.

    The output bias starts at the log-prior of the classes (of each label's share in multi-label,
    of the mean target in regression), and tokens that the texts never use start, and stay, at their
    n-gram vector alone.

    Raises:
        InvalidInputError: For an unknown preset or config field, or a value out of range.
    """
    model = SelfAttentiveForSequenceClassification(_config(texts, tokenizer, preset, config))
    model.set_char_ngrams(tokenizer)
    model.set_output_bias(torch.from_numpy(_prior_logits(texts)).float())
    ids = token_ids(tokenizer, texts.dataset["text"][:], model.config.max_length)
    used = set().union(*ids)
    unused = [token for token in range(model.config.vocab_size) if token not in used]
    with torch.no_grad():
        model.get_input_embeddings().weight[unused] = 0.0
    return model


def _check_finite(model: SelfAttentiveForSequenceClassification) -> None:
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise NonFiniteError(
                f"Training diverged: {name} has NaN or infinity. Nothing was saved. Train with a "
                "lower learning rate."
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


def _tokenizer(texts: LabelledTexts, config: Mapping[str, Any] | None) -> PreTrainedTokenizerFast:
    max_length = (config or {}).get("max_length", SelfAttentiveConfig().max_length)
    return train_tokenizer(texts.dataset["text"][:], max_length=max_length)


def _config(
    texts: LabelledTexts,
    tokenizer: PreTrainedTokenizerFast,
    preset: str,
    overrides: Mapping[str, Any] | None,
) -> SelfAttentiveConfig:
    if preset not in PRESETS:
        raise InvalidInputError(f"There is no preset {preset!r}. Choose one of {sorted(PRESETS)}.")
    fields = {**PRESETS[preset], **(overrides or {})}
    known = set(SelfAttentiveConfig.__dataclass_fields__)
    unknown = sorted(set(fields) - known)
    if unknown:
        own = sorted(SelfAttentiveConfig.__annotations__)
        raise InvalidInputError(f"The config has no field {unknown[0]!r}. It has {own}.")
    labels = texts.labels
    try:
        return SelfAttentiveConfig(
            **{
                "vocab_size": len(tokenizer),
                "pad_token_id": tokenizer.pad_token_id,
                "problem_type": texts.problem_type,
                "id2label": dict(enumerate(map(str, labels))),
                "label2id": {label: index for index, label in enumerate(labels)},
                **fields,
            }
        )
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise InvalidInputError(f"The config cannot be used: {error}") from error


def _prior_logits(texts: LabelledTexts) -> NDArray[np.float64]:
    gold = _gold(texts)
    if texts.problem_type == "regression":
        return np.array([gold.mean()])
    if texts.problem_type == "multi_label_classification":
        share = (gold.sum(0) + 1) / (len(gold) + 2)
        return np.log(share / (1 - share))
    count = np.bincount(gold.astype(int), minlength=len(texts.labels)) + 1.0
    return np.log(count / count.sum())


def _gold(texts: LabelledTexts) -> NDArray[Any]:
    """Label indices (N,), indicators (N, C), or targets (N,)."""
    if texts.problem_type == "multi_label_classification":
        return label_indicators(texts)
    return np.array(texts.dataset["label"][:])


def _examples(
    texts: LabelledTexts, tokenizer: PreTrainedTokenizerFast, max_length: int
) -> list[dict[str, Any]]:
    # A plain list: Trainer reads the lengths it groups by from it, and rows cost nothing.
    ids = token_ids(tokenizer, texts.dataset["text"][:], max_length)
    labels = texts.dataset["label"][:]
    return [
        {"input_ids": tokens, "label": label} for tokens, label in zip(ids, labels, strict=True)
    ]


class _Collator:
    """Pads token ids and makes the labels a tensor; indicators for multi-label."""

    def __init__(self, texts: LabelledTexts, pad_token_id: int):
        self.pad_token_id = pad_token_id
        self.indicators = (
            len(texts.labels) if texts.problem_type == "multi_label_classification" else 0
        )
        self.dtype = torch.float32 if texts.problem_type == "regression" else torch.int64

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = padded([example["input_ids"] for example in examples], self.pad_token_id)
        if self.indicators:
            labels = torch.zeros(len(examples), self.indicators)
            for row, example in enumerate(examples):
                labels[row, example["label"]] = 1.0
        else:
            labels = torch.tensor([example["label"] for example in examples], dtype=self.dtype)
        return {**batch, "labels": labels}


class _Metrics:
    """Validation metrics for `Trainer`; `best` names the one that selects the model."""

    def __init__(self, texts: LabelledTexts):
        self.problem_type = texts.problem_type
        self.best = {
            "single_label_classification": "accuracy",
            "multi_label_classification": "macro_f1",
            "regression": "mse",
        }[texts.problem_type]

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, gold = prediction.predictions, prediction.label_ids
        thresholds = None
        if self.problem_type == "multi_label_classification":
            probabilities = class_probabilities(logits, self.problem_type)
            thresholds = tune_thresholds(probabilities, gold, per_label=False).tolist()
        return self.scores(logits, gold, thresholds)

    def scores(
        self, logits: NDArray[Any], gold: NDArray[Any], thresholds: Sequence[float] | None
    ) -> dict[str, float]:
        if self.problem_type == "regression":
            return regression_metrics(logits[:, 0], gold)
        if self.problem_type == "single_label_classification":
            return single_label_metrics(logits, gold)
        probabilities = class_probabilities(logits, self.problem_type)
        return multi_label_metrics(
            probabilities, gold, 0.5 if thresholds is None else np.array(thresholds)
        )


def _arguments(
    folder: Path, settings: TrainingSettings, metric: str, progress: bool
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=4 * settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=0.05,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        greater_is_better=metric != "mse",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        seed=settings.seed,
        disable_tqdm=not progress,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _balanced_loss(texts: LabelledTexts) -> Callable[..., Tensor]:
    """The problem's loss with each class weighted by the inverse of its share."""
    gold = _gold(texts)
    if texts.problem_type == "regression":
        raise InvalidInputError(
            "class_weights='balanced' needs classes. Use 'none' for regression."
        )
    if texts.problem_type == "multi_label_classification":
        positive = gold.sum(0) + 1.0
        weight = torch.from_numpy((len(gold) + 2 - positive) / positive).float()

        def multi_label(labels: Tensor, pooled_logits: Tensor, **_: Any) -> Tensor:
            return nn.functional.binary_cross_entropy_with_logits(
                pooled_logits, labels, pos_weight=weight.to(labels.device)
            )

        return multi_label
    count = np.bincount(gold, minlength=len(texts.labels)) + 1.0
    class_weight = torch.from_numpy(count.sum() / (len(count) * count)).float()

    def single_label(labels: Tensor, pooled_logits: Tensor, **_: Any) -> Tensor:
        return nn.functional.cross_entropy(
            pooled_logits, labels, weight=class_weight.to(labels.device)
        )

    return single_label


def _checkpoint(folder: Path) -> str:
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    if last is None:
        raise IncompleteCheckpointError(
            f"{folder} holds no checkpoint to resume from. Train without resume to start anew."
        )
    return last


def _facts(result: TrainingResult) -> dict[str, Any]:
    texts = {"train": result.train, "validation": result.validation}
    return {
        "preset": result.preset,
        "settings": asdict(result.settings),
        "metrics": result.metrics,
        "texts": {
            name: {
                "source": part.source,
                "revision": part.revision,
                "rows": len(part.dataset),
                "dropped": part.dropped,
                "sha256": part.digest,
            }
            for name, part in texts.items()
        },
    }
