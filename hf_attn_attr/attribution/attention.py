"""Attention weights: unsigned, shared by all classes, and not by themselves an explanation."""

from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .token_attributions import TokenAttributions


def attention(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> TokenAttributions:
    """Attention of a self-attentive model, mean over its hops (Lin et al. 2017, eq. 6).

    Raises:
        IncompatibleError: If the model is of another type.
    """
    if model.config.model_type != "self_attentive":
        raise IncompatibleError(
            f"Attention of a {model.config.model_type!r} model is not supported; give a "
            "self_attentive model."
        )
    output = model(**batch, output_attentions=True)
    return TokenAttributions(logits=output.logits, attention=output.attentions[0].mean(1))
