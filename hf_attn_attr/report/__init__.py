"""The report page and pictures of a model and its influence matrix.

For the page, `material` reads a folder, `overview` says it in plain words, `numbers` and `examples`
choose what it holds, `packing` makes that small, `page` puts the files of `page/` around it.
`space` writes a Gradio app. `pictures` draws with matplotlib, `picture_files` saves what it draws.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _HOME)
