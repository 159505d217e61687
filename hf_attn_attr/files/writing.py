"""Files written whole or not at all, one or several at once.

One file is written under another name beside its place and renamed. Several files that belong
together are written into a folder beside theirs; renaming that to `.hf_attn_attr.next` is the one
step that decides. From then on they count as written: whoever comes next, a reader, a writer or the
same process, moves what still lies there to its place. No lock is taken, so none can be left behind
by a process that died. Temporary names hold the number of their process, and those of dead ones are
cleared away by the next to write there.
"""

import errno
import os
import platform
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CorruptArtifactError

_NEXT = ".hf_attn_attr.next"  # nobody else has a folder of that name
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)\.[^.]*\.tmp", re.DOTALL)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends without error.

    Readers see the old file or the new one, never a part; after an error the old file is untouched
    and no temporary file is left.

    Raises:
        OSError: If the file cannot be written; it names `path`.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_dead(path.parent)
        handle, name = tempfile.mkstemp(".tmp", _temporary_prefix(path.name), path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _finish(temporary, path)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_together(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files replace those of `folder` of the same names, all or none.

    What else lies in `folder` stays. A crash at any moment leaves all old files or all new ones, to
    whoever calls `settle` before reading.

    Raises:
        OSError: If they cannot be written; it names `folder`.
    """
    with _naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _clear_dead(folder)
        temporary = Path(tempfile.mkdtemp(".tmp", _temporary_prefix(_NEXT), folder))
        try:
            yield temporary
            for path in temporary.iterdir():
                _finish(path, folder / path.name)
            temporary.chmod(0o777 & ~_umask())
            _sync_folder(temporary)
            _decide(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        settle(folder)


def settle(folder: Path) -> None:
    """Finish a replacement of several files that was decided and then interrupted.

    Any number of processes may do so at once: whatever lies there has been decided.

    Raises:
        CorruptArtifactError: If there is one and this process may not finish it.
    """
    decided = folder / _NEXT
    while decided.is_dir():
        if decided.is_symlink():
            raise CorruptArtifactError(f"{decided} is a link, which no release makes. Remove it.")
        try:
            for name in sorted(os.listdir(decided)):
                (decided / name).replace(folder / name)
            _sync_folder(folder)
            _remove_empty(decided)
        except FileNotFoundError:
            continue  # another process was faster
        except OSError as error:
            raise CorruptArtifactError(
                f"Saving to {folder} was interrupted and cannot be finished here ({error}). Load "
                "it once as somebody who may write there."
            ) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_writable(folder: Path) -> None:
    """Check that files can be made in `folder`, or it in the folders above; nothing is made.

    Raises:
        OSError: If not; better now than after hours.
    """
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            if not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "Not a folder", str(place))
            effective = os.access in os.supports_effective_ids
            if not os.access(place, os.W_OK | os.X_OK, effective_ids=effective):
                raise PermissionError(errno.EACCES, "Cannot be written to", str(place))
            return


def _finish(temporary: Path, path: Path) -> None:
    """Give a written file the mode of its place, and bring it to the disk."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # A temporary file has 0600; a published file has the mode any other new file would have.
    temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
    _sync(temporary)


def _decide(temporary: Path, folder: Path) -> None:
    while True:
        settle(folder)
        try:
            temporary.rename(folder / _NEXT)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
        else:
            return _sync_folder(folder)


def _remove_empty(decided: Path) -> None:
    try:
        decided.rmdir()
    except OSError as error:
        if error.errno not in _NOT_EMPTY:  # if it is, another process has decided on more
            raise


def _temporary_prefix(name: str) -> str:
    return f".{name.lstrip('.')}.{_HOST}-{os.getpid()}."


def _clear_dead(folder: Path) -> None:
    """Remove what processes of this machine that are no more left behind while writing."""
    if os.name != "posix":  # elsewhere, asking whether a process lives would end it
        return
    for name in os.listdir(folder):
        found = _TEMPORARY.fullmatch(name)
        if found and found[1] == _HOST and not _alive(int(found[2])):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the disk are OSErrors and name the file, which those of other libraries are not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except Exception as error:
        # By name: importing safetensors would slow down whoever only reads a matrix.
        found = re.search(r"os error (\d+)", str(error))
        if type(error).__name__ != "SafetensorError" or found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        _sync(path)


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
