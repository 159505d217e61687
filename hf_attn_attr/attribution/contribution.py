"""The exact terms of each logit of a self-attentive model with a linear head."""

from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .token_attributions import TokenAttributions
from .token_batch import TokenBatch


def has_contributions(model: PreTrainedModel) -> bool:
    """Whether the model's logits split exactly into terms per token."""
    # A model loaded as remote code is another class of the same type.
    return model.config.model_type == "self_attentive" and not model.config.head_hidden_size


def contribution(model: PreTrainedModel, batch: TokenBatch) -> TokenAttributions:
    """Exact per-token terms of the raw logits, gauge fixed, at the cost of the forward pass.

    Raises:
        IncompatibleError: If the model has no exact decomposition; the message says why and what
            to use instead.
    """
    if model.config.model_type != "self_attentive":
        raise IncompatibleError(
            f"A {model.config.model_type!r} model has no exact contributions; only self_attentive "
            "models with a linear head do. Choose another method, or 'auto'."
        )
    try:
        output = model(**batch.inputs, output_attentions=True, output_attributions=True)
    except ValueError as error:
        raise IncompatibleError(str(error)) from error
    return TokenAttributions(
        logits=output.logits,
        attention=output.attentions[0].mean(1),
        attribution=output.attributions,
        context=output.context_attributions,
    )
