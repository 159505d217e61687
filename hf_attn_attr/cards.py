"""Cards: Markdown with metadata on top, from the templates in model_cards/.

What a template prints is escaped unless it is Markdown already, so that no word, label or file name
can become markup.
"""

import math
from functools import cache
from typing import Any

from .markup import Markdown, markdown, python

# A card with this line is rendered anew; one without it is somebody's own text.
RENDERED = "<!-- Rendered by hf-attn-attr. Take this line away to keep changes of your own. -->"


def render(template: str, metadata: Any, **facts: Any) -> str:
    """A card.

    Args:
        template: Name of a file in model_cards/.
        metadata: A `ModelCardData` or `DatasetCardData` of huggingface_hub. Its texts should have
            gone through `printable`.
        facts: What the template asks for.
    """
    body = _environment().get_template(template).render(rendered=Markdown(RENDERED), **facts)
    return f"---\n{metadata.to_yaml()}\n---\n\n{body.strip()}\n"


def number(value: float | None, form: str = "+.3f") -> Markdown:
    """A number for a card; a dash where it is undefined."""
    if value is None or math.isnan(value):
        return Markdown("–")
    return Markdown(format(value, form))


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hf_attn_attr", "model_cards"),
        finalize=_finished,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "python": python}
    return environment


def _finished(value: Any) -> Any:
    return value if isinstance(value, (Markdown, int)) else markdown(str(value))
