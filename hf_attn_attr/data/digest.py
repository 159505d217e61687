"""The digest of a corpus: SHA-256 over a JSON line per row, whatever file the rows are in."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


class CorpusDigest:
    """SHA-256 of rows in order, each a text and, where there is one, its label in names.

    Args:
        problem_type: Of the labels; that of texts alone is "single_label_classification".
    """

    def __init__(self, problem_type: str = "single_label_classification") -> None:
        self._digest = hashlib.sha256(f"{problem_type}\n".encode())

    def update(self, lines: bytes) -> None:
        """Add rows, as `json_lines` writes them."""
        self._digest.update(lines)

    def hexdigest(self) -> str:
        """The digest of all rows so far, hexadecimal."""
        return self._digest.hexdigest()


def json_lines(*columns: Iterable[Any]) -> bytes:
    """A JSON list per row of columns of one length."""
    rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in zip(*columns, strict=True))
    return "".join(rows).encode()
