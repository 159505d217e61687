"""Texts longer than a model reads, as windows that overlap."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from .encoding import Encoded


def windows(text: Encoded, max_length: int, overlap: int) -> list[Encoded]:
    """The text itself if it fits, else windows of at most `max_length` tokens that cover it.

    Each window has the special tokens of a whole text, begins and ends between words where words
    allow it, and repeats about `overlap` tokens of the one before. The last one reaches back as
    far as it can, so that no window is much shorter than the others.

    Args:
        text: A text that was not cut.
        max_length: Tokens of a window, special ones included.
        overlap: Fewer than a window holds besides its special tokens.
    """
    if len(text.ids) <= max_length:
        return [text]
    before, after = text.edges
    last = len(text.ids) - after
    size = max_length - before - after
    between = [
        token
        for token in range(before, last)
        if text.owner[token] < 0 or text.owner[token] != text.owner[token - 1]
    ]
    found = []
    begin = end = before
    while begin + size < last:
        # Each window ends behind the one before, so it must not begin a whole window before that.
        end = _latest(between, end, begin + size)
        found.append(_window(text, begin, end))
        low = max(begin, end - size)
        begin = end if end - overlap <= low else _latest(between, low, end - overlap)
    place = bisect_left(between, last - size)
    if place < len(between):
        begin = min(begin, between[place])
    return [*found, _window(text, begin, last)]


def _latest(between: Sequence[int], low: int, high: int) -> int:
    """The last place between words behind `low` and not behind `high`; else `high` itself."""
    place = bisect_right(between, high) - 1
    return between[place] if place >= 0 and between[place] > low else high


def _window(text: Encoded, begin: int, end: int) -> Encoded:
    before, after = text.edges

    def part(values: list[int]) -> list[int]:
        return values[:before] + values[begin:end] + values[len(values) - after :]

    owner = part(text.owner)
    words = [word for word in owner if word >= 0]
    first, last = (min(words), max(words) + 1) if words else (0, 0)
    return replace(
        text,
        ids=part(text.ids),
        spans=text.spans[first:last],
        owner=[word - first if word >= 0 else -1 for word in owner],
        type_ids=None if text.type_ids is None else part(text.type_ids),
        first_word=first,
    )
