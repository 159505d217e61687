"""What counts as a word of a text: the tokenizer's own words, white space, or a rule of yours."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .errors import InvalidInputError
from .models.words import Span, bare, word_spans

# "pre_tokens": what the tokenizer cuts a text into before it cuts words into pieces. "whitespace":
# what stands between white space. A function: from a text to its words as (start, end) in it.
WordRule = Literal["pre_tokens", "whitespace"] | Callable[[str], Sequence[Span]]

_NAMES = ("pre_tokens", "whitespace")


def checked_rule(rule: Any) -> WordRule:
    """The rule, if it is one.

    Raises:
        InvalidInputError: If it is neither a name of one nor a function.
    """
    if not callable(rule) and rule not in _NAMES:
        raise InvalidInputError(
            f"word_rule is {rule!r}; give one of {list(_NAMES)}, or a function from a text to the "
            "(start, end) of its words."
        )
    found: WordRule = rule
    return found


def rule_name(rule: WordRule) -> str:
    """How a manifest names the rule."""
    if isinstance(rule, str):
        return rule
    module = getattr(rule, "__module__", type(rule).__module__)
    return f"{module}.{getattr(rule, '__qualname__', type(rule).__qualname__)}"


def find_words(
    rule: WordRule, text: str, word_ids: Sequence[int | None], offsets: Sequence[Span]
) -> tuple[list[Span], list[int]]:
    """Words of one text by a rule, and the word of each token.

    Words that share a token cannot be told apart by any method and are joined to one. Words that no
    token read (the text was cut, or the tokenizer drops them) are left out.

    Args:
        rule: Which words.
        text: The text.
        word_ids: For each token the tokenizer's word, None for special tokens.
        offsets: For each token its (start, end) in the text.

    Returns:
        As `word_spans`: the (start, end) of each word, and for each token the index of its word,
        -1 for tokens that belong to none.

    Raises:
        InvalidInputError: If a function gives something else than spans in order.
    """
    if rule == "pre_tokens":
        return word_spans(text, word_ids, offsets)
    if callable(rule):
        spans = _checked(rule(text), text)
    else:
        spans = [match.span() for match in re.finditer(r"\S+", text)]
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    # For each token the first and the last word that it touches.
    touched: list[tuple[int, int] | None] = []
    for offset in offsets:
        start, end = bare(text, *offset)
        first, last = bisect_right(ends, start), bisect_right(starts, end - 1) - 1
        touched.append((first, last) if start < end and first <= last else None)
    joined = _joined(len(spans), [pair for pair in touched if pair is not None])
    number = {word: index for index, word in enumerate(sorted(set(joined.values())))}
    found: list[Span] = []
    for word, (start, end) in enumerate(spans):
        if word not in joined:
            continue
        if number[joined[word]] == len(found):
            found.append((start, end))
        else:
            found[-1] = (found[-1][0], end)
    owner = [-1 if pair is None else number[joined[pair[0]]] for pair in touched]
    return found, _with_blanks(owner, text, word_ids, offsets)


def _joined(words: int, pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """For each word that a token touches the first of the words it is joined with."""
    head = list(range(words))
    for first, last in pairs:
        for word in range(first + 1, last + 1):
            head[word] = word - 1
    for word in range(words):
        head[word] = head[head[word]]
    read = {head[word] for first, last in pairs for word in range(first, last + 1)}
    return {word: head[word] for word in range(words) if head[word] in read}


def _with_blanks(
    owner: list[int], text: str, word_ids: Sequence[int | None], offsets: Sequence[Span]
) -> list[int]:
    """Tokens of white space alone ("▁") that the tokenizer counts to the next token's word."""
    filled = list(owner)
    for token in range(len(owner) - 2, -1, -1):
        start, end = bare(text, *offsets[token])
        same = word_ids[token] is not None and word_ids[token] == word_ids[token + 1]
        if filled[token] < 0 and start == end and same:
            filled[token] = filled[token + 1]
    return filled


def _checked(found: Any, text: str) -> list[Span]:
    spans: list[Span] = []
    position = 0
    for span in found:
        try:
            start, end = (int(value) for value in span)
        except (TypeError, ValueError):
            start, end = -1, -1
        if not position <= start < end <= len(text):
            raise InvalidInputError(
                f"The word rule gave {span!r} after position {position} of a text of {len(text)} "
                f"characters ({text[:40]!r}...). It must give (start, end) of one word after the "
                "other, none empty, none overlapping."
            )
        spans.append((start, end))
        position = end
    return spans
