"""The report page: one file that needs no server, no network and no library."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..files import write_bytes
from ..influence import InfluenceMatrix
from ..layout import REPORT
from .examples import examples_of
from .material import Material, output_beside, read_material
from .numbers import MOST_WORDS, numbers_of, page_words
from .overview import overview_of
from .packing import pack

MOST_CHARACTERS = 4_900_000
"""Of packed numbers and examples; with its code, less than 0.1 MB, the page stays below 5 MB."""
# In this order; each file uses names of earlier ones.
_SCRIPTS = (
    *("unpack", "matrix", "state", "elements", "controls", "bars", "scatter", "sentences"),
    *("maps", "view_overview", "view_class", "view_word", "view_texts", "view_compare", "start"),
)


def write_report(
    folder: str | Path,
    output: str | Path | None = None,
    *,
    compare: str | Path | None = None,
    columns: str | Path | None = None,
    title: str | None = None,
) -> Path:
    """Write the report page of a model and its influence matrix.

    Args:
        folder: Folder with `influence/`, or a Hub repository "user/name"; `training.json`,
            `evaluation.json` and `columns.parquet` are used where they are there.
        output: File to write; `report.html` in `folder` by default.
        compare: Folder or repository of a second matrix with the same labels, to compare with.
        columns: Folder of the extracted texts that examples are taken from; `folder` by default.
        title: Of the page; the name of the folder by default.

    Returns:
        The file written.

    Raises:
        InvalidInputError: If there is no such folder, matrix or columns.
        IncompatibleError: If matrix, columns and second matrix do not belong together.
        CorruptArtifactError: If a file is damaged or has changed.
    """
    material = read_material(folder, columns)
    other = None if compare is None else read_material(compare)
    path = output_beside(folder, REPORT) if output is None else Path(output)
    write_bytes(path, page(material, other, title).encode("utf-8"))
    return path


def page(material: Material, other: Material | None = None, title: str | None = None) -> str:
    """The page as one text of HTML."""
    overview = overview_of(material) | ({} if title is None else {"title": title})
    header: dict[str, Any] = {"overview": overview}
    if other is not None:
        header["other_overview"] = overview_of(other)
    examples = ""
    if material.columns is not None:
        words = page_words(material.matrix)
        examples = pack(*examples_of(material.columns, material.matrix, words))
    room = MOST_CHARACTERS - len(examples)
    data = _packed(header, material.matrix, None if other is None else other.matrix, room)
    return _rendered(overview["title"], data, examples)


def _packed(
    header: dict[str, Any], matrix: InfluenceMatrix, other: InfluenceMatrix | None, room: int
) -> str:
    """Numbers of all words of enough texts, or of as many of them as there is room for."""

    def packed(most: int) -> tuple[int, str]:
        numbers = numbers_of(matrix, other, most)
        told = numbers.header["numbered"]
        return told, pack({**header, **numbers.header}, numbers.arrays)

    told, data = packed(MOST_WORDS)
    if len(data) <= room:
        return data
    _, names = packed(0)
    while len(data) > room and told:
        # In proportion, and a little less, so that one round mostly does.
        share = max(room - len(names), 0) / (len(data) - len(names))
        told, data = packed(int(told * share * 0.98))
    return data


def _rendered(title: str, data: str, examples: str) -> str:
    from jinja2 import Environment, StrictUndefined

    place = files(__package__) / "page"
    style = (place / "style.css").read_text("utf-8")
    parts = [(place / f"{name}.js").read_text("utf-8") for name in _SCRIPTS]
    # One function around all files: they share names with each other and with nothing else.
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string((place / "page.html").read_text("utf-8"))
    return template.render(
        title=title,
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
        data=data,
        examples=examples,
    )


def _digest(text: str) -> str:
    """Of an inline script or style, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
