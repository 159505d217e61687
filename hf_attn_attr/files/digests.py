"""Digests, and JSON whose bytes depend on its value alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

SEAL = "manifest_sha256"


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


def sealed_json(value: dict[str, Any]) -> bytes:
    """Canonical JSON of a manifest that names its own digest."""
    return canonical_json({**value, SEAL: sha256_of_bytes(canonical_json(value))})
