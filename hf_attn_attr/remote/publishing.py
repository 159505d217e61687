"""A folder as one commit: all of it or nothing."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from hf_attn_attr.errors import HubError, IncompatibleError
from hf_attn_attr.files import sha256_of_file

from .failures import WAITS, is_passing, told
from .repository import Branch, Digest, Head


@dataclass(frozen=True)
class Publication:
    """What went up, or would go up.

    Attributes:
        repo_id: The repository.
        url: Its page.
        commit: The commit that now holds these files; None for a dry run.
        pull_request: URL of the pull request, if one was opened.
        added: New files.
        changed: Files whose content changed.
        unchanged: Files that were there already, the same.
        deleted: Files of an earlier publication that are no part of this one.
        kept: Other files of the repository, left alone.
    """

    repo_id: str
    url: str
    commit: str | None = None
    pull_request: str | None = None
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the repository did not hold all of it already."""
        return bool(self.added or self.changed or self.deleted)


def publish(
    folder: Path,
    branch: Branch,
    *,
    message: str,
    owned: Sequence[str] = (),
    private: bool | None = None,
    create_pr: bool = False,
    dry_run: bool = False,
) -> Publication:
    """Make the files of `folder` the content of a branch, in one commit.

    Nothing is committed if all files are there already.

    Args:
        folder: What goes up, whole.
        branch: Where it goes; repository and branch are made if they are missing.
        message: Title of the commit.
        owned: Patterns of the names that a publication owns: files there that match and are not in
            `folder` are deleted, all others are left alone. "*" does not lead into folders.
        private: Whether the repository is private; None leaves it as it is (new: public).
        create_pr: Open a pull request instead.
        dry_run: Change nothing, say what would be changed.

    Raises:
        InvalidInputError: If the name can be none, or an existing repository is public and should
            be private or the other way round.
        IncompatibleError: If somebody else commits meanwhile.
        HubError: If the Hub refuses or cannot be reached. What it held before, it still holds.
    """
    with told(branch.repo_id, branch.repo_type, branch.revision):
        if not dry_run:
            branch.make(private=private)
        head = branch.head(missing_ok=dry_run)
        plan = _plan(folder, branch, head, owned)
        if dry_run:
            return plan
        if not plan.differs:
            return replace(plan, commit=head.commit)
        for wait in (*WAITS, None):
            try:
                commit, pull_request = branch.commit(
                    folder,
                    [*plan.added, *plan.changed],
                    plan.deleted,
                    message=message,
                    parent=head.commit,
                    create_pr=create_pr,
                )
                return replace(plan, commit=commit, pull_request=pull_request)
            except Exception as error:
                _explain(error, branch.repo_id)
                if wait is None or create_pr or not is_passing(error):
                    raise
            time.sleep(wait)
            # The commit may have been made and its answer lost.
            now = branch.head()
            if now.commit != head.commit:
                if _plan(folder, branch, now, owned).differs:
                    raise _moved(branch.repo_id)
                return replace(plan, commit=now.commit)
    raise AssertionError("the last attempt returns or raises")


def _plan(folder: Path, branch: Branch, head: Head, owned: Sequence[str]) -> Publication:
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    known = [name for name in names if name in head.files]
    same = {name for name in known if _has(folder / name, head.files[name])}
    others = sorted(head.files.keys() - set(names))
    stale = [name for name in others if any(_matches(name, pattern) for pattern in owned)]
    return Publication(
        branch.repo_id,
        branch.url,
        added=tuple(name for name in names if name not in head.files),
        changed=tuple(name for name in known if name not in same),
        unchanged=tuple(name for name in known if name in same),
        deleted=tuple(stale),
        kept=tuple(name for name in others if name not in stale),
    )


def _matches(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern, whose "*" does not lead into folders."""
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _has(path: Path, digest: Digest) -> bool:
    """Whether a file has this content."""
    if digest.kind == "sha256":
        return sha256_of_file(path) == digest.value
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest() == digest.value


def _explain(error: Exception, repo_id: str) -> None:
    """Raise ours for what only a commit can meet."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (409, 412):
        raise _moved(repo_id) from error
    if status is None and isinstance(error, RuntimeError):  # huggingface_hub's, of a large file
        # Its text may hold a signed address.
        raise HubError(
            f"The upload to {repo_id} broke off ({type(error.__cause__ or error).__name__}). "
            "Nothing was published; try again."
        ) from error
    if status is None and isinstance(error, ValueError):
        raise HubError(f"The Hub does not accept this for {repo_id}: {error}") from error


def _moved(repo_id: str) -> IncompatibleError:
    return IncompatibleError(
        f"Somebody committed to {repo_id} while this was on its way. Nothing was published; look "
        "at what changed there and publish again."
    )
