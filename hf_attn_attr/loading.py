"""A model and its tokenizer from a folder or the Hub, complete or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from .errors import CorruptArtifactError, HubError, InvalidInputError
from .files import read_json, settle
from .layout import CONFIG
from .models.configuration_self_attentive import SelfAttentiveConfig
from .models.modeling_self_attentive import SelfAttentiveForSequenceClassification
from .patterns import check_patterns
from .remote import fetch, resolve
from .sizes import INDEX, check_sizes

WEIGHTS = "model.safetensors"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
ADAPTER = "adapter_config.json"
# What of a repository or a folder belongs to a classifier; others need other files of a tokenizer.
FILES = (
    *(CONFIG, "model*.safetensors", INDEX, TOKENIZER, TOKENIZER_CONFIG),
    *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
_T = TypeVar("_T")


def load_model(
    folder: str | Path,
) -> tuple[SelfAttentiveForSequenceClassification, PreTrainedTokenizerFast]:
    """The self-attentive model, in eval mode, and the tokenizer saved in `folder`.

    Runs no code from the folder, whatever its files ask for.

    Raises:
        InvalidInputError: If there is no such folder or it holds another kind of model, an adapter,
            or a tokenizer whose patterns can take time without end.
        CorruptArtifactError: If a file is missing or unreadable, weights are missing, left over, of
            another shape or not finite, or labels or tokenizer do not fit the model.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder. Give the folder of a trained model.")
    settle(folder)
    _refuse_adapter(folder, str(folder))
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
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    fast: bool = True,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Any sequence classifier, in eval mode, and its fast tokenizer.

    A folder of a self-attentive model is checked as `load_model` does. Of a Hub repository all is
    of one commit. Reads safetensors alone and runs no code from a repository.

    Args:
        name_or_folder: A folder, or "user/name".
        revision: Branch, tag or commit of the repository.
        token: As for huggingface_hub.
        fast: Whether the tokenizer has to be a fast one.

    Raises:
        InvalidInputError: If there is no such model, it has no trained classification head or is an
            adapter, its tokenizer is not a fast one or has patterns that can take time without end,
            or a folder is given with a revision.
        HubError: If the Hub lacks it or cannot be reached.
        CorruptArtifactError: As for `load_model`; of any model, if a weight is not finite or the
            config asks for far more weights than there are.
    """
    name = str(name_or_folder)
    folder, options = located(name, revision, token)
    if _is_self_attentive(folder):
        return load_model(folder)
    try:
        model, report = load_plainly(AutoModelForSequenceClassification, name, folder, options)
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except CorruptArtifactError:
        raise
    except Exception as error:  # whatever a config makes transformers and torch raise
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
    is_fast = getattr(tokenizer, "is_fast", False)
    if fast and not is_fast:
        raise InvalidInputError(
            f"{name} has no fast tokenizer ({type(tokenizer).__name__}), so its words cannot be "
            "found in the text. Save it with one."
        )
    if is_fast:
        check_patterns(tokenizer, name)
    _require_finite(model, name)
    return _aligned(model).eval(), tokenizer


def located(
    name: str, revision: str | None = None, token: str | bool | None = None
) -> tuple[Path, dict[str, Any]]:
    """Where a model's files lie, all of one commit, and the options to load it with.

    Raises:
        InvalidInputError: If there is no such model, it is an adapter, or a folder is given with a
            revision.
        HubError: If the Hub lacks it or cannot be reached.
    """
    options: dict[str, Any] = {"trust_remote_code": False, "token": token}
    folder = Path(name)
    if folder.is_dir():
        settle(folder)
        if revision is not None:
            raise InvalidInputError(
                f"{folder} is a folder, which has no revision {revision!r}. Leave the revision out."
            )
        _refuse_adapter(folder, name)
        return folder, options
    options["revision"] = commit = _commit(name, revision, token)
    folder = fetch(name, commit, (CONFIG, ADAPTER), token=token)
    _refuse_adapter(folder, name)
    required = (CONFIG, WEIGHTS) if _is_self_attentive(folder) else (CONFIG,)
    return fetch(name, commit, FILES, required=required, token=token), options


def load_plainly(
    auto: Any, name: str, folder: Path, options: Mapping[str, Any], **more: Any
) -> tuple[Any, dict[str, Any]]:
    """A model of an Auto class, without what its config would run or ask for; and the report.

    Raises:
        CorruptArtifactError: If the config asks for far more weights than there are.
    """
    config = AutoConfig.from_pretrained(name, **options)
    if "/" in str(config._attn_implementation):  # a kernel: code of a repository
        config._attn_implementation = None
    check_sizes(
        config.to_dict(),
        folder,
        lambda: auto.from_config(config, trust_remote_code=False),
        name,
    )
    model, report = auto.from_pretrained(
        name, config=config, output_loading_info=True, use_safetensors=True, **options, **more
    )
    return model, report


def _refuse_adapter(folder: Path, name: str) -> None:
    if (folder / ADAPTER).is_file():
        raise InvalidInputError(
            f"{name} holds an adapter ({ADAPTER}). transformers adds it, or takes other weights, "
            "where peft is installed and ignores it elsewhere, so answers would depend on that. "
            "Merge it into its model with peft (merge_and_unload) and save that model."
        )


def _is_self_attentive(folder: Path) -> bool:
    config = folder / CONFIG
    return config.is_file() and read_json(config).get("model_type") == "self_attentive"


def _commit(name: str, revision: str | None, token: str | bool | None) -> str:
    """The commit of a repository from which all of a model is loaded."""
    try:
        return resolve(name, revision, token=token)
    except (HubError, InvalidInputError) as error:
        raise type(error)(f"There is no folder {name} here. {error}") from error


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
    _read(
        path,
        lambda: check_sizes(
            config.to_dict(),
            folder,
            lambda: SelfAttentiveForSequenceClassification(config),
            str(folder),
        ),
    )
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
    return _aligned(model).eval()


def _require_finite(model: PreTrainedModel, where: str | Path) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CorruptArtifactError(
                f"{where} has NaN or infinity in {name}. Train or fetch it again."
            )


def _aligned(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its weights copied to where torch lays out memory.

    safetensors leaves them at the place in the file, which depends on the length of its header; and
    the last bits of products in float32 depend on how the address of a matrix divides by 64.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return model


def _tokenizer(folder: Path, config: SelfAttentiveConfig) -> PreTrainedTokenizerFast:
    read_json(folder / TOKENIZER_CONFIG)
    # The class by name: through AutoTokenizer the folder would choose the class, or ask for code.
    tokenizer = _read(
        folder / TOKENIZER,
        lambda: PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True),
    )
    check_patterns(tokenizer, str(folder))
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
    except CorruptArtifactError:
        raise
    except Exception as error:  # safetensors, tokenizers and torch each raise their own kinds
        raise CorruptArtifactError(
            f"{path} cannot be loaded ({type(error).__name__}: {error}). Train or fetch it again."
        ) from error
