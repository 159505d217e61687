"""A trained model and its tokenizer from a folder, complete or not at all."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from .errors import CorruptArtifactError, InvalidInputError
from .files import read_json
from .models.modeling_self_attentive import SelfAttentiveForSequenceClassification

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def load_model(
    folder: str | Path,
) -> tuple[SelfAttentiveForSequenceClassification, PreTrainedTokenizerFast]:
    """The self-attentive model and tokenizer saved in `folder`; runs no code from it.

    Raises:
        InvalidInputError: If there is no such folder or it holds another kind of model.
        CorruptArtifactError: If a file is missing or unreadable, or weights are missing, left over
            or not finite.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder. Give the folder of a trained model.")
    for name in FILES:
        if not (folder / name).is_file():
            raise CorruptArtifactError(f"{folder / name} is missing. Train or fetch it again.")
    found = read_json(folder / "config.json").get("model_type")
    if found != "self_attentive":
        raise InvalidInputError(
            f"{folder} holds a model of type {found!r}, not 'self_attentive'. Give the folder of a "
            "model trained with hf_attn_attr."
        )
    try:
        model, report = SelfAttentiveForSequenceClassification.from_pretrained(
            folder, output_loading_info=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # safetensors, tokenizers and torch each raise their own kinds
        raise CorruptArtifactError(
            f"{folder} cannot be loaded ({type(error).__name__}: {error}). Train or fetch it again."
        ) from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise CorruptArtifactError(
                f"{folder / 'model.safetensors'} does not fit its config: {kind} "
                f"{sorted(map(str, report[kind]))}. Train or fetch it again."
            )
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CorruptArtifactError(
                f"{folder / 'model.safetensors'} has NaN or infinity in {name}. Train or fetch it "
                "again."
            )
    return model.eval(), tokenizer
