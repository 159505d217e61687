"""Files written whole or not at all, and digests to recognise them by."""

from .digests import canonical_json, sealed_json, sha256_of_bytes, sha256_of_file
from .reading import read_json, read_manifest, read_settled, read_verified, sound
from .writing import check_writable, replacing, replacing_together, settle, write_bytes

__all__ = [
    "canonical_json",
    "check_writable",
    "read_json",
    "read_manifest",
    "read_settled",
    "read_verified",
    "replacing",
    "replacing_together",
    "sealed_json",
    "settle",
    "sha256_of_bytes",
    "sha256_of_file",
    "sound",
    "write_bytes",
]
