"""Model and influence as one thing on the Hub: publishing, loading, the card.

`staging` lays out what goes up (`code`: the model's own code; `card`: README.md), `publishing`
sends it as one commit, `loading` brings it back, `belonging` checks that matrix and model are a
pair. Names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .callback import PublishCallback
    from .columns import push_columns
    from .folder import folder_card
    from .loading import Published, load_from_hub, pipeline
    from .publishing import push_folder, push_to_hub

_HOME = {
    "PublishCallback": ".callback",
    "Published": ".loading",
    "folder_card": ".folder",
    "load_from_hub": ".loading",
    "pipeline": ".loading",
    "push_columns": ".columns",
    "push_folder": ".publishing",
    "push_to_hub": ".publishing",
}

__all__ = [
    "PublishCallback",
    "Published",
    "folder_card",
    "load_from_hub",
    "pipeline",
    "push_columns",
    "push_folder",
    "push_to_hub",
]

__getattr__ = lazy_names(__name__, _HOME)
