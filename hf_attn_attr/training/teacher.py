"""A fine-tuned classifier's probabilities, for another to learn from.

Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"; Tang et al. 2019,
"Distilling Task-Specific Knowledge from BERT into Simple Neural Networks".
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging

from ..batching import length_batches
from ..classifier import class_probabilities, config_digest, weights_digest
from ..data import LabelledTexts
from ..encoding import longest_text
from ..errors import AttnAttrError, IncompatibleError, InvalidInputError
from ..files import canonical_json, sha256_of_bytes, write_bytes
from ..loading import load_classifier
from ..tokenization import canonical_tokenizer_json

logger = logging.get_logger(__name__)

Floats = NDArray[np.float64]


def teacher_outputs(
    name: str, texts: Sequence[str], like: LabelledTexts, *, cache: Path, progress: bool
) -> Floats:
    """A teacher's probabilities (regression: predictions) of texts, float64 (N, C).

    Columns are in the order of `like.labels`, by label name. The result is kept in `cache`, so that
    a resumed training does not ask again.

    Args:
        name: Hub name or folder of a sequence classifier.
        texts: N texts.
        like: Texts with the student's labels and problem type.
        cache: Folder for the result.
        progress: Show a progress bar.

    Raises:
        InvalidInputError: If the teacher cannot be loaded, or lacks weights or a padding token.
        IncompatibleError: If it has other labels or is for another kind of problem.
    """
    model, tokenizer = _load(name)
    order = _label_order(model.config, name, like)
    identity = [
        *(weights_digest(model), config_digest(model), _tokenizer_identity(tokenizer)),
        *(order, like.problem_type, list(texts)),
    ]
    path = cache / f"teacher-{sha256_of_bytes(canonical_json(identity))[:16]}.npy"
    if (kept := _kept(path)) is not None:
        return kept
    logits = _logits(model, tokenizer, texts, progress)[:, order]
    regression = like.problem_type == "regression"
    outputs = logits if regression else class_probabilities(logits, like.problem_type)
    buffer = io.BytesIO()
    np.save(buffer, outputs.astype(np.float64), allow_pickle=False)
    digest = sha256_of_bytes(buffer.getvalue()).encode()
    write_bytes(path, buffer.getvalue() + digest)
    return outputs.astype(np.float64)


def _kept(path: Path) -> Floats | None:
    """What was written there, if it is as it was written: then the digest stands behind it."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    if sha256_of_bytes(data[:-64]).encode() != data[-64:]:
        logger.warning("%s was damaged; the teacher is asked again.", path)
        return None
    return np.load(io.BytesIO(data), allow_pickle=False)


def _tokenizer_identity(tokenizer: Any) -> Any:
    if getattr(tokenizer, "is_fast", False):
        return canonical_tokenizer_json(tokenizer)
    return json.dumps([type(tokenizer).__name__, tokenizer.get_vocab()], sort_keys=True)


def _load(name: str) -> tuple[Any, Any]:
    advice = "Give the Hub name or the folder of a fine-tuned sequence classifier."
    try:
        model, tokenizer = load_classifier(name, fast=False)
    except AttnAttrError as error:
        raise InvalidInputError(
            f"The teacher {name!r} cannot be loaded: {error} {advice}"
        ) from error
    if tokenizer.pad_token_id is None:
        raise InvalidInputError(
            f"The tokenizer of the teacher {name!r} has no padding token. Give it one and save it."
        )
    return model, tokenizer


def _label_order(config: Any, name: str, like: LabelledTexts) -> list[int]:
    """Column of the teacher for each label of the texts."""
    if config.problem_type not in (None, like.problem_type):
        raise IncompatibleError(
            f"The teacher {name!r} is for {config.problem_type}, the training texts are for "
            f"{like.problem_type}. Choose a teacher of the same kind."
        )
    theirs = [str(config.id2label[index]) for index in range(config.num_labels)]
    ours = list(like.labels)
    if len(theirs) == len(ours) == 1:  # regression: its target has no name to agree on
        return [0]
    if set(theirs) == set(ours) and len(set(theirs)) == len(ours):
        return [theirs.index(label) for label in ours]
    if len(theirs) == len(ours) and all(label.startswith("LABEL_") for label in theirs):
        logger.warning(
            "The teacher %s has unnamed labels; they are taken in the order %s.", name, ours
        )
        return list(range(len(ours)))
    raise IncompatibleError(
        f"The teacher {name!r} has labels {theirs}, the training texts have {ours}. Rename the "
        "texts' labels (label_map) or choose a teacher with these labels."
    )


@torch.inference_mode()
def _logits(model: Any, tokenizer: Any, texts: Sequence[str], progress: bool) -> NDArray[Any]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    ids = tokenizer(list(texts), truncation=True, max_length=longest_text(model, tokenizer))[
        "input_ids"
    ]
    logits = np.empty((len(ids), model.config.num_labels), dtype=np.float32)
    bar = logging.tqdm(total=len(ids), desc="Teacher", unit="text", disable=not progress)
    for batch in length_batches(list(map(len, ids))):
        # On the side of the tokenizer's, and at least one position.
        longest = max(1, *(len(ids[row]) for row in batch))
        inputs = tokenizer.pad(
            {"input_ids": [ids[row] for row in batch]},
            padding="max_length",
            max_length=longest,
            return_tensors="pt",
        )
        logits[batch] = model(**inputs.to(device)).logits.float().cpu().numpy()
        bar.update(len(batch))
    bar.close()
    return logits
