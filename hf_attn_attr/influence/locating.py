"""Where a published matrix lies: a folder here, or a repository of the Hub."""

from collections.abc import Sequence
from pathlib import Path

from hf_attn_attr.errors import HubError, InvalidInputError
from hf_attn_attr.remote import fetch, is_repo_id, resolve

from . import storage

FILES = tuple(f"{storage.FOLDER}/{name}" for name in (storage.MANIFEST, storage.TABLE))


def matrix_folder(
    name_or_folder: str | Path,
    revision: str | None = None,
    *,
    repo_type: str = "model",
    token: str | bool | None = None,
) -> Path:
    """The folder that holds manifest and table; of a repository, fetched as of one commit.

    Raises:
        InvalidInputError: If there is neither such a folder nor can a repository have the name, the
            folder holds no matrix, or a folder is given with a revision.
        HubError: If the Hub lacks it or cannot be reached.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        if revision is not None:
            raise InvalidInputError(
                f"{folder} is a folder, which has no revision {revision!r}. Leave the revision out."
            )
        return _within(folder)
    fetched = fetched_folder(str(name_or_folder), revision, repo_type=repo_type, token=token)
    return fetched / storage.FOLDER


def fetched_folder(
    repo_id: str,
    revision: str | None = None,
    also: Sequence[str] = (),
    *,
    repo_type: str = "model",
    token: str | bool | None = None,
) -> Path:
    """The folder of the cache with the matrix of a repository, as of one commit.

    Args:
        repo_id: "user/name".
        revision: Branch, tag or commit.
        also: Other files that are fetched where the repository has them.
        repo_type: "model" or "dataset".
        token: As for huggingface_hub.

    Raises:
        InvalidInputError: If no repository can have the name.
        HubError: If the Hub lacks it or cannot be reached.
    """
    if not is_repo_id(repo_id):
        raise InvalidInputError(
            f"{repo_id} is no folder, and no repository of the Hub can have that name. Give a "
            "folder that `save_pretrained` wrote to, or 'user/name'."
        )
    try:
        commit = resolve(repo_id, revision, repo_type=repo_type, token=token)
    except HubError as error:
        raise HubError(f"There is no folder {repo_id} here. {error}") from error
    wanted = (*FILES, *also)
    return fetch(repo_id, commit, wanted, required=FILES, repo_type=repo_type, token=token)


def _within(folder: Path) -> Path:
    for candidate in (folder / storage.FOLDER, folder):
        if (candidate / storage.MANIFEST).exists() or (candidate / storage.TABLE).exists():
            return candidate
    raise InvalidInputError(
        f"{folder} holds no influence matrix (neither {storage.FOLDER}/{storage.MANIFEST} nor "
        f"{storage.MANIFEST}). Fold one and save it there with `save_pretrained`."
    )
