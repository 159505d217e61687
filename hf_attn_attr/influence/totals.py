"""What is kept while texts are added up, and the file it is kept in."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError
from hf_attn_attr.files import canonical_json, sha256_of_bytes, write_bytes

from .exact import LIMB_BITS, LIMIT, IntArray, Limbs

FORMAT_VERSION = 1

# Squares are larger and need less depth.
BITS = {
    "attribution": 30,
    "attribution_squared": 20,
    "attribution_times_count": 20,
    "attribution_context": 30,
    "joint": 30,
    "attention": 30,
    "relative_attention": 30,
}
_PER_WORD = ("attention", "relative_attention")
_NOT_NEGATIVE = {"attribution_squared", "joint", *_PER_WORD}

_HEADER = "hf_attn_attr"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a set of texts, exact, so that sets can be added in any order.

    For a word w and a text s: n = occurrences of w in s, T = total attribution of those (centred
    over classes for single-label models), A = total attention of those, p = probabilities of s.

    Attributes:
        words: Keys of the different words.
        counts: sum n, sum n^2, number of texts with w; int64 (words, 3).
        sums: Per word, limbs on the grid of `BITS`. Per class, (words, labels):
            "attribution" sum T, "attribution_squared" sum T^2, "attribution_times_count" sum T n,
            "attribution_context" the context part of sum T, "joint" sum A p.
            One number per word, (words, 1): "attention" sum A, "relative_attention" sum n_s A
            with n_s the words of the text. What the columns did not hold is left out.
        class_sums: sum p over texts with words, limbs (labels,); 0 for regression.
        texts: Texts with words.
        empty_texts: Texts without words.
    """

    words: list[str]
    counts: IntArray
    sums: dict[str, Limbs]
    class_sums: Limbs
    texts: int
    empty_texts: int

    def word_order(self) -> IntArray:
        """Rows of the words in the order of code points."""
        return np.array(sorted(range(len(self.words)), key=self.words.__getitem__), np.int64)

    def in_word_order(self) -> "Totals":
        """The same totals, words sorted by code point."""
        order = self.word_order()
        return Totals(
            words=[self.words[row] for row in order],
            counts=self.counts[order],
            sums={name: Limbs(s.high[order], s.low[order]) for name, s in self.sums.items()},
            class_sums=self.class_sums,
            texts=self.texts,
            empty_texts=self.empty_texts,
        )


def save_totals(path: Path, totals: Totals, description: dict[str, Any]) -> str:
    """Write totals and what they are totals of; equal totals of equal kind give equal bytes.

    Returns:
        SHA-256 of the file.
    """
    tensors = _tensors(totals.in_word_order())
    header = {
        "format_version": FORMAT_VERSION,
        "description": description,
        "texts": totals.texts,
        "empty_texts": totals.empty_texts,
    }
    header["sha256"] = _digest(header, tensors)
    # One entry only: safetensors does not promise an order of metadata entries.
    data = save(tensors, metadata={_HEADER: canonical_json(header).decode()})
    write_bytes(path, data)
    return sha256_of_bytes(data)


def load_totals(path: Path) -> tuple[Totals, dict[str, Any]]:
    """Totals and description as `save_totals` wrote them.

    Raises:
        CorruptArtifactError: If the file is missing, or anything in it has changed since.
        IncompatibleError: If another format version wrote it.
    """
    header, tensors = _read(path)
    digest = header.pop("sha256", None)
    if header.get("format_version") != FORMAT_VERSION:
        raise IncompatibleError(
            f"{path} has format version {header.get('format_version')}, this release reads "
            f"{FORMAT_VERSION}. Use the release that wrote it, or fold again."
        )
    if digest != _digest(header, tensors):
        raise damaged(path, "its content does not have the digest it names")
    try:
        return _totals(header, tensors), header["description"]
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, str(error)) from error


def _tensors(totals: Totals) -> dict[str, NDArray[Any]]:
    encoded = [word.encode() for word in totals.words]
    tensors: dict[str, NDArray[Any]] = {
        "words": np.frombuffer(b"".join(encoded), np.uint8),
        "word_ends": np.cumsum([len(word) for word in encoded], dtype=np.int64),
        "counts": totals.counts,
    }
    for name, limbs in {**totals.sums, "classes": totals.class_sums}.items():
        tensors |= {f"{name}.high": limbs.high, f"{name}.low": limbs.low}
    # safetensors writes the buffer as it lies, so views must be packed first.
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise CorruptArtifactError(f"{path} is missing. Save the accumulator again.")
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = json.loads((file.metadata() or {})[_HEADER])
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, str(error)) from error  # AttributeError: of a type that numpy lacks
    if not isinstance(header, dict):
        raise damaged(path, "its header is no object")
    return header, tensors


def _totals(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Totals:
    """The content of a file, checked. Raises KeyError, TypeError or ValueError if it is not so."""
    words = _words(tensors.pop("words"), tensors.pop("word_ends"))
    counts = _int64(tensors.pop("counts"), (len(words), 3))
    class_sums = _limbs(tensors, "classes", len(header["description"]["labels"]))
    n_labels = len(class_sums.high)
    names = [name for name in BITS if f"{name}.high" in tensors]
    sums = {
        name: _limbs(tensors, name, len(words), 1 if name in _PER_WORD else n_labels)
        for name in names
    }
    if tensors:
        raise ValueError(f"it holds unknown tensors {sorted(tensors)}")
    texts, empty_texts = header["texts"], header["empty_texts"]
    if not (type(texts) is type(empty_texts) is int and LIMIT > texts >= 0 <= empty_texts < LIMIT):
        raise TypeError("its numbers of texts cannot be")
    occurrences, squares, documents = counts.T
    if not ((documents >= 1) & (documents <= np.minimum(occurrences, texts))).all():
        raise ValueError("its counts cannot be")
    if max(squares.max(initial=0), occurrences.sum(dtype=np.float64)) >= LIMIT:
        raise ValueError("its counts cannot be")
    if (squares < occurrences).any():
        raise ValueError("its squared counts cannot be")
    for name in _NOT_NEGATIVE & sums.keys():
        high, low = sums[name]
        if ((high < 0) | ((high == 0) & (low < 0))).any():
            raise ValueError(f"its {name} is negative")
    return Totals(words, counts, sums, class_sums, texts, empty_texts)


def _words(blob: NDArray[Any], ends: NDArray[Any]) -> list[str]:
    if blob.dtype != np.uint8 or ends.dtype != np.int64 or not blob.ndim == ends.ndim == 1:
        raise ValueError(f"its words are {blob.dtype} {blob.shape}, ends {ends.dtype} {ends.shape}")
    data = blob.tobytes()
    starts = np.concatenate([[0], ends])
    if starts[-1] != len(data) or (np.diff(starts) <= 0).any():
        raise ValueError("its word boundaries do not fit its words")
    words = [data[i:j].decode() for i, j in pairwise(starts)]
    if any(left >= right for left, right in pairwise(words)):
        raise ValueError("its words are not sorted or not unique")
    return words


def _limbs(tensors: dict[str, NDArray[Any]], name: str, *shape: int) -> Limbs:
    high = _int64(tensors.pop(f"{name}.high"), shape)
    low = _int64(tensors.pop(f"{name}.low"), shape)
    half = 2 ** (LIMB_BITS - 1)
    if low.size and (low.min() < -half or low.max() >= half):
        raise ValueError(f"its limbs of {name} are out of range")
    return Limbs(high, low)


def _int64(array: NDArray[Any], shape: tuple[int, ...]) -> IntArray:
    if array.dtype != np.int64 or array.shape != shape:
        raise ValueError(f"a tensor is {array.dtype} {array.shape}, wanted int64 {shape}")
    return array


def _digest(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> str:
    described = {
        name: [str(tensor.dtype), list(tensor.shape), sha256_of_bytes(tensor.tobytes())]
        for name, tensor in tensors.items()
    }
    return sha256_of_bytes(canonical_json({"header": header, "tensors": described}))


def damaged(path: Path, reason: str) -> CorruptArtifactError:
    """The error of a file that is not as it was written."""
    return CorruptArtifactError(
        f"{path} is damaged: {reason}. Restore it from a copy, or fold its texts again."
    )
