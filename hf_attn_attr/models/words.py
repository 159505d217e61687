"""From tokens to words of the original text: plain Python, no dependency."""

import unicodedata
from collections.abc import Sequence

Span = tuple[int, int]


def word_spans(
    text: str, word_ids: Sequence[int | None], offsets: Sequence[Span]
) -> tuple[list[Span], list[int]]:
    """Words of one text as slices of it, and the word of each token.

    Args:
        text: The text.
        word_ids: For each token the index of its word, None for special tokens, as given by a fast
            tokenizer's encoding.
        offsets: For each token its (start, end) in the text.

    Returns:
        The (start, end) of each word in text order, and for each token the index of its word in
        that list, -1 for tokens that belong to no word.
    """
    spans: list[Span] = []
    owner: list[int] = []
    previous: int | None = None
    for word_id, (start, end) in zip(word_ids, offsets, strict=True):
        if word_id is not None and word_id == previous:
            spans[-1] = (min(spans[-1][0], start), max(spans[-1][1], end))
        elif word_id is None or start == end:
            owner.append(-1)
            continue
        else:
            spans.append((start, end))
            previous = word_id
        owner.append(len(spans) - 1)
    if not text.isascii():
        limits = [start for start, _ in spans[1:]] + [len(text)]
        spans = [
            (start, _with_marks(text, end, limit))
            for (start, end), limit in zip(spans, limits, strict=False)
        ]
    return spans, owner


def _with_marks(text: str, end: int, limit: int) -> int:
    """The end of a word moved behind the characters that compose with its last one.

    Composing normal forms (NFC) make one character of several, and the tokenizer's offset then
    names the first of them alone: "cafe" of "cafe" + combining acute.
    """
    while end < limit and (
        unicodedata.category(text[end]).startswith("M") or "\u1160" <= text[end] <= "\u11ff"
    ):
        end += 1
    return end
