"""Files read only as they were written."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ..errors import AttnAttrError, CorruptArtifactError, IncompatibleError
from .digests import SEAL, sealed_json
from .writing import settle

_T = TypeVar("_T")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, a replacement of files in its folder finished before.

    Raises:
        CorruptArtifactError: If the file is missing, is not JSON, or is not an object.
    """
    settle(path.parent)
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


def read_verified(path: Path, sha256: str, read: Callable[[BinaryIO], _T]) -> _T:
    """`read(file)`, after checking that the file still has the digest its manifest names.

    It is opened once: what is read is what was checked, even if it is replaced meanwhile.

    Raises:
        CorruptArtifactError: If the file is missing or its bytes have changed.
    """
    if not path.is_file():
        raise CorruptArtifactError(f"{path} is missing. Fetch or write its folder again.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise CorruptArtifactError(
                f"{path} has SHA-256 {found}, its manifest says {sha256}: the file was damaged or "
                "exchanged. Fetch or write its folder again."
            )
        file.seek(0)
        return read(file)


def read_manifest(path: Path, version: int, sealed_since: int, advice: str) -> dict[str, Any]:
    """The manifest that `sealed_json` made, without its digest.

    Args:
        path: Its file.
        version: The newest format version that is read.
        sealed_since: The first format version whose manifests name their digest.
        advice: What to do about another version.

    Raises:
        CorruptArtifactError: If the file is missing or not as it was written.
        IncompatibleError: If another format version wrote it.
    """
    value = read_json(path)
    found = value.get("format_version")
    if not isinstance(found, int) or not 1 <= found <= version:
        raise IncompatibleError(
            f"{path} has format version {found}, this release reads 1 to {version}. {advice}"
        )
    seal = value.pop(SEAL, None)
    if (seal or found >= sealed_since) and path.read_bytes() != sealed_json(value):
        raise CorruptArtifactError(
            f"{path} does not have the digest that it names: it was damaged or edited. Fetch or "
            "write its folder again."
        )
    return value


def read_settled(folder: Path, manifest: str, read: Callable[[], _T]) -> _T:
    """`read()`, which reads several files of `folder`, again where they were being replaced.

    Raises:
        CorruptArtifactError: As `settle`, or as `read`.
        IncompatibleError: As `read`.
    """
    while True:
        settle(folder)
        before = _identity(folder / manifest)
        try:
            return read()
        except (CorruptArtifactError, IncompatibleError):
            settle(folder)
            if _identity(folder / manifest) == before:
                raise


@contextmanager
def sound(what: str, advice: str) -> Iterator[None]:
    """Raises whatever a library makes of a senseless file as a damaged artifact.

    Our own errors and those of the disk pass.

    Raises:
        CorruptArtifactError: For all others; it begins with `what` and ends with `advice`.
    """
    try:
        yield
    except AttnAttrError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # pyarrow's own have none
            raise
        raise CorruptArtifactError(f"{what}: {error}. {advice}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
