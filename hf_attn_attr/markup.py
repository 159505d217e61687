"""Text from anywhere inside HTML, Markdown, CSV or a terminal: shown as text, never obeyed."""

import html
import re
import unicodedata

# Spreadsheets run cells that begin with one of these. Leading apostrophes belong to the pattern so
# that taking one away restores every text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
# Joiners that scripts and emoji need; they neither hide text nor change its direction.
_JOINERS = "\u200c\u200d"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&])")


def printable(text: str) -> str:
    """`text` with control and direction-changing characters written as escapes."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and character not in _JOINERS
        else character
        for character in text
    )


def for_html(text: str) -> str:
    """`text` for HTML, as content or inside a quoted attribute."""
    return html.escape(printable(text), quote=True)


def for_markdown(text: str) -> str:
    """`text` for one line or table cell of Markdown; HTML in it is text as well."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


def for_csv(text: str) -> str:
    """`text` for a CSV cell.

    A text that a spreadsheet would run as a formula (after any apostrophes, it begins with = + - @,
    tab or carriage return) gets one apostrophe in front; take it away to have the text again.
    """
    return f"'{text}" if _FORMULA.match(text) else text
