"""Which column holds the text, and which the label."""

from collections.abc import Iterable, Sequence

from ..errors import InvalidInputError
from .sources import Source, is_string

# Names are looked for tier by tier, in any case; two hits within a tier are ambiguous.
TEXT_COLUMNS = (
    ("text",),
    ("sentence", "content", "review", "comment", "tweet", "document", "post", "message"),
    ("title", "headline"),
)
LABEL_COLUMNS = (
    ("label", "labels"),
    ("label_name", "label_names"),
    ("class", "category", "target", "sentiment", "emotion", "polarity", "topic", "intent"),
)


def choose_label_columns(
    source: Source, wanted: str | None, text_column: str | None, required: bool
) -> tuple[str, ...]:
    """The label column; several for 0/1 columns; none where there is none and none is required.

    Raises:
        InvalidInputError: If a column that is asked for does not exist, or if one is required and
            none or several could be meant.
    """
    if wanted == "" and not required:
        return ()
    if wanted is not None:
        names = [wanted] if wanted in source.columns else wanted.split(",")
        return tuple(existing_column(source, name.strip(), "label") for name in names)
    hits = _common(source, LABEL_COLUMNS, [text_column] if text_column else [])
    if required and len(hits) != 1:
        raise _ambiguous(source, hits, "label")
    return tuple(hits) if len(hits) == 1 else ()


def choose_text_column(source: Source, wanted: str | None, labels: tuple[str, ...]) -> str:
    """The text column: the one asked for, else a common name, else the only column of text.

    Raises:
        InvalidInputError: If that column does not exist, or none or several could be meant.
    """
    if wanted is not None:
        if wanted in labels:
            raise InvalidInputError(f"Column {wanted!r} is to be both text and label. Choose two.")
        return existing_column(source, wanted, "text")
    hits = _common(source, TEXT_COLUMNS, labels) or _columns_of_text(source, labels)
    if len(hits) != 1:
        raise _ambiguous(source, hits, "text")
    return hits[0]


def existing_column(source: Source, name: str, option: str) -> str:
    """`name`, if the source has that column.

    Raises:
        InvalidInputError: If not; the message names the option, --`option`-column.
    """
    if name not in source.columns:
        raise InvalidInputError(
            f"{source.name} has no column {name!r}; it has {source.describe()}. Name one of them "
            f"with --{option}-column ({option}_column=)."
        )
    return name


def companions(name: str) -> list[str]:
    """Columns where the names of the numbered classes in column `name` are usually kept."""
    stems = dict.fromkeys((name, name.removesuffix("s"), "label"))
    return [c for stem in stems for c in (f"{stem}_name", f"{stem}_names") if c != name]


def _common(source: Source, tiers: Iterable[Sequence[str]], taken: Sequence[str]) -> list[str]:
    """The columns with a name from the first tier that has any."""
    for tier in tiers:
        if hits := [c for c in source.columns if c.lower() in tier and c not in taken]:
            return hits
    return []


def _columns_of_text(source: Source, labels: tuple[str, ...]) -> list[str]:
    """Columns of text that are neither labels nor look like some."""
    taken = {name for tier in LABEL_COLUMNS for name in tier}
    taken |= {*labels, *(name for label in labels for name in companions(label))}
    return [
        name
        for name, column in source.columns.items()
        if not {name, name.lower()} & taken
        and not isinstance(column, str)
        and is_string(source.typed(name).type)
    ]


def _ambiguous(source: Source, hits: Sequence[str], option: str) -> InvalidInputError:
    what = f"Any of {list(hits)} could be" if hits else "None of them is known to be"
    return InvalidInputError(
        f"{source.name} has the columns {source.describe()}. {what} the {option} column. Name it "
        f"with --{option}-column ({option}_column=)."
    )
