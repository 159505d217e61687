"""From tokens to words of the original text: plain Python, no dependency."""

import unicodedata
from collections.abc import Sequence

Span = tuple[int, int]


def require_text(text: object) -> None:
    """Refuse what is no text.

    Raises:
        ValueError: If it is not a string, or one with a lone surrogate.
    """
    if not isinstance(text, str):
        raise ValueError(f"Give a text as a string, not {type(text).__name__}: {text!r}.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            "The text has a lone surrogate, which is no character. Repair or remove it, e.g. with "
            "text.encode('utf-8', 'replace').decode()."
        )


def word_spans(
    text: str, word_ids: Sequence[int | None], offsets: Sequence[Span]
) -> tuple[list[Span], list[int]]:
    """Words of one text as slices of it, and the word of each token.

    A word is what the tokenizer cuts a text into before it cuts words into pieces, with three
    repairs: white space around it is no part of it (byte-level BPE and SentencePiece put the space
    before a word into its first token); white space between two tokens ends a word (some tokenizers
    cut no words at all); and what overlaps the word before it, or continues its last character by
    combining marks, belongs to that word.

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
    owner = [-1] * len(offsets)
    previous: int | None = None  # the tokenizer's word of the last word found
    last = 0  # where that ends
    blank: list[int] = []  # tokens without characters of their own, for the next token's word
    blank_id: int | None = None
    for token, (word_id, (start, end)) in enumerate(zip(word_ids, offsets, strict=True)):
        if start == end and word_id is None:
            continue
        # Most tokens need no closer look, and there are many.
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            start, end = bare(text, start, end)
        if start == end:
            blank = [*blank, token] if word_id == blank_id else [token]
            blank_id = word_id
            continue
        apart = start >= last and word_id != previous and text[start].isascii()
        if not apart and _continues(
            text, spans, start, same=word_id is not None and word_id == previous
        ):
            spans[-1] = (min(spans[-1][0], start), max(last, end))
        else:
            spans.append((start, end))
        last = spans[-1][1]
        previous = word_id
        owner[token] = len(spans) - 1
        if word_id == blank_id:
            for earlier in blank:
                owner[earlier] = len(spans) - 1
        blank = []
    if not text.isascii():
        limits = [start for start, _ in spans[1:]] + [len(text)]
        spans = [
            (start, _with_marks(text, end, limit))
            for (start, end), limit in zip(spans, limits, strict=False)
        ]
    return spans, owner


def bare(text: str, start: int, end: int) -> Span:
    """The slice without white space at its ends; empty if it is nothing else."""
    while start < end and _is_space(text[start]):
        start += 1
    while start < end and _is_space(text[end - 1]):
        end -= 1
    return start, end


def _continues(text: str, spans: Sequence[Span], start: int, *, same: bool) -> bool:
    """Whether a token that begins at `start` continues the last word.

    `same`: whether the tokenizer counts it to that word.
    """
    if not spans:
        return False
    end = spans[-1][1]
    if start < end:
        return True
    if same:
        return not any(map(_is_space, text[end:start]))
    return start == end and _is_mark(text[start])


def _with_marks(text: str, end: int, limit: int) -> int:
    """The end of a word moved behind the characters that compose with its last one.

    Composing normal forms (NFC) make one character of several, and the tokenizer's offset then
    names the first of them alone: "cafe" of "cafe" + combining acute.
    """
    while end < limit and (_is_mark(text[end]) or "\u1160" <= text[end] <= "\u11ff"):
        end += 1
    return end


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_space(character: str) -> bool:
    # Unlike Unicode and regular expressions, Python counts four control characters as space.
    return character.isspace() and not "\x1c" <= character <= "\x1f"
