"""Repositories of a Hub in memory: commits, branches, pull requests, regular and LFS files."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("model", "dataset", "space")
# What the Hub stores by LFS when nothing else is said: by ending, or because it is large.
LFS_ENDINGS = (".safetensors", ".parquet", ".arrow", ".bin", ".png")
LFS_SIZE = 10_000_000


class RefusedError(Exception):
    """A request that the Hub answers with an error."""

    def __init__(self, status: int, code: str | None, message: str, **headers: str):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@dataclass(frozen=True)
class Blob:
    """The content of a file."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        """What git calls it: of an LFS file, its pointer."""
        data = self.data
        if self.lfs:
            data = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{self.sha256}\nsize {len(data)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """All files as of one commit."""

    parent: str | None
    message: str
    files: Mapping[str, Blob]

    @property
    def oid(self) -> str:
        told = [self.parent or "", self.message]
        told += [f"{path} {blob.oid}" for path, blob in sorted(self.files.items())]
        return hashlib.sha1("\n".join(told).encode()).hexdigest()


@dataclass
class Repository:
    """One repository; `refs` are branches, tags and pull requests."""

    name: str
    kind: str
    private: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.add("main", Commit(None, "initial commit", {".gitattributes": Blob(b"", False)}))

    def add(self, ref: str, commit: Commit) -> str:
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit.oid

    def resolved(self, revision: str) -> str:
        oid = self.refs.get(revision, revision)
        if oid not in self.commits:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid

    def files(self, revision: str = "main") -> Mapping[str, Blob]:
        return self.commits[self.resolved(revision)].files

    def history(self, revision: str = "main") -> list[str]:
        """Commits, the newest first."""
        found, oid = [], self.refs.get(revision, revision)
        while oid is not None:
            found.append(oid)
            oid = self.commits[oid].parent
        return found

    def commit(
        self,
        revision: str,
        header: Mapping[str, Any],
        operations: Iterable[tuple[str, Mapping[str, Any], bytes]],
        *,
        create_pr: bool,
    ) -> tuple[str, str | None]:
        """A new commit, and the pull request it opened: all operations, or none."""
        with self.lock:
            head = self.resolved(revision)
            wanted = header.get("parentCommit")
            if wanted is not None and wanted != head and not create_pr:
                raise RefusedError(
                    412, None, f"A commit has happened since. Expected {wanted}, found {head}."
                )
            files = dict(self.commits[head].files)
            for kind, value, data in operations:
                path = value["path"]
                if kind == "deletedFile":
                    if files.pop(path, None) is None:
                        raise RefusedError(
                            404, "EntryNotFound", f"A file with this name doesn't exist: {path}"
                        )
                elif kind == "deletedFolder":
                    files = {
                        name: blob
                        for name, blob in files.items()
                        if not name.startswith(path.rstrip("/") + "/")
                    }
                else:
                    files[path] = Blob(data, kind == "lfsFile")
            ref = revision
            if create_pr:
                ref = f"refs/pr/{1 + sum(name.startswith('refs/pr/') for name in self.refs)}"
            commit = Commit(head, str(header["summary"]), files)
            return self.add(ref, commit), ref if create_pr else None

    def entries(self, revision: str, path: str, *, recursive: bool) -> list[dict[str, Any]]:
        """Files and folders under `path`, as the API tells them."""
        prefix = f"{path}/" if path else ""
        found: dict[str, dict[str, Any]] = {}
        for name, blob in self.files(revision).items():
            if not name.startswith(prefix):
                continue
            parts = name.removeprefix(prefix).split("/")
            for depth in range(1, len(parts)) if recursive else [1] * (len(parts) > 1):
                folder = prefix + "/".join(parts[:depth])
                found[folder] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            if recursive or len(parts) == 1:
                found[name] = entry(name, blob)
        if path and not found:
            raise RefusedError(404, "EntryNotFound", f"{path} does not exist on {revision}")
        return list(found.values())


def entry(name: str, blob: Blob) -> dict[str, Any]:
    """One file as the API tells it."""
    told: dict[str, Any] = {
        "type": "file",
        "oid": blob.oid,
        "size": len(blob.data),
        "path": name,
    }
    if blob.lfs:
        told["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 130}
    return told
