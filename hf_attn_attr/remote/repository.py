"""One branch of one repository, as publishing needs it."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hf_attn_attr.errors import InvalidInputError

_KIND = {True: "private", False: "public"}


class Digest(NamedTuple):
    """What the Hub calls a content: by "sha256" for large files, by "git" for others."""

    kind: str
    value: str


@dataclass(frozen=True)
class Head:
    """A branch as it is: its last commit, None if there is none, and the content of each file."""

    commit: str | None = None
    files: dict[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """Where a publication goes.

    Attributes:
        repo_id: The repository.
        repo_type: "model" or "dataset".
        revision: The branch; None is the main one.
        token: As for huggingface_hub.
    """

    repo_id: str
    repo_type: str = "model"
    revision: str | None = None
    token: str | bool | None = None

    @property
    def url(self) -> str:
        """The repository's page."""
        kind = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{self._api.endpoint}/{kind}{self.repo_id}"

    def make(self, *, private: bool | None) -> None:
        """Make repository and branch where they are missing.

        Raises:
            InvalidInputError: If the repository exists and is not as private as asked for.
        """
        self._api.create_repo(**self._name, private=private, exist_ok=True)
        found = self._api.repo_info(**self._name).private
        if private is not None and found is not None and found != private:
            raise InvalidInputError(
                f"{self.repo_id} exists and is {_KIND[found]}; you asked for {_KIND[private]}. "
                "Change it in its settings, or leave the wish out. Nothing was published."
            )
        if self.revision is not None and not self.revision.startswith("refs/"):
            self._api.create_branch(**self._name, branch=self.revision, exist_ok=True)

    def head(self, *, missing_ok: bool = False) -> Head:
        """The branch as it is now; `missing_ok` makes one that is missing an empty one."""
        from huggingface_hub import errors
        from huggingface_hub.hf_api import RepoFile

        try:
            commit = self._api.repo_info(**self._name, revision=self.revision).sha
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
            if missing_ok:
                return Head()
            raise
        found = self._api.list_repo_tree(**self._name, revision=commit, recursive=True)
        files = [file for file in found if isinstance(file, RepoFile)]
        return Head(
            commit,
            {
                file.path: Digest("sha256", file.lfs.sha256)
                if file.lfs
                else Digest("git", file.blob_id)
                for file in files
            },
        )

    def commit(
        self,
        folder: Path,
        add: Iterable[str],
        delete: Iterable[str],
        *,
        message: str,
        parent: str | None,
        create_pr: bool,
    ) -> tuple[str, str | None]:
        """Commit files of `folder` on top of `parent`: the commit and its pull request's URL."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationAdd(name, str(folder / name)) for name in add]
        operations += [CommitOperationDelete(name) for name in delete]
        with warnings.catch_warnings():
            # A parquet file in a model repository is what we mean.
            warnings.filterwarnings("ignore", message="It seems that you are about to commit a da")
            made = self._api.create_commit(
                **self._name,
                operations=operations,
                commit_message=message,
                revision=self.revision,
                create_pr=create_pr,
                parent_commit=parent,
            )
        return made.oid, made.pr_url

    @property
    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(token=self.token, library_name="hf_attn_attr")

    @property
    def _name(self) -> dict[str, str]:
        return {"repo_id": self.repo_id, "repo_type": self.repo_type}
