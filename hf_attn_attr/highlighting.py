"""An answer about one text, which notebooks show as the text with its words coloured."""

from typing import Any

from .colours import AGAINST, FOR, tint
from .markup import html


class Answer(dict[str, Any]):
    """What `pipeline("attention-attribution")` says of a text: a dict that notebooks highlight."""

    def _repr_html_(self) -> str:
        return answer_html(self)


def answer_html(answer: dict[str, Any]) -> str:
    """Label and score, then the words of the text: red for the label, blue against it.

    A word's numbers are in its title. The text between words is not in an answer; where there was
    some, a space stands for it.
    """
    words = answer["words"]
    signed = any(word["attribution"] is not None for word in words)
    name = "attribution" if signed else "attention"
    largest = max((abs(word[name] or 0.0) for word in words), default=0.0) or 1.0
    parts, position = [], 0
    for word in words:
        parts.append(" " if word["start"] > position else "")
        parts.append(_mark(word, name, largest))
        position = word["end"]
    head = f"<b><bdi>{html(str(answer['label']))}</bdi></b> {answer['score']:.3f}"
    return f'<div>{head}<p dir="auto" style="line-height:1.9">{"".join(parts)}</p></div>'


def _mark(word: dict[str, Any], name: str, largest: float) -> str:
    value = word[name] or 0.0
    numbers = ", ".join(
        f"{kind} {word[kind]:+.3f}"
        for kind in ("attribution", "attention")
        if word[kind] is not None
    )
    colour = tint(FOR if value >= 0 else AGAINST, 0.55 * abs(value) / largest)
    line = "dashed" if value < 0 else "solid"
    style = f"background:{colour};border-bottom:1px {line} {colour};border-radius:3px"
    return f'<bdi title="{numbers}" style="{style}">{html(word["word"])}</bdi>'
