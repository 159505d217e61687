"""Regular expressions of a tokenizer from elsewhere, some of which take time without end.

The engine of `tokenizers` tries a pattern like `(a+)+b` in exponentially many ways. It gives up at
some ten million, with a panic that `except Exception` does not catch, but only after it has done so
at every position of a text.
"""

import json
from collections.abc import Iterator
from typing import Any

from .errors import InvalidInputError

_UNBOUNDED = 100  # repetitions; fewer are a detail
_ZERO_WIDTH = "bBAzZGKyY"


class _Group:
    """A group that is being read: whether a branch of it repeats without anything fixed."""

    def __init__(self, *, zero_width: bool = False) -> None:
        self.zero_width = zero_width
        self.branches = [[False, False]]  # for each branch: repeats something; has a fixed part

    @property
    def repeats(self) -> bool:
        return any(repeats for repeats, _ in self.branches)

    @property
    def fixed(self) -> bool:
        return not self.zero_width and all(fixed for _, fixed in self.branches)

    @property
    def ambiguous(self) -> bool:
        return any(repeats and not fixed for repeats, fixed in self.branches)


def check_patterns(tokenizer: Any, where: str) -> None:
    """Check the patterns of a fast tokenizer; none is run.

    Args:
        tokenizer: A fast tokenizer of transformers.
        where: Its name, for the message.

    Raises:
        InvalidInputError: If one repeats what repeats, with nothing fixed between: `(a+)+`.
    """
    for pattern in _patterns(json.loads(tokenizer.backend_tokenizer.to_str())):
        if nested_repetition(pattern):
            raise InvalidInputError(
                f"The tokenizer of {where} has the pattern {pattern!r}, which repeats what repeats "
                "and can take time without end. Use another tokenizer, or write the pattern "
                "without nested repetition."
            )


def nested_repetition(pattern: str) -> bool:
    """Whether a group of which a branch is nothing but repetitions is itself repeated."""
    groups = [_Group()]
    position = 0
    while position < len(pattern):
        closed = None
        character = pattern[position]
        if character == "(":
            header = _header(pattern, position + 1)
            groups.append(_Group(zero_width=header.rstrip("<")[-1:] in ("=", "!")))
            position += 1 + len(header)
            continue
        if character == "|":
            groups[-1].branches.append([False, False])
            position += 1
            continue
        if character == ")" and len(groups) > 1:
            closed = groups.pop()
            position += 1
        else:
            position = _atom_end(pattern, position)
        fewest, most, position = _quantifier(pattern, position)
        repeated = most >= _UNBOUNDED
        if closed is not None and repeated and closed.ambiguous:
            return True
        zero_width = character in "^$" or (
            character == "\\" and pattern[position - 1 : position] in _ZERO_WIDTH
        )
        branch = groups[-1].branches[-1]
        branch[0] |= repeated or (closed is not None and closed.repeats)
        branch[1] |= fewest == most > 0 and not zero_width and (closed is None or closed.fixed)
    return False


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "Regex" and isinstance(inner, str):
                yield inner
            else:
                yield from _patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _patterns(inner)


def _header(pattern: str, start: int) -> str:
    """What stands between the bracket of a group and its content: "", "?:", "?<name>", ..."""
    if not pattern.startswith("?", start):
        return ""
    end = start + 1
    while end < len(pattern) and pattern[end] not in ":=!>)":
        end += 1
    return pattern[start:end] if pattern[end : end + 1] == ")" else pattern[start : end + 1]


def _atom_end(pattern: str, start: int) -> int:
    if pattern[start] == "\\":
        named = pattern[start + 1 : start + 2] in ("p", "P", "x", "k") and pattern.startswith(
            "{", start + 2
        )
        return pattern.find("}", start) + 1 or len(pattern) if named else start + 2
    if pattern[start] != "[":
        return start + 1
    depth, position = 0, start
    while position < len(pattern):
        if pattern[position] == "\\":
            position += 1
        elif pattern[position] == "[":
            depth += 1
        elif pattern[position] == "]":
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    return position


def _quantifier(pattern: str, start: int) -> tuple[int, int, int]:
    """(fewest, most, position behind it) of the quantifier that stands at `start`, if one does."""
    character = pattern[start : start + 1]
    fewest, most, end = 1, 1, start
    if character and character in "*+?":
        fewest, most = {"*": (0, _UNBOUNDED), "+": (1, _UNBOUNDED), "?": (0, 1)}[character]
        end = start + 1
    elif character == "{":
        close = pattern.find("}", start)
        low, comma, high = pattern[start + 1 : close].partition(",")
        if close > 0 and all(part.isdecimal() or not part for part in (low, high)):
            fewest = int(low or 0)
            most = fewest if not comma else int(high or _UNBOUNDED)
            end = close + 1
    if end > start and pattern[end : end + 1] in ("?", "+"):  # lazy, possessive
        end += 1
    return fewest, most, end
