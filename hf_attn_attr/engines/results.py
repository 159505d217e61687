"""Accumulators kept in a folder or under a URL, each by name, with a manifest that vouches for it.

A manifest is written after its accumulator, and both whole or not at all; so what has a manifest
whose digest fits is complete. Two machines that compute the same thing write the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from ..errors import AttnAttrError, CorruptArtifactError
from ..files import canonical_json, sha256_of_bytes, write_bytes
from ..influence import InfluenceAccumulator
from .corpus import file_system

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """An accumulator that is kept.

    Attributes:
        name: Its name, without suffix.
        sha256: Digest of its file.
        bytes: Size of its file.
        texts: Texts added up in it.
        cut: Those of them that were cut.
        computed_on: Kinds of devices that computed its attributions.
    """

    name: str
    sha256: str
    bytes: int
    texts: int
    cut: int
    computed_on: tuple[str, ...]


class Results:
    """Accumulators of one job.

    Args:
        url: A folder, or a URL as fsspec takes it, that all machines reach.
        job: Digest of what makes the numbers what they are; its results lie in a folder of this
            name, apart from those of other jobs.
    """

    def __init__(self, url: str, job: str) -> None:
        self._system, root = file_system(url)
        self._local = isinstance(self._system, LocalFileSystem)
        self._folder = f"{root.rstrip('/')}/{job[:16]}"
        self._job = job

    def find(self, name: str, identity: Mapping[str, Any]) -> Entry | None:
        """The accumulator of this name, if it is there, whole, and of this identity."""
        try:
            manifest = json.loads(self._read(f"{name}.json"))
            told = manifest["entry"]
            entry = Entry(**{**told, "computed_on": tuple(told["computed_on"])})
            if manifest["identity"] != self._identity(identity) or entry.name != name:
                return None
            self.load(entry)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttnAttrError):
            return None
        return entry

    def keep(
        self,
        name: str,
        identity: Mapping[str, Any],
        accumulator: InfluenceAccumulator,
        *,
        texts: int,
        cut: int,
        computed_on: tuple[str, ...],
    ) -> Entry:
        """Write an accumulator and its manifest."""
        with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
            path = Path(temporary) / "accumulator.safetensors"
            accumulator.save(path)
            data = path.read_bytes()
        entry = Entry(name, sha256_of_bytes(data), len(data), texts, cut, computed_on)
        self._write(f"{name}.safetensors", data)
        manifest = {"identity": self._identity(identity), "entry": asdict(entry)}
        self._write(f"{name}.json", canonical_json(manifest))
        return entry

    def load(self, entry: Entry) -> InfluenceAccumulator:
        """The accumulator of an entry.

        Raises:
            CorruptArtifactError: If its file is missing or has changed since.
        """
        name = f"{entry.name}.safetensors"
        try:
            data = self._read(name)
        except FileNotFoundError:
            data = b""
        if sha256_of_bytes(data) != entry.sha256:
            raise CorruptArtifactError(
                f"{self._folder}/{name} is missing, damaged or exchanged. Run again: what is not "
                "sound is computed anew."
            )
        with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
            path = Path(temporary) / "accumulator.safetensors"
            path.write_bytes(data)
            return InfluenceAccumulator.load(path)

    def _identity(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        return {"format_version": FORMAT_VERSION, "job": self._job, **identity}

    def _read(self, name: str) -> bytes:
        data: bytes = self._system.cat_file(f"{self._folder}/{name}")
        return data

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self._folder}/{name}"
        if self._local:
            write_bytes(Path(path), data)
        else:  # an object store shows an object when all of it has arrived
            self._system.pipe_file(path, data)
