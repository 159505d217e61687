"""Files of one commit, from the Hub or the cache."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hf_attn_attr.errors import HubError

from .failures import WAITS, is_passing, told, unreachable

_REPO_ID = re.compile(r"[\w.\-]+(/[\w.\-]+)?", re.ASCII)


def is_repo_id(name: str) -> bool:
    """Whether `name` looks like "user/name" (or an old "name")."""
    return _REPO_ID.fullmatch(name) is not None and set(name) != {"."}


def resolve(
    repo_id: str,
    revision: str | None = None,
    *,
    repo_type: str = "model",
    token: str | bool | None = None,
) -> str:
    """The commit at which a branch, tag or pull request stands: what later calls should ask for.

    Without the Hub (offline, or it is down) it is the one last seen.

    Raises:
        InvalidInputError: If `repo_id` can be no repository's name.
        HubError: If there is no such repository or revision, or it cannot be known.
    """
    from huggingface_hub import HfApi, is_offline_mode

    with told(repo_id, repo_type, revision):
        found = HfApi(token=token).resolve_revision(
            repo_id,
            repo_type=repo_type,
            revision=revision,
            local_files_only=is_offline_mode(),  # who is offline by wish need not be warned
        )
    return str(found.resolved)


def fetch(
    repo_id: str,
    commit: str,
    patterns: Sequence[str],
    *,
    required: Sequence[str] = (),
    repo_type: str = "model",
    token: str | bool | None = None,
) -> Path:
    """The folder of the cache that holds files of one commit.

    Args:
        repo_id: The repository.
        commit: Full hash, as `resolve` gives it.
        patterns: Names of the files wanted, with wildcards.
        required: Names without which the folder is of no use.
        repo_type: "model" or "dataset".
        token: As for huggingface_hub.

    Raises:
        HubError: If the repository lacks a required file, or cannot be reached while the cache
            lacks it.
    """
    from huggingface_hub import errors, snapshot_download

    where = {"revision": commit, "repo_type": repo_type}
    options = {**where, "allow_patterns": list(patterns)}

    def lacking(folder: Path) -> list[str]:
        return [name for name in required if not (folder / name).is_file()]

    try:  # what a commit holds never changes: if all of it is here, nobody need be asked
        cached = Path(snapshot_download(repo_id, local_files_only=True, **options))
        if not lacking(cached) and (set(patterns) <= set(required) or _listed(repo_id, **where)):
            return cached
    except errors.LocalEntryNotFoundError:
        pass
    with told(repo_id, repo_type, commit):
        folder = Path(_patiently(lambda: snapshot_download(repo_id, token=token, **options)))
    if not _listed(repo_id, **where):  # some part of it that happened to be in the cache
        raise unreachable(repo_id, repo_type, commit)
    if missing := lacking(folder):
        raise HubError(
            f"{repo_id} at {commit} has no {' and no '.join(missing)}. Was it published with "
            "hf_attn_attr?"
        )
    return folder


def _listed(repo_id: str, **where: str) -> bool:
    """Whether it is known which files the commit holds."""
    from huggingface_hub import errors, get_cached_repo_tree

    try:
        get_cached_repo_tree(repo_id, **where)
    except errors.CachedRepoTreeNotFoundError:
        return False
    return True


def _patiently(download: Callable[[], str]) -> str:
    """What a download gives; huggingface_hub gives up on files at the first error of the server."""
    for wait in WAITS:
        try:
            return download()
        except Exception as error:
            if not is_passing(error):
                raise
        time.sleep(wait)
    return download()
