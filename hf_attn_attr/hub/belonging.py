"""Whether a matrix was folded from what this very model said."""

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classifier import label_names, weights_digest
from ..errors import IncompatibleError
from ..files import sha256_of_bytes
from ..influence import InfluenceMatrix
from ..tokenization import canonical_tokenizer_json

_REMEDY = "Extract and fold with this model, or take the model that the matrix was folded from."


def check_belongs(
    influence: InfluenceMatrix, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Refuse a matrix of another model: by names of labels, contents of weights, tokenizer.

    Nothing is paired by position, and a card or a config field that changes no number changes
    nothing here.

    Raises:
        IncompatibleError: If they are no pair, or the matrix does not say what it was folded from.
    """
    labels = label_names(model)
    if list(influence.labels) != labels:
        raise IncompatibleError(
            f"The matrix has the labels {list(influence.labels)}, the model {labels}. {_REMEDY}"
        )
    told = influence.manifest.get("provenance", {})
    found = {
        "weights_sha256": weights_digest(model),
        "tokenizer_sha256": sha256_of_bytes(canonical_tokenizer_json(tokenizer).encode()),
    }
    for name, digest in found.items():
        what = name.removesuffix("_sha256")
        if told.get(name) is None:
            raise IncompatibleError(
                f"The matrix does not say with which {what} it was made, so it cannot be told "
                "whose it is. Fold again with provenance=AttributionExtractor(model, tokenizer, "
                "method).provenance."
            )
        if told[name] != digest:
            raise IncompatibleError(
                f"The matrix was made with other {what} (SHA-256 {told[name]}) than this model's "
                f"({digest}): the model was trained on since, or is another one. {_REMEDY}"
            )
