"""The report page: one file that needs no server, no network and no library."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..files import write_bytes
from ..influence import InfluenceMatrix
from .examples import examples_of
from .material import Material, read_material
from .numbers import MOST_WORDS, Numbers, numbers_of
from .overview import overview_of
from .packing import pack

NAME = "report.html"
MOST_CHARACTERS = 4_000_000
"""Of the packed numbers; with examples and code the page stays below 5 MB."""
# In this order; each file uses names of earlier ones.
_SCRIPTS = (
    *("unpack", "matrix", "state", "elements", "controls", "bars", "scatter", "sentences"),
    *("view_overview", "view_class", "view_word", "view_texts", "view_compare", "start"),
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
        folder: Folder with `influence/`; `training.json`, `evaluation.json` and `columns.parquet`
            are used where they are there.
        output: File to write; `report.html` in `folder` by default.
        compare: Folder of a second matrix with the same labels, to compare with.
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
    path = Path(folder) / NAME if output is None else Path(output)
    write_bytes(path, page(material, other, title).encode("utf-8"))
    return path


def page(material: Material, other: Material | None = None, title: str | None = None) -> str:
    """The page as one text of HTML."""
    overview = overview_of(material) | ({} if title is None else {"title": title})
    header: dict[str, Any] = {"overview": overview}
    if other is not None:
        header["other_overview"] = overview_of(other)
    numbers, data = _numbers(header, material.matrix, None if other is None else other.matrix)
    examples = ""
    if material.columns is not None:
        examples = pack(*examples_of(material.columns, material.matrix, numbers.words))
    return _rendered(overview["title"], data, examples)


def _numbers(
    header: dict[str, Any], matrix: InfluenceMatrix, other: InfluenceMatrix | None
) -> tuple[Numbers, str]:
    """Numbers of as many words as fit."""
    most = MOST_WORDS
    while True:
        numbers = numbers_of(matrix, other, most)
        data = pack({**header, **numbers.header}, numbers.arrays)
        with_numbers = numbers.header["numbered"]
        if len(data) <= MOST_CHARACTERS or not with_numbers:
            return numbers, data
        # A little less than in proportion, so that few rounds do.
        most = int(with_numbers * MOST_CHARACTERS / len(data) * 0.98)


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
