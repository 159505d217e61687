"""Foreign text made safe to show: words and labels come from anybody's texts."""

import re
import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Literal

# Punctuation between two letters or digits, as in "don't" and "well-known", means nothing to
# Markdown or HTML, but for "www."; all other punctuation of ASCII may.
_PLAIN = re.compile(r"(?<=[^\W_])(?:['\-,_]|(?<!www)\.)(?=[^\W_])", re.IGNORECASE)
# Spreadsheets run cells that begin with one of these. Leading apostrophes belong to the pattern so
# that taking one away restores every text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


class Markdown(str):
    """Text that is Markdown already, and is not escaped again."""

    __slots__ = ()


def printable(text: str) -> str:
    """`text` with control and direction-changing characters written as escapes."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _HIDDEN and character != "\u200d"  # joins emoji
        else character
        for character in text
    )


def markdown(text: str) -> Markdown:
    """`text` as Markdown that shows just that text, in a sentence or a table's cell.

    What could be markup becomes a numeric entity, which Markdown and HTML show and never obey.
    """
    text = printable(text)
    plain = {found.start() for found in _PLAIN.finditer(text)}
    last = len(text) - 1
    return Markdown(
        "".join(
            f"&#{ord(character)};"
            if _may_be_markup(character)
            and position not in plain
            and not (character == " " and 0 < position < last)
            else character
            for position, character in enumerate(text)
        )
    )


def python(text: str) -> Markdown:
    """`text` as a literal in Python code."""
    return Markdown(repr(text))


def html(text: str) -> str:
    """`text` for HTML, as content or inside a quoted attribute."""
    return escape(printable(text), quote=True)


def csv(text: str) -> str:
    """`text` for a CSV cell.

    A text that a spreadsheet would run as a formula (after any apostrophes, it begins with = + - @,
    tab or carriage return) gets one apostrophe in front; take it away to have the text again.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def csv_quoting(texts: Iterable[str]) -> Literal[0, 2]:
    """How a CSV file of these texts has to be quoted: csv.QUOTE_MINIMAL or csv.QUOTE_NONNUMERIC.

    Python's writer leaves a carriage return bare, which most readers take for the end of a row.
    """
    return 2 if any("\r" in text for text in texts) else 0


def _may_be_markup(character: str) -> bool:
    return character.isspace() or (character.isascii() and not character.isalnum())
