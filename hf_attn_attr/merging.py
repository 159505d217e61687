"""From tokens to words: attributions of a batch's tokens summed over the words they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .attribution import TokenAttributions, TokenBatch
from .encoding import Encoded
from .errors import NonFiniteError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WordRows:
    """Results of some texts, flat over their words, for C labels of which K are attributed.

    Attributes:
        words: Words of each text, (B,).
        logits: (B, C).
        attention: (words,), summing to 1 over the words of a text.
        attribution: (words, K).
        context: (words, K).
        attention_special: Share of the attention that tokens outside words took, (B,).
        attribution_special: Terms of the tokens outside words, (B, K).
        completeness_error: (B,).
    """

    words: NDArray[np.int64]
    logits: Floats
    attention: Floats | None = None
    attribution: Floats | None = None
    context: Floats | None = None
    attention_special: Floats | None = None
    attribution_special: Floats | None = None
    completeness_error: Floats | None = None


_PER_WORD = ("attention", "attribution", "context")


def merged(tokens: TokenAttributions, batch: TokenBatch, texts: Sequence[Encoded]) -> WordRows:
    """Sums over the tokens of each word, and over the tokens of each text that belong to none.

    Raises:
        NonFiniteError: If the words of a text get no attention at all.
    """
    real = batch.real.cpu().numpy()
    words = np.array([len(text.spans) for text in texts], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(words)[:-1]])
    # The word of each real token, counted through the batch; special tokens belong to none.
    owner = np.concatenate([np.array(text.owner, dtype=np.int64) for text in texts])
    text_of = np.repeat(np.arange(len(texts)), [len(text.owner) for text in texts])
    kept = owner >= 0
    owner = (owner + first[text_of])[kept]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))

    def per_word(values: Tensor | None) -> NDArray[Any] | None:
        if values is None:
            return None
        flat = _numpy(values)[real][kept]
        return np.add.reduceat(flat, starts, axis=0) if len(starts) else flat

    def outside(values: Tensor | None) -> NDArray[Any] | None:
        if values is None:
            return None
        flat = _numpy(values)[real][~kept]
        total = np.zeros((len(texts), *flat.shape[1:]), flat.dtype)
        np.add.at(total, text_of[~kept], flat)
        return total

    attention, special = per_word(tokens.attention), outside(tokens.attention)
    if attention is not None and special is not None:
        attention = _shares(attention, np.repeat(np.arange(len(texts)), words), special > 0)
    return WordRows(
        words,
        tokens.logits.float().cpu().numpy(),
        _single(attention),
        _single(per_word(tokens.attribution)),
        _single(per_word(tokens.context)),
        _single(special),
        _single(outside(tokens.attribution)),
        _single(None if tokens.completeness_error is None else _numpy(tokens.completeness_error)),
    )


def in_order(batches: Sequence[WordRows], order: Sequence[int]) -> WordRows:
    """Results of all batches with their texts in the original order."""
    back = np.argsort(np.array(order, dtype=np.int64))
    words = np.concatenate([rows.words for rows in batches])
    first = np.concatenate([[0], np.cumsum(words)[:-1]])
    sizes = words[back]
    # Index of each word in the batches' order, for words in the original order.
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    index = np.repeat(first[back], sizes) + within

    def gather(name: str) -> Any:
        parts = [getattr(rows, name) for rows in batches]
        if parts[0] is None:
            return None
        return np.concatenate(parts)[index if name in _PER_WORD else back]

    return WordRows(**{field.name: gather(field.name) for field in fields(WordRows)})


def joined(
    rows: WordRows, text: Sequence[int], first_word: Sequence[int], words: Sequence[int]
) -> WordRows:
    """Results of whole texts from those of their windows.

    The logits of a text are the mean over its windows, so the term of a word is the mean too, with
    0 for the windows that do not hold it: what holds of the logits of each window (terms sum to
    them, or to a difference of them) holds of the text's. Attention is the mean over the windows
    that have words. The completeness error is the largest.

    Args:
        rows: Results of the windows, in the order of texts.
        text: For each window its text.
        first_word: For each window its first word's number in the text.
        words: Words of each text.
    """
    texts = len(words)
    if len(text) == texts:
        return rows
    owner = np.asarray(text)
    share = 1 / np.bincount(owner, minlength=texts)[owner]
    wordy = np.bincount(owner, rows.words > 0, texts)[owner]
    attended = np.divide(1, wordy, out=np.zeros(len(owner)), where=wordy > 0)
    offset = np.cumsum(words) - words
    start = offset[owner] + np.asarray(first_word)
    within = np.arange(rows.words.sum()) - np.repeat(np.cumsum(rows.words) - rows.words, rows.words)
    place = np.repeat(start, rows.words) + within

    def mean_of_texts(values: Floats | None) -> Floats | None:
        return None if values is None else _single(_sums(values, share, owner, texts))

    def mean_of_words(values: Floats | None, weight: NDArray[np.float64]) -> Floats | None:
        if values is None:
            return None
        return _single(_sums(values, np.repeat(weight, rows.words), place, int(np.sum(words))))

    error = rows.completeness_error
    if error is not None:
        error = np.maximum.reduceat(error, np.searchsorted(owner, np.arange(texts)))
    return WordRows(
        np.asarray(words, dtype=np.int64),
        np.asarray(mean_of_texts(rows.logits)),
        mean_of_words(rows.attention, attended),
        mean_of_words(rows.attribution, share),
        mean_of_words(rows.context, share),
        mean_of_texts(rows.attention_special),
        mean_of_texts(rows.attribution_special),
        error,
    )


def _sums(
    values: Floats, weight: NDArray[np.float64], place: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, place, values * weight.reshape(-1, *[1] * (values.ndim - 1)))
    return total


def _shares(
    attention: NDArray[Any], text: NDArray[np.int64], partial: NDArray[np.bool_]
) -> NDArray[Any]:
    """Attention scaled to sum to 1 over the words of the texts where it does not (`partial`)."""
    total = np.bincount(text, attention, len(partial))
    if (total[text] == 0).any():
        raise NonFiniteError(
            "The words of a text get no attention at all: all of it goes to special tokens. "
            "Choose another method, or the model in float32."
        )
    return np.where(partial[text], attention / total[text], attention)


def _numpy(values: Tensor) -> NDArray[Any]:
    # Sums need single precision at least, and numpy knows no bfloat16.
    return values.to(torch.promote_types(values.dtype, torch.float32)).cpu().numpy()


def _single(values: Any) -> Floats | None:
    return None if values is None else np.asarray(values).astype(np.float32)
