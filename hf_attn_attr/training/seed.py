"""One seed's training: `Trainer` with what it needs, and the model it gives made ready."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from ..classifier import class_probabilities
from ..data import LabelledTexts
from ..errors import NonFiniteError
from ..extraction import measure_gauge
from ..files import canonical_json, sha256_of_bytes, write_bytes
from ..metrics import (
    multi_label_metrics,
    regression_metrics,
    single_label_metrics,
    tune_thresholds,
)
from ..models.modeling_self_attentive import SelfAttentiveForSequenceClassification
from ..tokenization import canonical_tokenizer_json
from ..vectors import WordVectors
from .averaging import WeightAveraging
from .checkpoints import CompleteCheckpoints, is_complete, vouch
from .denormals import NoDenormals
from .examples import Collator, examples
from .resuming import FINISHED, train_on
from .settings import TrainingSettings
from .starting import new_model
from .supervision import attention_targets
from .targets import loss_function

# The metric that selects the epoch, and the seed.
BEST = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "macro_f1",
    "regression": "mse",
}


@dataclass(frozen=True)
class Task:
    """What every seed trains on."""

    training: LabelledTexts
    validation: LabelledTexts
    tokenizer: PreTrainedTokenizerFast
    vectors: WordVectors | None
    texts: list[str]  # of `training`, then unlabelled ones
    targets: list[Any]  # a label or a soft target for each of them
    preset: str
    config: Mapping[str, Any] | None

    def identity(self, settings: TrainingSettings) -> dict[str, Any]:
        """What an interrupted run must have in common with the one that resumes it."""
        vectors = None
        if self.vectors is not None:
            vectors = sha256_of_bytes(
                "\n".join(self.vectors.words).encode() + self.vectors.vectors.tobytes()
            )
        targets = [np.asarray(target).tolist() for target in self.targets]
        return {
            "settings": {k: v for k, v in asdict(settings).items() if k != "seeds"},
            "preset": self.preset,
            "config": dict(self.config or {}),
            "training texts": sha256_of_bytes(
                canonical_json([self.training.digest, self.texts, targets])
            ),
            "rationales": sha256_of_bytes(canonical_json(self.training.rationales)),
            "validation texts": self.validation.digest,
            "tokenizer": sha256_of_bytes(canonical_tokenizer_json(self.tokenizer).encode()),
            "vectors": vectors,
        }


@dataclass(frozen=True)
class Trained:
    """One seed's model."""

    seed: int
    model: SelfAttentiveForSequenceClassification
    metrics: dict[str, float]
    history: list[dict[str, float]]


def train_seed(
    task: Task, settings: TrainingSettings, checkpoints: Path, resume: bool, progress: bool
) -> Trained:
    """Train with one seed, or take up what an interrupted run left of it under `checkpoints`."""
    folder = checkpoints / f"seed_{settings.seed}"
    finished = folder / FINISHED
    if resume and is_complete(finished):
        facts = json.loads((finished / "trained.json").read_text())
        model = SelfAttentiveForSequenceClassification.from_pretrained(finished)
        return Trained(settings.seed, model.eval(), **facts)
    set_seed(settings.seed)
    model = new_model(
        task.training,
        task.tokenizer,
        preset=task.preset,
        config=task.config,
        vectors=task.vectors,
        embedding_mode=settings.embedding_mode,
    )
    if any(task.training.rationales):
        model.config.attention_supervision = settings.attention_weight
    trainer = _trainer(model, task, settings, folder, progress)
    train_on(trainer, folder, settings.patience or 0, resume=resume)
    history = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    _check_finite(model, history)
    logits, gold, _ = trainer.predict(trainer.eval_dataset)
    metrics = _finish(model, task, settings, logits, gold)
    model.save_pretrained(finished)
    write_bytes(finished / "trained.json", canonical_json({"metrics": metrics, "history": history}))
    vouch(finished)
    return Trained(settings.seed, model.eval(), metrics, history)


def _trainer(
    model: SelfAttentiveForSequenceClassification,
    task: Task,
    settings: TrainingSettings,
    folder: Path,
    progress: bool,
) -> Trainer:
    length = model.config.max_length
    validation = task.validation.dataset
    attention = attention_targets(task.training, task.tokenizer, length)
    trainer = Trainer(
        model=model,
        args=_arguments(folder, settings, BEST[task.training.problem_type], progress),
        train_dataset=examples(task.texts, task.targets, task.tokenizer, length, attention),
        eval_dataset=examples(
            validation["text"][:], validation["label"][:], task.tokenizer, length
        ),
        data_collator=Collator(task.training, task.tokenizer.pad_token_id),
        compute_metrics=_Metrics(task.training.problem_type),
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=settings.patience or 0),
            NoDenormals(),
        ],
    )
    if settings.averaging:
        trainer.add_callback(WeightAveraging(settings.averaging))
    trainer.add_callback(CompleteCheckpoints())
    trainer.remove_callback(PrinterCallback)  # prints to standard output, which is for answers
    model.loss_function = loss_function(
        task.training, balanced=settings.class_weights == "balanced"
    )
    return trainer


def _finish(
    model: SelfAttentiveForSequenceClassification,
    task: Task,
    settings: TrainingSettings,
    logits: NDArray[Any],
    gold: NDArray[Any],
) -> dict[str, float]:
    """Tune thresholds, fold the embeddings, measure the gauge; the validation metrics."""
    # Trainer groups these texts by length too, so their labels come back in its order.
    problem_type = task.training.problem_type
    if problem_type == "multi_label_classification" and settings.thresholds != "none":
        tuned = tune_thresholds(
            class_probabilities(logits, problem_type),
            gold,
            per_label=settings.thresholds == "per_label",
        )
        model.config.thresholds = [round(float(value), 2) for value in tuned]
    model.fold_embeddings()
    if not model.config.head_hidden_size:
        measure_gauge(model, task.tokenizer, task.training.dataset["text"][:])
    return _Metrics(problem_type).scores(logits, gold, model.config.thresholds)


def _check_finite(
    model: SelfAttentiveForSequenceClassification, history: Sequence[Mapping[str, float]]
) -> None:
    what = [
        name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()
    ] + ["the validation loss" for epoch in history if not math.isfinite(epoch["eval_loss"])]
    if what:
        raise NonFiniteError(
            f"Training diverged: {what[0]} has NaN or infinity. Nothing was saved. Train with a "
            "lower learning rate."
        )


class _Metrics:
    """Validation metrics for `Trainer`."""

    def __init__(self, problem_type: str):
        self.problem_type = problem_type

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
    assert settings.epochs is not None  # settled by now
    assert settings.batch_size is not None
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
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        greater_is_better=metric != "mse",
        remove_unused_columns=False,
        label_names=["labels"],
        restore_callback_states_from_checkpoint=True,  # patience goes on where it was
        report_to="none",
        seed=settings.seed,
        disable_tqdm=not progress,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
