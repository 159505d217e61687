"""What training starts from: tokenizer, fresh weights, pretrained word vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..data import LabelledTexts
from ..encoding import token_ids
from ..errors import InvalidInputError
from ..models.configuration_self_attentive import PRESETS, SelfAttentiveConfig
from ..models.modeling_self_attentive import SelfAttentiveForSequenceClassification
from ..tokenization import train_tokenizer
from ..vectors import WordVectors, encoder_words, is_encoder, load_vectors
from .settings import EmbeddingMode, TrainingSettings
from .targets import prior_logits

STATIC_SIZE = 256  # width that vectors are reduced to before their projection
# Fields of the config that follow from the training settings.
SETTLED = {
    *("static_embedding_size", "static_embedding_mode", "word_vectors", "teacher"),
    "attention_supervision",
}
PROJECTED_RANGE = 0.4  # standard deviation of projected vectors at the start


def new_tokenizer(
    texts: LabelledTexts,
    config: Mapping[str, Any] | None,
    settings: TrainingSettings,
    unlabelled: Sequence[str],
) -> PreTrainedTokenizerFast:
    """A tokenizer of the training texts.

    Where pretrained vectors are at hand it also knows words that the training texts hold only once
    or never: the words of the unlabelled texts and those of the encoder's own vocabulary.
    """
    max_length = (config or {}).get("max_length", SelfAttentiveConfig().max_length)
    if settings.init_embeddings is None:
        return train_tokenizer(texts.dataset["text"][:], max_length=max_length)
    known = encoder_words(settings.init_embeddings) if is_encoder(settings.init_embeddings) else []
    return train_tokenizer(
        texts.dataset["text"][:],
        max_length=max_length,
        min_count=1,
        more_texts=unlabelled,
        more_words=known,
    )


def new_vectors(
    tokenizer: PreTrainedTokenizerFast, settings: TrainingSettings, *, progress: bool
) -> WordVectors | None:
    """Pretrained vectors of the tokenizer's words, if the settings ask for any."""
    if settings.init_embeddings is None:
        return None
    words = [word for word in vocabulary(tokenizer) if word is not None]
    return load_vectors(settings.init_embeddings, words, progress=progress)


def vocabulary(tokenizer: PreTrainedTokenizerFast) -> list[str | None]:
    """The tokenizer's words in the order of their numbers; None for special tokens."""
    special = set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return [None if index in special else token for index, token in enumerate(tokens)]


def new_model(
    texts: LabelledTexts,
    tokenizer: PreTrainedTokenizerFast,
    *,
    preset: str = "default",
    config: Mapping[str, Any] | None = None,
    vectors: WordVectors | None = None,
    embedding_mode: EmbeddingMode = "project",
) -> SelfAttentiveForSequenceClassification:
    """A model with fresh weights for these labels and this tokenizer.

    The output bias starts at the log-prior of the classes (of each label's share in multi-label,
    of the mean target in regression), and tokens that the texts never use start at their n-gram and
    pretrained vectors alone.

    Raises:
        InvalidInputError: For an unknown preset or config field, or a value out of range.
    """
    fields = _fields(preset, config)
    if vectors is not None:
        fields |= _vector_fields(fields, vectors, embedding_mode)
    model = SelfAttentiveForSequenceClassification(_config(texts, tokenizer, fields))
    model.set_char_ngrams(tokenizer)
    model.set_output_bias(torch.from_numpy(prior_logits(texts)).float())
    ids = token_ids(tokenizer, texts.dataset["text"][:], model.config.max_length)
    used = set().union(*ids)
    unused = [token for token in range(model.config.vocab_size) if token not in used]
    with torch.no_grad():
        model.get_input_embeddings().weight[unused] = 0.0
    if vectors is not None:
        _set_vectors(model, tokenizer, vectors, embedding_mode)
    return model


def check_config(
    texts: LabelledTexts,
    tokenizer: PreTrainedTokenizerFast,
    preset: str,
    config: Mapping[str, Any] | None,
) -> None:
    """Refuse a preset or config that no model can be made from, before work goes into it.

    Raises:
        InvalidInputError: As `new_model`.
    """
    _config(texts, tokenizer, _fields(preset, config))


def _vector_fields(
    fields: Mapping[str, Any], vectors: WordVectors, mode: EmbeddingMode
) -> dict[str, Any]:
    """The config fields that make room for pretrained vectors."""
    width = fields.get("embedding_size", SelfAttentiveConfig().embedding_size)
    room = {
        "project": min(STATIC_SIZE, vectors.vectors.shape[1], len(vectors.words)),
        "two_channel": width // 2,
        "frozen": width,
        "fine_tune": 0,
    }[mode]
    static = {} if mode == "fine_tune" else {"static_embedding_mode": mode}
    # Beside pretrained vectors n-grams add cost; `benchmarks/ablation.py` measures what else.
    ngrams = fields.get("char_ngram_buckets", 0)
    if mode == "frozen" and ngrams:
        raise InvalidInputError(
            f"char_ngram_buckets is {ngrams}; frozen vectors go without. Set it to 0."
        )
    if room < 1 and mode != "fine_tune":
        raise InvalidInputError(f"embedding_size is {width}; two channels need at least 2.")
    return {
        "static_embedding_size": room,
        "word_vectors": vectors.source,
        "char_ngram_buckets": ngrams,
        **static,
    }


def _set_vectors(
    model: SelfAttentiveForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    vectors: WordVectors,
    mode: EmbeddingMode,
) -> None:
    config = model.config
    width = config.static_embedding_size or config.embedding_size
    reduced, found = vectors.reduced(width).table(vocabulary(tokenizer))
    table = np.zeros((len(reduced), width), dtype=np.float32)
    table[:, : reduced.shape[1]] = reduced  # there are fewer dimensions than asked for
    rows = torch.from_numpy(table)
    if mode == "project":
        model.set_static_vectors(rows)
        projection = model.self_attentive.embeddings.static_projection
        assert isinstance(projection, nn.Linear)  # made by this mode
        nn.init.normal_(projection.weight, std=PROJECTED_RANGE / width**0.5)
    elif mode == "fine_tune":
        with torch.no_grad():
            weight = model.get_input_embeddings().weight
            weight[torch.from_numpy(found)] = config.initializer_range * rows[found]
    else:
        model.set_static_vectors(config.initializer_range * rows)


def _fields(preset: str, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    if preset not in PRESETS:
        raise InvalidInputError(f"There is no preset {preset!r}. Choose one of {sorted(PRESETS)}.")
    fields = {**PRESETS[preset], **(overrides or {})}
    for name in SETTLED & set(fields):
        raise InvalidInputError(f"The config's {name} follows from the training settings.")
    unknown = sorted(set(fields) - set(SelfAttentiveConfig.__dataclass_fields__))
    if unknown:
        own = sorted(SelfAttentiveConfig.__annotations__)
        raise InvalidInputError(f"The config has no field {unknown[0]!r}. It has {own}.")
    return fields


def _config(
    texts: LabelledTexts, tokenizer: PreTrainedTokenizerFast, fields: Mapping[str, Any]
) -> SelfAttentiveConfig:
    labels = texts.labels
    try:
        return SelfAttentiveConfig(
            **{
                "vocab_size": len(tokenizer),
                "pad_token_id": tokenizer.pad_token_id,
                "problem_type": texts.problem_type,
                "id2label": dict(enumerate(map(str, labels))),
                "label2id": {label: index for index, label in enumerate(labels)},
                **fields,
            }
        )
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise InvalidInputError(f"The config cannot be used: {error}") from error
