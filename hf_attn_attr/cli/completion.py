"""What the shell proposes for an option's value. Silent: a shell has no place for errors."""

from pathlib import Path

import typer

from ..errors import AttnAttrError
from ..files import read_json

MEASURES = (
    *("lower_bound", "influence", "word_part", "context_part", "joint", "p_word_given_class"),
    *("p_class_given_word", "lift", "npmi", "log_odds", "count", "documents"),
)
METHODS = (
    *("auto", "contribution", "occlusion", "integrated_gradients", "input_x_gradient"),
    *("attention", "attention_rollout"),
)


def labels(context: typer.Context, incomplete: str) -> list[str]:
    """Labels of the matrix in the folder that is named already."""
    # Before an option without its value, words that are no options yet are in `args`.
    for given in (*context.params.values(), *context.args):
        manifest = Path(str(given)) / "influence" / "manifest.json"
        if given is None or not manifest.is_file():
            continue
        try:
            found = read_json(manifest).get("labels", [])
        except (AttnAttrError, OSError):
            return []
        return [str(label) for label in found if str(label).startswith(incomplete)]
    return []


def measures(incomplete: str) -> list[str]:
    """Measures to rank by."""
    return [name for name in MEASURES if name.startswith(incomplete)]


def methods(incomplete: str) -> list[str]:
    """Ways to attribute."""
    return [name for name in METHODS if name.startswith(incomplete)]
