"""Repositories of the Hub: one commit down, one commit up.

Nothing here knows what the files are. huggingface_hub is imported when it is first needed.
"""

from .fetching import fetch, is_repo_id, resolve
from .publishing import Publication, publish
from .repository import Branch

__all__ = ["Branch", "Publication", "fetch", "is_repo_id", "publish", "resolve"]
