"""What every attribution method reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..batching import BATCH_TOKENS


@dataclass(frozen=True)
class Replacements:
    """Token ids that can stand for "nothing here", as far as the tokenizer has them."""

    pad: int
    mask: int | None = None
    unknown: int | None = None


@dataclass(frozen=True)
class TokenBatch:
    """The B texts of a padded batch of T tokens.

    Attributes:
        inputs: What the model is called with, int64 (B, T) each: `input_ids`, `attention_mask`,
            perhaps `token_type_ids`.
        owner: int64 (B, T): the word within its text that a token belongs to, -1 for special tokens
            and padding.
        replacements: Ids for a token that is taken away.
        max_tokens: Padded tokens per forward pass, for methods that need many.
        classes: int64 (B,): the class to attribute in each text, where that is one of each.
    """

    inputs: Mapping[str, Tensor]
    owner: Tensor
    replacements: Replacements
    max_tokens: int = BATCH_TOKENS
    classes: Tensor | None = None

    @property
    def real(self) -> Tensor:
        """True at tokens, False at padding: bool (B, T)."""
        return self.inputs["attention_mask"].bool()
