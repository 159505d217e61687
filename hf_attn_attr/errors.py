"""Every exception this package raises on purpose.

A message says what was seen, what was wanted, and what to do.
"""


class AttnAttrError(Exception):
    """Base class: `except AttnAttrError` catches whatever this package raises on purpose."""


class InvalidInputError(AttnAttrError, ValueError):
    """An argument, a dataset or a text cannot be used as given."""


class IncompatibleError(AttnAttrError, ValueError):
    """Two things, each in order, do not belong together (model, tokenizer, matrix, format)."""


class CorruptArtifactError(AttnAttrError):
    """A file we wrote is missing, truncated or changed since."""


class NonFiniteError(InvalidInputError):
    """NaN or infinity where a finite number was wanted."""


class MissingDependencyError(AttnAttrError, ImportError):
    """An optional library is not installed."""


class IncompleteCheckpointError(AttnAttrError):
    """Training cannot resume: a checkpoint is missing or lacks files."""


class ClusterError(AttnAttrError):
    """A cluster, or one of several processes, was lost or could not do what it was asked for."""


class HubError(AttnAttrError):
    """The Hub lacks what was asked for, refuses it, or cannot be reached."""
