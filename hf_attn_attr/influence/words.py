"""When two spellings are one word."""

import unicodedata
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_attn_attr.errors import InvalidInputError

Normalization = Literal["NFC", "NFKC"]


@dataclass(frozen=True, slots=True)
class WordRule:
    """Word identity: two words are one when their keys are equal.

    Zero-width characters, soft hyphens and look-alikes of other scripts keep words apart; NFKC
    joins compatibility forms (ligatures, full-width letters, superscripts), NFC does not.

    Attributes:
        lowercase: Whether case is ignored, by Unicode lower-casing (so "ß" and "ss" stay apart).
        normalization: Unicode normal form; None keeps different encodings of one letter apart.

    Raises:
        InvalidInputError: If `lowercase` is no bool or `normalization` is none of the above.
    """

    lowercase: bool = True
    normalization: Normalization | None = "NFC"

    def __post_init__(self) -> None:
        if not isinstance(self.lowercase, bool):
            raise InvalidInputError(f"lowercase is {self.lowercase!r}; pass True or False.")
        if self.normalization not in ("NFC", "NFKC", None):
            raise InvalidInputError(
                f"normalization is {self.normalization!r}; pass 'NFC', 'NFKC' or None."
            )

    def key(self, word: str) -> str:
        """The spelling that stands for `word`; a key is its own key."""
        if word.isascii():
            return word.lower() if self.lowercase else word
        key = self._normalized(word)
        # Lower-casing can leave a decomposed letter ("H" + macron below has no capital of its own).
        return self._normalized(key.lower()) if self.lowercase else key

    def keys(self, words: pa.Array) -> list[str]:
        """The key of each of an Arrow array of words."""
        ascii_ = pc.string_is_ascii(words)
        keys: list[str] = (pc.ascii_lower(words) if self.lowercase else words).to_pylist()
        for place in np.flatnonzero(~ascii_.to_numpy(zero_copy_only=False)).tolist():
            keys[place] = self.key(words[place].as_py())
        return keys

    def describe(self) -> dict[str, Any]:
        """The rule as plain values; `WordRule(**rule.describe()) == rule`."""
        return asdict(self)

    def _normalized(self, word: str) -> str:
        if self.normalization is None:
            return word
        return unicodedata.normalize(self.normalization, word)
