"""What every attribution method returns."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TokenAttributions:
    """Attributions of the B x T tokens of a padded batch for C labels.

    Attributes:
        logits: float (B, C).
        attention: float (B, T), 0 at padding, summing to 1 over the tokens of a text; mean over
            hops or heads. None if the method has none.
        attribution: Signed terms of each logit, float (B, T, C), or (B, T, K) for the K classes
            asked for; 0 at padding. None for unsigned methods.
        context: The part of `attribution` from the tokens' context, float (B, T, C), if known.
        completeness_error: float (B,), for methods whose terms should sum to a known difference of
            logits: the largest gap over classes, relative to the largest difference.
    """

    logits: Tensor
    attention: Tensor | None = None
    attribution: Tensor | None = None
    context: Tensor | None = None
    completeness_error: Tensor | None = None
