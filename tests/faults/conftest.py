"""What the tests of this folder share: they count the faults they try and those survived."""

import contextlib
import os

import pytest
from hub.conftest import hub, offline, trained  # noqa: F401
from influence.texts import accumulated, random_rows


class Faults:
    """Counts faults: `tried` as they are made, `survived` as the required behaviour is seen."""

    def __init__(self):
        self.tried = self.survived = 0

    def survive(self, seen, what=""):
        """Count one fault, survived if what must hold was seen to hold."""
        self.tried += 1
        assert seen, what
        self.survived += 1

    @contextlib.contextmanager
    def refused(self, *errors, match=None):
        """Count one fault, survived if the block ends with one of the errors."""
        self.tried += 1
        with pytest.raises(errors, match=match) as raised:
            yield raised
        self.survived += 1


@pytest.fixture
def faults(record_property):
    """The test's count; `docs/reliability.md` is made of the counts of all."""
    counted = Faults()
    yield counted
    record_property("tried", counted.tried)
    record_property("survived", counted.survived)


@pytest.fixture(scope="session")
def thorough():
    """Whether every fault is tried, as for the table, or some of many alike."""
    return bool(os.environ.get("THOROUGH"))


@pytest.fixture(scope="session")
def stride(thorough):
    """From how many bytes of a file one is damaged."""
    return 1 if thorough else 41


@pytest.fixture(scope="session")
def matrix():
    return accumulated(random_rows(0, 12)).finalize({"corpus": "test"})


@pytest.fixture(scope="session")
def other_matrix():
    return accumulated(random_rows(1, 12)).finalize({"corpus": "other"})


@pytest.fixture
def published(matrix, tmp_path):
    """The folder of a saved matrix."""
    matrix.save_pretrained(tmp_path / "model")
    return tmp_path / "model" / "influence"


@pytest.fixture
def state(tmp_path):
    """The file of a saved accumulator."""
    path = tmp_path / "state.safetensors"
    accumulated(random_rows(0, 4, vocabulary=["a", "b"])).save(path)
    return path
