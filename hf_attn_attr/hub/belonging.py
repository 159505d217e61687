"""Whether a matrix was folded from what this very model said, and checks are about them."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classifier import config_digest, label_names, weights_digest
from ..errors import IncompatibleError
from ..files import sha256_of_bytes
from ..influence import InfluenceMatrix
from ..tokenization import canonical_tokenizer_json

_REMEDY = "Extract and fold with this model, or take the model that the matrix was folded from."


def check_belongs(
    influence: InfluenceMatrix, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Refuse a matrix of another model: by names of labels, contents of weights, config, tokenizer.

    Nothing is paired by position, and a card or a config field that changes no number changes
    nothing here. A matrix that was made before configs were recorded is not asked for that.

    Raises:
        IncompatibleError: If they are no pair, or the matrix does not say what it was folded from.
    """
    labels = label_names(model)
    if list(influence.labels) != labels:
        raise IncompatibleError(
            f"The matrix has the labels {list(influence.labels)}, the model {labels}. {_REMEDY}"
        )
    told = influence.manifest.get("provenance", {})
    for name, digest in _digests(model, tokenizer).items():
        what = name.removesuffix("_sha256")
        if told.get(name) is None and name == "config_sha256":
            continue
        if told.get(name) is None:
            raise IncompatibleError(
                f"The matrix does not say with which {what} it was made, so it cannot be told "
                "whose it is. Fold again with provenance=AttributionExtractor(model, tokenizer, "
                "method).provenance."
            )
        if told[name] != digest:
            raise IncompatibleError(
                f"The matrix was made with other {what} (SHA-256 {told[name]}) than this model's "
                f"({digest}): the model was changed since, or is another one. {_REMEDY}"
            )


def check_is_about(
    evaluation: Mapping[str, Any],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    table_sha256: str | None,
) -> None:
    """Refuse results of checks on another model or matrix, as far as they say what they are of.

    Args:
        evaluation: Content of evaluation.json.
        model: The model.
        tokenizer: Its tokenizer.
        table_sha256: Digest of the matrix's table; None if there is no matrix.

    Raises:
        IncompatibleError: If they are of something else.
    """
    found = {**_digests(model, tokenizer), "influence_sha256": table_sha256}
    about = evaluation.get("model")
    told = {**about, **evaluation} if isinstance(about, Mapping) else evaluation
    for name, digest in found.items():
        if told.get(name) not in (None, digest):
            raise IncompatibleError(
                f"The checks are of another {name.removesuffix('_sha256')} (SHA-256 {told[name]}) "
                f"than what is published ({digest}). Evaluate again, or leave them out."
            )


def _digests(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    return {
        "weights_sha256": weights_digest(model),
        "config_sha256": config_digest(model),
        "tokenizer_sha256": sha256_of_bytes(canonical_tokenizer_json(tokenizer).encode()),
    }
