"""What a piece of Python does beside answering: processes, connections, files written."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.mkdir", "os.chmod", "os.truncate", "os.rename", "shutil.rmtree"}
_LINKS = {"os.link", "os.symlink"}
_RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "os.fork"}
_watchers: list[list[tuple[str, str]]] = []


def _hear(event: str, arguments: tuple) -> None:
    if not _watchers:
        return
    seen = None
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        seen = "write", arguments[0]
    elif event in ("os.remove", "os.rmdir"):
        if arguments[1] == -1:  # not within a tree, which is told as one
            seen = "write", arguments[0]
    elif event in _CHANGES:
        seen = "write", arguments[0]
    elif event in _LINKS:
        seen = "write", arguments[1]
    elif event in _RUNS:
        seen = "run", arguments[0] if arguments else event
    elif event == "socket.connect":
        seen = "connect", arguments[1]
    elif event == "import" and "transformers_modules" in str(arguments[0]):
        seen = "run", arguments[0]
    if seen is not None and not (seen[0] == "write" and isinstance(seen[1], int)):  # opened before
        path = os.fsdecode(seen[1]) if isinstance(seen[1], bytes) else str(seen[1])
        for watcher in _watchers:
            watcher.append((seen[0], path))


sys.addaudithook(_hear)  # for good: a hook cannot be taken away


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """The list, which grows, of (write | run | connect, path or address) in this process.

    What compiled libraries write does not show.
    """
    seen: list[tuple[str, str]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
