"""What a command of the command line left behind."""

import json
from typing import NamedTuple

import pytest


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output, which must be one JSON document without NaN."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"JSON has {name}"))
