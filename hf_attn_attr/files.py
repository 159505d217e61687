"""Files written whole or not at all, and digests to recognise them by."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .errors import CorruptArtifactError

_T = TypeVar("_T")


def sha256_of_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file at `path`, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys: equal values give equal bytes. NaN and infinity are refused."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends without error.

    Readers see the old file or the new one, never a part; after an error the old file is untouched
    and no temporary file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp gives 0600; a published file has the mode any other new file would have.
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        _sync(temporary)
        temporary.replace(path)
        if os.name == "posix":
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        CorruptArtifactError: If the file is missing, is not JSON, or is not an object.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CorruptArtifactError(
            f"{path} is missing. Fetch or write its folder again; it is incomplete."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(
            f"{path} is not valid JSON ({error}). Fetch or write its folder again."
        ) from error
    if not isinstance(value, dict):
        raise CorruptArtifactError(
            f"{path} holds a {type(value).__name__}, not an object. Fetch or write it again."
        )
    return value


def read_verified(path: Path, sha256: str, read: Callable[[Path], _T]) -> _T:
    """`read(path)`, after checking that the file still has the digest its manifest names.

    Raises:
        CorruptArtifactError: If the file is missing or its bytes have changed.
    """
    if not path.is_file():
        raise CorruptArtifactError(f"{path} is missing. Fetch or write its folder again.")
    found = sha256_of_file(path)
    if found != sha256:
        raise CorruptArtifactError(
            f"{path} has SHA-256 {found}, its manifest says {sha256}: the file was damaged or "
            "exchanged. Fetch or write its folder again."
        )
    return read(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The only portable way to read the umask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
