"""The report page and pictures of a model and its influence matrix.

For the page, `material` reads a folder, `overview` says it in plain words, `numbers` and `examples`
choose what it holds, `packing` makes that small, `page` puts the files of `page/` around it.
`space` writes a Gradio app. `pictures` draws with matplotlib, `picture_files` saves what it draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page import write_report
    from .picture_files import save_picture, write_pictures
    from .pictures import (
        plot_attention,
        plot_heatmap,
        plot_model_vs_data,
        plot_top_words,
        plot_word,
    )
    from .space import write_space

_HOME = {
    "plot_attention": ".pictures",
    "plot_heatmap": ".pictures",
    "plot_model_vs_data": ".pictures",
    "plot_top_words": ".pictures",
    "plot_word": ".pictures",
    "save_picture": ".picture_files",
    "write_pictures": ".picture_files",
    "write_report": ".page",
    "write_space": ".space",
}

__all__ = [
    "plot_attention",
    "plot_heatmap",
    "plot_model_vs_data",
    "plot_top_words",
    "plot_word",
    "save_picture",
    "write_pictures",
    "write_report",
    "write_space",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
