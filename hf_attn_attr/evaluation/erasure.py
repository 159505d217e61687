"""What a classifier says of texts from which words were taken away."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..attribution.occlusion import replacement_id
from ..batching import length_batches
from ..classifier import class_probabilities, evaluating, problem_type
from ..encoding import CHUNK, Encoded, model_inputs
from ..errors import IncompatibleError
from ..extraction import AttributionExtractor

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Way = Literal["delete", "mask"]
"""How a word goes: its tokens are left out, or each becomes the mask token, or the unknown token
where the tokenizer has no mask, or else the padding token; as for the method "occlusion"."""

_TOKENS = 2_000_000  # of texts with words gone that are held in memory at a time


class Eraser:
    """A classifier and some texts of which any words can be taken away.

    Outputs are class probabilities (a softmax, or one sigmoid per label of a multi-label model);
    of a regression model the predicted value, as its one class.

    Args:
        extractor: A classifier, and how its texts are read: what is a word, and whether long texts
            are cut or read in windows. Its method does not matter.
        texts: Texts. Words are those that are read.
        progress: Called with the number of texts just read by the model.

    Attributes:
        encoded: The texts as tokens and words.
        full: Outputs for the whole texts, float64 (N, C).
        ways: The ways in which words of this model's texts can go.

    Raises:
        InvalidInputError: If a text is not a string.
    """

    def __init__(
        self,
        extractor: AttributionExtractor,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] = lambda _: None,
    ):
        self.extractor = extractor
        self.progress = progress
        self.encoded: list[Encoded] = [
            text
            for first in range(0, len(texts), CHUNK)
            for text in extractor.encoded(texts[first : first + CHUNK])
        ]
        self._ids = [np.array(text.ids, dtype=np.int64) for text in self.encoded]
        self._owner = [np.array(text.owner, dtype=np.int64) for text in self.encoded]
        self.ways: tuple[Way, ...] = ("delete",)
        try:
            self._replacement = replacement_id(extractor.model, extractor.replacements)
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
            kind = self.extractor.model.config.model_type
            raise IncompatibleError(
                f"Words of a {kind!r} model's texts cannot go by {way!r}: no token could stand for "
                f"them. Choose one of {self.ways}."
            )
        found = np.empty((len(texts), self.full.shape[1]))
        size = max(1, _TOKENS // max(map(len, self._ids), default=1))
        for first in range(0, len(texts), size):
            rows = slice(first, first + size)
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
        whole = self.encoded[text]
        if not gone.any():
            return whole
        ids, owner = self._ids[text], self._owner[text]
        taken = np.append(gone, False)[owner]  # special tokens have owner -1 and stay
        if way == "mask":
            return replace(whole, ids=np.where(taken, self._replacement, ids).tolist())
        types = whole.type_ids
        return replace(
            whole,
            ids=ids[~taken].tolist(),
            owner=owner[~taken].tolist(),
            type_ids=None if types is None else np.array(types)[~taken].tolist(),
        )

    def _run(self, texts: Sequence[Encoded]) -> Floats:
        """Outputs of texts, (N, C): of one read in windows, from the mean of its logits."""
        model = self.extractor.model
        parts, text = self.extractor.windows(texts)
        logits = np.zeros((len(texts), model.config.num_labels))
        with evaluating(model):
            lengths = [len(part.ids) for part in parts]
            for rows in length_batches(lengths, self.extractor.batch_tokens):
                chosen = [parts[row] for row in rows]
                inputs = model_inputs(model, chosen, self.extractor.replacements.pad)
                found = model(**inputs).logits.double().cpu().numpy()
                np.add.at(logits, text[rows], found)
                self.progress(len(rows))
        logits /= np.bincount(text, minlength=len(texts))[:, None]
        kind = problem_type(model)
        return logits if kind == "regression" else class_probabilities(logits, kind)
