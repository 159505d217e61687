"""A Hub on this machine that the real clients talk to through HF_ENDPOINT.

It answers what huggingface_hub, transformers and datasets ask for: making repositories, commits
(regular and LFS files, deletions, pull requests), branches, listing, resolving, private
repositories. Tests make it fail on purpose with `on`.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .store import KINDS, LFS_ENDINGS, LFS_SIZE, RefusedError, Repository


class CutError(Exception):
    """Close the connection in the middle."""


class LostError(Exception):
    """Do what was asked, and close the connection without an answer."""


class Reply(NamedTuple):
    """What is sent back."""

    body: bytes
    headers: dict[str, str]
    status: int = 200


class LoopbackHub:
    """The server: its repositories, what was asked of it, and what it should do wrong."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.hub = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.tokens = {"hf_owner": "owner", "hf_user": "user", "hf_stranger": "stranger"}
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lfs: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.authorized: list[str] = []
        self.actions: list[list[Any]] = []

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def repository(self, name: str, kind: str = "model") -> Repository:
        return self.repositories[kind, name]

    def on(self, pattern: str, action: Callable[[], None], times: int = 1) -> None:
        """Do `action` before the next `times` requests that match ("GET /path")."""
        self.actions.append([re.compile(pattern), action, times])

    def fail(self, pattern: str, status: int, times: int = 1, **headers: str) -> None:
        """Answer matching requests with an error."""

        def refuse() -> None:
            raise RefusedError(status, None, "failed on purpose", **headers)

        self.on(pattern, refuse, times)

    def cut(self, pattern: str, times: int = 1) -> None:
        """Close the connection in the middle of matching requests."""

        def close() -> None:
            raise CutError

        self.on(pattern, close, times)

    def lose(self, pattern: str, times: int = 1) -> None:
        """Do what matching requests ask for, and answer nothing."""

        def vanish() -> None:
            raise LostError

        self.on(pattern, vanish, times)

    def interfere(self, request: str) -> None:
        """What tests want to happen before a request is answered."""
        for wanted in self.actions:
            if wanted[2] > 0 and wanted[0].search(request):
                wanted[2] -= 1
                wanted[1]()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> LoopbackHub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        self.address = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(self.address.query).items()}
        request = f"{self.command} {unquote(self.address.path)}"
        self.hub.asked.append(request)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token:
            self.hub.authorized.append(request)
        self.user = self.hub.tokens.get(token)
        length = int(self.headers.get("Content-Length") or 0)
        cut = lost = False
        try:
            self.hub.interfere(request)
        except LostError:
            lost = True
        except CutError:
            cut = True
            if self.command in ("POST", "PUT"):
                self.rfile.read(length // 2)
                self.close_connection = True
                return
        except RefusedError as refused:
            self.rfile.read(length)
            self._send(_refusal(refused))
            return
        self.body = self.rfile.read(length)
        try:
            if token and self.user is None:
                raise RefusedError(401, None, "Invalid credentials in Authorization header")
            reply = self._route()
        except RefusedError as refused:
            reply = _refusal(refused)
        if lost:
            self.close_connection = True
        else:
            self._send(reply, cut=cut)

    def _send(self, reply: Reply, *, cut: bool = False) -> None:
        self.send_response(reply.status)
        headers = {"Content-Length": str(len(reply.body)), "X-Request-Id": "loopback"}
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":  # a body would be read as the next answer
            self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.close_connection = self.close_connection or cut

    def _route(self) -> Reply:
        for methods, pattern, handle in _ROUTES:
            found = pattern.fullmatch(self.address.path)
            if found and self.command in methods:
                parts = {name: unquote(value or "") for name, value in found.groupdict().items()}
                return handle(self, **parts)
        raise RefusedError(404, None, f"The loopback Hub does not know {self.command} {self.path}")

    def _repository(self, kind: str, name: str, *, write: bool = False) -> Repository:
        found = self.hub.repositories.get((kind.removesuffix("s") or "model", name))
        hidden = found is None or (found.private and self.user != name.split("/")[0])
        if hidden or found is None:
            # The Hub does not tell strangers whether a private repository exists.
            raise RefusedError(
                401 if self.user is None else 404, "RepoNotFound", "Repository not found"
            )
        if write and self.user is None:
            raise RefusedError(401, None, "Invalid username or password.")
        if write and self.user != name.split("/")[0]:
            raise RefusedError(403, None, "You don't have the rights to write here.")
        return found

    def whoami(self) -> Reply:
        if self.user is None:
            raise RefusedError(401, None, "Invalid username or password.")
        return _json({"type": "user", "name": self.user, "orgs": [], "auth": {}})

    def create(self) -> Reply:
        told = json.loads(self.body)
        if self.user is None:
            raise RefusedError(401, None, "Invalid username or password.")
        owner, kind = told.get("organization") or self.user, told.get("type") or "model"
        if owner != self.user:
            raise RefusedError(403, None, f"You don't have the rights to create under {owner}.")
        name = f"{owner}/{told['name']}"
        url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.hub.repositories:
            return _json({"url": url, "error": "You already created this repo"}, 409)
        private = bool(told.get("private")) or told.get("visibility") == "private"
        self.hub.repositories[kind, name] = Repository(name, kind, private)
        return _json({"url": url, "name": name, "id": name})

    def validate(self) -> Reply:
        """The Hub's rules as far as they matter here: metadata is YAML, and a mapping."""
        content = json.loads(self.body)["content"]
        header = re.match(r"---\n(.*?)\n---", content, re.DOTALL)
        errors = []
        try:
            if header and not isinstance(yaml.safe_load(header[1]), dict):
                errors.append({"message": "metadata is no mapping"})
        except yaml.YAMLError as error:
            errors.append({"message": str(error)})
        return _json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def branch(self, kind: str, name: str, rev: str) -> Reply:
        repository = self._repository(kind, name, write=True)
        if rev in repository.refs:
            raise RefusedError(409, None, "Reference already exists")
        start = json.loads(self.body or b"{}").get("startingPoint") or "main"
        repository.refs[rev] = repository.resolved(start)
        return _json({})

    def preupload(self, kind: str, name: str, rev: str) -> Reply:
        repository = self._repository(kind, name, write=True)
        files, present = [], repository.files(rev)
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            lfs = path.endswith(LFS_ENDINGS) or file["size"] > LFS_SIZE
            old = present.get(path)
            files.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": False,
                    "oid": old and old.etag,
                }
            )
        return _json({"files": files})

    def lfs_batch(self, kind: str, name: str) -> Reply:
        self._repository(kind, name, write=True)
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            told = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.lfs:
                told["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(told)
        return _json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> Reply:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RefusedError(400, None, "The content is not that of the pointer")
        self.hub.lfs[oid] = self.body
        return _json({})

    def commit(self, kind: str, name: str, rev: str) -> Reply:
        repository = self._repository(kind, name, write=True)
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        operations = []
        for line in lines[1:]:
            value = line["value"]
            data = b""
            if line["key"] == "file":
                data = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.lfs:
                    raise RefusedError(400, None, f"LFS pointer {value['oid']} points to no object")
                data = self.hub.lfs[value["oid"]]
            operations.append((line["key"], value, data))
        oid, ref = repository.commit(
            rev, lines[0]["value"], operations, create_pr=self.query.get("create_pr") == "1"
        )
        told = {"commitOid": oid, "commitUrl": f"{self.hub.url}/{name}/commit/{oid}"}
        if ref:
            number = ref.removeprefix("refs/pr/")
            told["pullRequestUrl"] = f"{self.hub.url}/{name}/discussions/{number}"
        return _json(told)

    def info(self, kind: str, name: str, rev: str = "main") -> Reply:
        repository = self._repository(kind, name)
        return _json(
            {
                "_id": "0",
                "id": name,
                "sha": repository.resolved(rev),
                "private": repository.private,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in repository.files(rev)],
            }
        )

    def refs(self, kind: str, name: str) -> Reply:
        repository = self._repository(kind, name)
        told: dict[str, Any] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        for ref, oid in repository.refs.items():
            pull = ref.startswith("refs/pr/")
            full = ref if pull else f"refs/heads/{ref}"
            told["pullRequests" if pull else "branches"].append(
                {"name": ref, "ref": full, "targetCommit": oid}
            )
        return _json(told)

    def tree(self, kind: str, name: str, rev: str, path: str = "") -> Reply:
        recursive = self.query.get("recursive", "").lower() in ("1", "true")
        found = self._repository(kind, name).entries(rev, path.strip("/"), recursive=recursive)
        return _json(found)

    def paths_info(self, kind: str, name: str, rev: str) -> Reply:
        paths = parse_qs(self.body.decode())["paths"]
        entries = self._repository(kind, name).entries(rev, "", recursive=True)
        return _json([found for found in entries if found["path"] in paths])

    def resolve(self, kind: str, name: str, rev: str, path: str) -> Reply:
        repository = self._repository(kind, name)
        oid = repository.resolved(rev)
        blob = repository.files(oid).get(path)
        if blob is None:
            raise RefusedError(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": oid})
        headers = {
            "ETag": f'"{blob.etag}"',
            "X-Repo-Commit": oid,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        if blob.lfs:
            headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return Reply(blob.data, headers)
        start, end = int(asked[1]), int(asked[2] or len(blob.data) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(blob.data)}"
        return Reply(blob.data[start : end + 1], headers, 206)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), {"Content-Type": "application/json"}, status)


def _refusal(refused: RefusedError) -> Reply:
    reply = _json({"error": refused.message}, refused.status)
    told = {"X-Error-Message": refused.message, **refused.headers}
    if refused.code:
        told["X-Error-Code"] = refused.code
    return reply._replace(headers={**reply.headers, **told})


_API = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
_PAGE = rf"/(?:(?P<kind>{'|'.join(kind + 's' for kind in KINDS[1:])})/)?(?P<name>[^/]+/[^/]+)"
_ROUTES = [
    (methods.split(), re.compile(pattern), handle)
    for methods, pattern, handle in (
        ("GET", r"/api/whoami-v2", _Handler.whoami),
        ("POST", r"/api/repos/create", _Handler.create),
        ("POST", r"/api/validate-yaml", _Handler.validate),
        ("POST", rf"{_API}/branch/(?P<rev>[^/]+)", _Handler.branch),
        ("POST", rf"{_API}/preupload/(?P<rev>[^/]+)", _Handler.preupload),
        ("POST", rf"{_API}/commit/(?P<rev>[^/]+)", _Handler.commit),
        ("POST", rf"{_API}/paths-info/(?P<rev>[^/]+)", _Handler.paths_info),
        ("GET", rf"{_API}/refs", _Handler.refs),
        ("GET", rf"{_API}/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?", _Handler.tree),
        ("GET", rf"{_API}/revision/(?P<rev>[^/]+)", _Handler.info),
        ("GET", _API, _Handler.info),
        ("POST", rf"{_PAGE}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
        ("PUT", r"/lfs/(?P<oid>[0-9a-f]+)", _Handler.lfs_put),
        ("GET HEAD", rf"{_PAGE}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", _Handler.resolve),
    )
]
