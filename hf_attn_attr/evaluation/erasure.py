"""What a classifier says of texts from which words were taken away."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..attribution.occlusion import replacement_id
from ..batching import BATCH_TOKENS, length_batches
from ..encoding import CHUNK, Encoded, encode, longest_text, model_inputs
from ..errors import IncompatibleError
from ..extraction import class_probabilities, evaluating, problem_type, replacements

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Way = Literal["delete", "mask"]
"""How a word goes: its tokens are left out, or each becomes the mask token, or the unknown token
where the tokenizer has no mask, or else the padding token; as for the method "occlusion"."""

_VARIANTS = 20_000  # texts with words gone that are held in memory at a time


class Eraser:
    """A classifier and some texts of which any words can be taken away.

    Outputs are class probabilities (a softmax, or one sigmoid per label of a multi-label model);
    of a regression model the predicted value, as its one class.

    Args:
        model: A sequence classifier; used in eval mode, its mode is restored.
        tokenizer: Its fast tokenizer.
        texts: Texts; those longer than the model reads are cut, so words are those that are read.
        batch_tokens: Padded tokens per forward pass.
        progress: Called with the number of texts just read by the model.

    Attributes:
        encoded: The texts as tokens and words.
        full: Outputs for the whole texts, float64 (N, C).
        ways: The ways in which words of this model's texts can go.

    Raises:
        InvalidInputError: If a text is not a string.
        IncompatibleError: If neither model nor tokenizer has a padding token.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        texts: Sequence[str],
        *,
        batch_tokens: int = BATCH_TOKENS,
        progress: Callable[[int], None] = lambda _: None,
    ):
        self.model = model
        self.batch_tokens = batch_tokens
        self.progress = progress
        length = longest_text(model, tokenizer)
        self.encoded: list[Encoded] = []
        for first in range(0, len(texts), CHUNK):
            chunk = texts[first : first + CHUNK]
            self.encoded += encode(tokenizer, chunk, length, first_row=first)
        self._ids = [np.array(text.ids, dtype=np.int64) for text in self.encoded]
        self._owner = [np.array(text.owner, dtype=np.int64) for text in self.encoded]
        self._replacements = replacements(model, tokenizer)
        self.ways: tuple[Way, ...] = ("delete",)
        try:
            self._replacement = replacement_id(model, self._replacements)
            self.ways = ("delete", "mask")
        except IncompatibleError:  # only padding could stand for a word, and would end the text
            pass
        self.full = self._run(self.encoded)

    @property
    def word_counts(self) -> NDArray[np.int64]:
        """Words of each text, int64 (N,)."""
        return np.array([len(text.spans) for text in self.encoded], dtype=np.int64)

    def outputs(self, texts: Sequence[int], gone: Sequence[Mask], way: Way) -> Floats:
        """Outputs for texts without some of their words; what is asked twice is run once.

        Args:
            texts: Which text each row is of, M indices.
            gone: For each row, True at the words taken away: bool (words of that text,).
            way: How they go.

        Returns:
            float64 (M, C).

        Raises:
            IncompatibleError: If words of this model's texts cannot go this way.
        """
        if way not in self.ways:
            raise IncompatibleError(
                f"Words of a {self.model.config.model_type!r} model's texts cannot go by {way!r}: "
                f"no token could stand for them. Choose one of {self.ways}."
            )
        found = np.empty((len(texts), self.full.shape[1]))
        for first in range(0, len(texts), _VARIANTS):
            rows = slice(first, first + _VARIANTS)
            place: list[int] = []
            keys: dict[tuple[int, bytes], int] = {}
            variants: list[Encoded] = []
            for text, mask in zip(texts[rows], gone[rows], strict=True):
                key = (int(text), mask.tobytes())
                if key not in keys:
                    keys[key] = len(variants)
                    variants.append(self._without(int(text), mask, way))
                place.append(keys[key])
            found[rows] = self._run(variants)[place]
        return found

    def _without(self, text: int, gone: Mask, way: Way) -> Encoded:
        if not gone.any():
            return self.encoded[text]
        ids, owner = self._ids[text], self._owner[text]
        tokens = np.append(gone, False)[owner]  # special tokens have owner -1 and stay
        if way == "mask":
            changed = np.where(tokens, self._replacement, ids)
            return Encoded(changed.tolist(), [], [], type_ids=self.encoded[text].type_ids)
        types = self.encoded[text].type_ids
        kept = None if types is None else np.array(types)[~tokens].tolist()
        return Encoded(ids[~tokens].tolist(), [], [], type_ids=kept)

    def _run(self, texts: Sequence[Encoded]) -> Floats:
        config = self.model.config
        logits = np.empty((len(texts), config.num_labels), dtype=np.float64)
        with evaluating(self.model):
            for rows in length_batches([len(text.ids) for text in texts], self.batch_tokens):
                chosen = [texts[row] for row in rows]
                inputs = model_inputs(self.model, chosen, self._replacements.pad)
                logits[rows] = self.model(**inputs).logits.double().cpu().numpy()
                self.progress(len(rows))
        kind = problem_type(self.model)
        return logits if kind == "regression" else class_probabilities(logits, kind)
