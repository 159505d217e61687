"""Publishing from a `Trainer`, when training ends."""

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

from transformers import TrainerCallback, TrainerState, TrainingArguments

from ..data import load_labelled
from ..errors import AttnAttrError, InvalidInputError
from ..extraction import AttributionExtractor, extract_with, measure_gauge
from ..influence import InfluenceMatrix
from ..remote import Publication
from ..workflow import facts, matrix_of
from .publishing import push_to_hub, require_repo_id

_SETTINGS = (
    *("learning_rate", "num_train_epochs", "per_device_train_batch_size", "weight_decay"),
    *("gradient_accumulation_steps", "lr_scheduler_type", "label_smoothing_factor", "seed"),
)
_NO_METRICS = ("loss", "runtime", "samples_per_second", "steps_per_second", "preparation_time")


class PublishCallback(TrainerCallback):
    """When training ends: measure the gauge, extract, fold, publish. The same as `push_to_hub`.

    Up goes what `push_to_hub` publishes, of the best model where the trainer loads it at the end;
    not `training_args.bin`, which is a pickle. Leave `push_to_hub` of the training arguments off
    for this repository: the trainer would replace the card and the config by its own. If publishing
    fails there is a warning, and nothing is lost: the model is the trainer's, the matrix is in
    `influence`.

    Args:
        repo_id: "user/name".
        texts: What to fold, whatever `load_labelled` reads; labels are not needed.
        text_column: The column to read; None finds it.
        training_texts: What fixes the gauge of a self-attentive model with a linear head; None
            takes the trainer's own batches.
        method: As for `AttributionExtractor`.
        options: As for `AttributionExtractor`.
        training: What is known of the data, as in `training.json`: {"texts": ...}. Settings and
            metrics are added.
        publishing: As for `push_to_hub`: `private`, `revision`, `license`, ...

    Attributes:
        influence: The matrix, once training has ended.
        publication: What went up; None if nothing did.

    Raises:
        InvalidInputError: If the name can be none, or the texts cannot be read.
    """

    def __init__(
        self,
        repo_id: str,
        texts: Any,
        *,
        text_column: str | None = None,
        training_texts: Any = None,
        method: str = "auto",
        options: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        **publishing: Any,
    ):
        require_repo_id(repo_id)
        read = partial(load_labelled, text_column=text_column, require_labels=False)
        self.repo_id = repo_id
        self.texts = read(texts)
        self.training_texts = None if training_texts is None else read(training_texts)
        self.method, self.options = method, options
        self.training, self.publishing = dict(training or {}), publishing
        self.influence: InfluenceMatrix | None = None
        self.publication: Publication | None = None

    def on_train_begin(self, args: TrainingArguments, *_: Any, **kwargs: Any) -> None:
        """Refuse before training what could not be published after it.

        Raises:
            InvalidInputError: If the trainer publishes to the same repository, has no fast
                tokenizer, or the gauge could be measured on a part of the texts only.
        """
        if args.push_to_hub and args.hub_model_id in (None, self.repo_id):
            raise InvalidInputError(
                f"The trainer would publish to {self.repo_id} too, and replace card and config. "
                "Leave push_to_hub off, or give it another hub_model_id."
            )
        if not getattr(kwargs.get("processing_class"), "is_fast", False):
            raise InvalidInputError(
                "The trainer has no fast tokenizer to publish. Give it one: "
                "Trainer(processing_class=tokenizer)."
            )
        if args.world_size > 1 and self.training_texts is None and _has_gauge(kwargs["model"]):
            raise InvalidInputError(
                f"Each of {args.world_size} processes sees a part of the training texts. Give "
                "PublishCallback(training_texts=...), which fix the attributions."
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, *_: Any, **kwargs: Any
    ) -> None:
        """Extract, fold and publish."""
        if not state.is_world_process_zero:
            return
        model, tokenizer = kwargs["model"], kwargs["processing_class"]
        try:
            if _has_gauge(model):
                if self.training_texts is not None:
                    measure_gauge(model, tokenizer, self.training_texts.dataset["text"][:])
                else:
                    model.measure_gauge(kwargs["train_dataloader"])
            extractor = AttributionExtractor(model, tokenizer, self.method, options=self.options)
            columns = extract_with(extractor, self.texts.dataset)
            self.influence = matrix_of(columns, facts(extractor, self.texts, "other"))
            self.publication = push_to_hub(
                self.repo_id,
                model,
                tokenizer,
                self.influence,
                training={**_training(args, state), **self.training},
                **self.publishing,
            )
        except AttnAttrError as error:
            warnings.warn(
                f"Not published to {self.repo_id}: {error} The trained model is trainer.model, its "
                "matrix `influence` of this callback, if it got that far.",
                stacklevel=2,
            )


def _has_gauge(model: Any) -> bool:
    config = model.config
    return config.model_type == "self_attentive" and not config.head_hidden_size


def _training(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    """Settings, and the metrics of the evaluation that belongs to the published weights."""
    evaluations = [entry for entry in state.log_history if any(map(_is_metric, entry))]
    if args.load_best_model_at_end:
        best = state.best_global_step
        evaluations = [entry for entry in evaluations if entry.get("step") == best]
    settings = {name: getattr(args, name) for name in _SETTINGS}
    return {
        "settings": {name: getattr(value, "value", value) for name, value in settings.items()},
        "metrics": {
            name.removeprefix("eval_"): float(value)
            for name, value in (evaluations[-1] if evaluations else {}).items()
            if _is_metric(name)
        },
    }


def _is_metric(name: str) -> bool:
    return name.startswith("eval_") and not name.endswith(_NO_METRICS)
