"""A model and its tokenizer from a folder or the Hub, complete or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from .errors import CorruptArtifactError, InvalidInputError
from .files import read_json
from .models.configuration_self_attentive import SelfAttentiveConfig
from .models.modeling_self_attentive import SelfAttentiveForSequenceClassification

CONFIG, WEIGHTS = "config.json", "model.safetensors"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
_T = TypeVar("_T")


def load_model(
    folder: str | Path,
) -> tuple[SelfAttentiveForSequenceClassification, PreTrainedTokenizerFast]:
    """The self-attentive model, in eval mode, and the tokenizer saved in `folder`.

    Runs no code from the folder, whatever its files ask for.

    Raises:
        InvalidInputError: If there is no such folder or it holds another kind of model.
        CorruptArtifactError: If a file is missing or unreadable, weights are missing, left over, of
            another shape or not finite, or labels or tokenizer do not fit the model.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder. Give the folder of a trained model.")
    for name in (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG):
        if not (folder / name).is_file():
            raise CorruptArtifactError(f"{folder / name} is missing. Train or fetch it again.")
    found = read_json(folder / CONFIG).get("model_type")
    if found != "self_attentive":
        raise InvalidInputError(
            f"{folder} holds a model of type {found!r}, not 'self_attentive'. Give the folder of a "
            "model trained with hf_attn_attr."
        )
    model = _model(folder)
    return model, _tokenizer(folder, model.config)


def load_classifier(
    name_or_folder: str | Path,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Any sequence classifier, in eval mode, and its fast tokenizer.

    A folder of a self-attentive model is checked as `load_model` does. Reads safetensors alone and
    runs no code from a repository.

    Raises:
        InvalidInputError: If there is no such model, it has no trained classification head, or its
            tokenizer is not a fast one.
        CorruptArtifactError: As for `load_model`; of any model, if a weight is not finite.
    """
    name = str(name_or_folder)
    config = Path(name) / CONFIG
    if config.is_file() and read_json(config).get("model_type") == "self_attentive":
        return load_model(name)
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            name, output_loading_info=True, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise InvalidInputError(
            f"{name} cannot be loaded as a sequence classifier with its tokenizer "
            f"({type(error).__name__}: {error}). Give a Hub name or a folder of one, its weights "
            "in safetensors."
        ) from error
    if report["missing_keys"]:
        # transformers would go on with random numbers in their place.
        raise InvalidInputError(
            f"{name} lacks the weights {sorted(map(str, report['missing_keys']))}: it is no "
            "trained classifier. Fine-tune it for classification first."
        )
    if not getattr(tokenizer, "is_fast", False):
        raise InvalidInputError(
            f"{name} has no fast tokenizer ({type(tokenizer).__name__}), so its words cannot be "
            "found in the text. Save it with one."
        )
    _require_finite(model, name)
    return model.eval(), tokenizer


def _model(folder: Path) -> SelfAttentiveForSequenceClassification:
    config = _read(
        folder / CONFIG, lambda: SelfAttentiveConfig.from_pretrained(folder, local_files_only=True)
    )
    if config.label2id != {config.id2label.get(i): i for i in range(config.num_labels)}:
        raise CorruptArtifactError(
            f"{folder / CONFIG} is inconsistent: id2label is {config.id2label}, label2id is "
            f"{config.label2id}. Train or fetch it again."
        )
    path = folder / WEIGHTS
    model, report = _read(
        path,
        lambda: SelfAttentiveForSequenceClassification.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
        ),
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise CorruptArtifactError(
                f"{path} does not fit its config: {kind} {sorted(map(str, report[kind]))}. Train "
                "or fetch it again."
            )
    _require_finite(model, path)
    return model.eval()


def _require_finite(model: PreTrainedModel, where: str | Path) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CorruptArtifactError(
                f"{where} has NaN or infinity in {name}. Train or fetch it again."
            )


def _tokenizer(folder: Path, config: SelfAttentiveConfig) -> PreTrainedTokenizerFast:
    read_json(folder / TOKENIZER_CONFIG)
    # The class by name: through AutoTokenizer the folder would choose the class, or ask for code.
    tokenizer = _read(
        folder / TOKENIZER,
        lambda: PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True),
    )
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= config.vocab_size:
        raise CorruptArtifactError(
            f"{folder / TOKENIZER} has tokens up to number {largest}, the model has "
            f"{config.vocab_size}: it belongs to another model. Train or fetch it again."
        )
    return tokenizer


def _read(path: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except Exception as error:  # safetensors, tokenizers and torch each raise their own kinds
        raise CorruptArtifactError(
            f"{path} cannot be loaded ({type(error).__name__}: {error}). Train or fetch it again."
        ) from error
