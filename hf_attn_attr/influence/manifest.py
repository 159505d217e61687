"""What a matrix is of: plain JSON values whose kinds its readers rely on."""

import json
from collections.abc import Mapping
from typing import Any

from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.files import canonical_json

from .words import WordRule

_COUNTS = ("texts", "empty_texts", "words", "distinct_words")
_OBJECTS = (("provenance",), ("checks",), ("checks", "association"), ("checks", "verdicts"))


def plain_manifest(manifest: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    """The manifest as it will come back from its file.

    Raises:
        InvalidInputError: If it is not plain JSON, or what it says cannot be.
    """
    try:
        plain: dict[str, Any] = json.loads(canonical_json(dict(manifest)))
        WordRule(**plain["word_rule"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The manifest cannot be used ({error!r}). It takes plain JSON values without NaN, and "
            "a word_rule with lowercase and normalization."
        ) from error
    if plain.get("labels") != list(labels):
        raise InvalidInputError(
            f"The manifest names the labels {plain.get('labels')}, the matrix {list(labels)}."
        )
    for name in _COUNTS:
        if name in plain and not (type(plain[name]) is int and plain[name] >= 0):
            raise InvalidInputError(f"The manifest has {name} = {plain[name]!r}; wanted a count.")
    for path in _OBJECTS:
        found: Any = plain
        for name in path:
            found = found.get(name, {})
        if not isinstance(found, dict):
            raise InvalidInputError(
                f"The manifest has {'.'.join(path)} = {found!r}; wanted an object."
            )
    return plain
