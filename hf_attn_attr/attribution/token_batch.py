"""What every attribution method reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..batching import BATCH_TOKENS, length_batches


@dataclass(frozen=True)
class Replacements:
    """Token ids that can stand for "nothing here", as far as the tokenizer has them."""

    pad: int
    mask: int | None = None
    unknown: int | None = None


@dataclass(frozen=True)
class TokenBatch:
    """The B texts of a batch of T tokens, padded on the right.

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

    def passes(self, texts: Tensor) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Forward passes that read the texts, each as often as `texts` (n,) names it.

        Yields:
            For a pass of b rows: which of the n they are, int64 (b,), and their inputs, (b, T)
            each. Rows of like length share a pass, which is cut to its longest.
        """
        lengths = self.real.sum(1)[texts]
        for chosen in length_batches(lengths.tolist(), self.max_tokens):
            rows = torch.tensor(chosen, device=texts.device)
            longest = max(1, int(lengths[rows].max()))
            yield rows, {name: part[texts[rows], :longest] for name, part in self.inputs.items()}
