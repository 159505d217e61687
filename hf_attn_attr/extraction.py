"""Text in, attention and attribution columns out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from datasets.fingerprint import Hasher
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .attribution import TokenAttributions, attribution_method
from .batching import BATCH_TOKENS, length_batches, padded
from .errors import InvalidInputError
from .files import sha256_of_bytes
from .models.words import word_spans
from .tokenization import canonical_tokenizer_json

Floats = NDArray[np.float32]
CHUNK = 2048  # texts sorted by length together and written as one Arrow batch


class AttributionExtractor:
    """Attention and attributions per word of the text, for `Dataset.map(extractor, batched=True)`.

    Columns written, for a text of n words and C labels: `words` (slices of the text), `word_start`,
    `word_end` (characters), `attention` (n, sums to 1), `attribution` (flat n * C, row-major: the
    terms of the raw logits, gauge fixed, not centred), `attribution_context` (its context part,
    same shape), `probabilities` (C; null for regression), `prediction`. What a method cannot fill
    is null.

    Args:
        model: A sequence classifier; used in eval mode, its mode is restored.
        tokenizer: Its fast tokenizer.
        method: "contribution" (exact; needs a linear head) or "attention".
        text_column: The column to read.
        context: Write `attribution_context`.
        batch_tokens: Padded tokens per forward pass.

    Raises:
        InvalidInputError: For an unknown method or a tokenizer that is not a fast one.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        method: str = "contribution",
        *,
        text_column: str = "text",
        context: bool = True,
        batch_tokens: int = BATCH_TOKENS,
    ):
        if not getattr(tokenizer, "is_fast", False):
            raise InvalidInputError(
                f"{type(tokenizer).__name__} is not a fast tokenizer, so its words cannot be found "
                "in the text. Load the tokenizer with AutoTokenizer.from_pretrained(...)."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.method = method
        self.text_column = text_column
        self.context = context
        self.batch_tokens = batch_tokens
        self.attribute = attribution_method(method)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The new columns of one batch of rows, a numpy array per list.

        Typed arrays, because `map` cannot guess the type of a batch of empty lists.
        """
        table = self.table(batch[self.text_column])
        return {name: [_typed(value) for value in table[name]] for name in table.column_names}

    @property
    def labels(self) -> list[str]:
        """Label names in the order of the logits."""
        config = self.model.config
        return [config.id2label[index] for index in range(config.num_labels)]

    @property
    def features(self) -> Features:
        """Types of the columns written."""
        floats = List(Value("float32"))
        prediction: Any = {
            "single_label_classification": ClassLabel(names=self.labels),
            "multi_label_classification": List(ClassLabel(names=self.labels)),
            "regression": Value("float32"),
        }[problem_type(self.model)]
        return Features(
            words=List(Value("string")),
            word_start=List(Value("int32")),
            word_end=List(Value("int32")),
            attention=floats,
            attribution=floats,
            **({"attribution_context": floats} if self.context else {}),
            probabilities=floats,
            prediction=prediction,
        )

    def table(self, texts: Sequence[str]) -> pa.Table:
        """The new columns of some texts as an Arrow table, in their order.

        Raises:
            InvalidInputError: If a text is not a string; the message names its row.
        """
        encoded = encode(self.tokenizer, texts, self.max_length)
        rows: list[_Rows] = []
        order: list[int] = []
        with evaluating(self.model):
            for batch in length_batches([len(text.ids) for text in encoded], self.batch_tokens):
                chosen = [encoded[index] for index in batch]
                inputs = padded([text.ids for text in chosen], self.tokenizer.pad_token_id)
                inputs = {name: value.to(self.model.device) for name, value in inputs.items()}
                rows.append(_to_words(self.attribute(self.model, inputs), inputs, chosen))
                order += batch
        return self._arrow(texts, encoded, _in_order(rows, order))

    @property
    def max_length(self) -> int:
        """Tokens of a text beyond this many are cut off."""
        limits = [self.tokenizer.model_max_length]
        for name in ("max_length", "max_position_embeddings"):
            limit = getattr(self.model.config, name, None)
            if isinstance(limit, int):
                limits.append(limit)
        return min(limits)

    def _arrow(self, texts: Sequence[str], encoded: "Sequence[Encoded]", rows: "_Rows") -> pa.Table:
        spans = np.array([span for text in encoded for span in text.spans], dtype=np.int32)
        spans = spans.reshape(-1, 2)
        words = [
            text[a:b] for text, found in zip(texts, encoded, strict=True) for a, b in found.spans
        ]
        ends = np.concatenate([[0], np.cumsum([len(text.spans) for text in encoded])])
        labels = rows.logits.shape[1]
        attribution = _ragged(rows.attribution, ends * labels)
        columns = {
            "words": _ragged(pa.array(words, pa.string()), ends),
            "word_start": _ragged(spans[:, 0].copy(), ends),
            "word_end": _ragged(spans[:, 1].copy(), ends),
            "attention": _ragged(rows.attention, ends),
            "attribution": attribution,
            "attribution_context": _ragged(rows.context, ends * labels),
            **self._predictions(rows.logits),
        }
        schema = self.features.arrow_schema
        arrays = [columns[name].cast(schema.field(name).type) for name in schema.names]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _predictions(self, logits: Floats) -> dict[str, pa.Array]:
        texts, labels = logits.shape
        kind = problem_type(self.model)
        if kind == "regression":
            return {
                "probabilities": pa.nulls(texts, pa.list_(pa.float32())),
                "prediction": pa.array(logits[:, 0]),
            }
        probabilities = class_probabilities(logits, kind)
        prediction: pa.Array
        if kind == "single_label_classification":
            prediction = pa.array(logits.argmax(1))
        else:
            chosen = probabilities >= np.array(self.model.config.thresholds or [0.5] * labels)
            ends = np.concatenate([[0], np.cumsum(chosen.sum(1))])
            prediction = _ragged(np.nonzero(chosen)[1], ends)
        flat = probabilities.astype(np.float32).ravel()
        return {
            "probabilities": _ragged(flat, np.arange(texts + 1) * labels),
            "prediction": prediction,
        }


def extract(
    dataset: Dataset,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    method: str = "contribution",
    text_column: str = "text",
    context: bool = True,
    batch_tokens: int = BATCH_TOKENS,
) -> Dataset:
    """`dataset` with attention and attribution columns (see `AttributionExtractor`).

    The fast path: texts are sorted by length in chunks and columns are written as Arrow tables. A
    dataset that lives on disk is cached by the contents of its texts, weights and tokenizer.

    Args:
        dataset: Texts; its other columns are kept.
        model: A sequence classifier.
        tokenizer: Its fast tokenizer.
        method: "contribution" or "attention".
        text_column: The column to read.
        context: Write `attribution_context`.
        batch_tokens: Padded tokens per forward pass.

    Returns:
        The dataset with the new columns, rows in the same order.

    Raises:
        InvalidInputError: If the text column is missing or holds something else than strings.
        IncompatibleError: If the method does not fit the model.
    """
    if text_column not in dataset.column_names:
        raise InvalidInputError(
            f"There is no column {text_column!r} among {dataset.column_names}. Name the text "
            "column."
        )
    extractor = AttributionExtractor(
        model,
        tokenizer,
        method,
        text_column=text_column,
        context=context,
        batch_tokens=batch_tokens,
    )
    added = extractor.features
    kept = dataset.remove_columns([name for name in added if name in dataset.column_names])

    def append(table: pa.Table) -> pa.Table:
        new = extractor.table(table[text_column].to_pylist())
        for name in new.column_names:
            table = table.append_column(name, new[name])
        return table

    extracted = kept.with_format("arrow").map(
        append,
        batched=True,
        batch_size=CHUNK,
        features=Features({**kept.features, **added}),
        new_fingerprint=Hasher.hash(
            (kept._fingerprint, provenance(model, tokenizer, method), text_column, context)
        ),
        desc=f"Extracting ({method})",
    )
    return extracted.with_format(None)


@torch.no_grad()
def measure_gauge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> None:
    """Fix the gauge of a self-attentive model by its training texts, in place.

    `train` does this; call it after training in another way, then save the model.
    """
    extractor = AttributionExtractor(model, tokenizer)
    ids = token_ids(tokenizer, texts, extractor.max_length)
    model.measure_gauge(
        padded([ids[index] for index in batch], tokenizer.pad_token_id)
        for batch in length_batches([len(tokens) for tokens in ids])
    )


def problem_type(model: PreTrainedModel) -> str:
    """The model's problem type, as transformers would infer it where the config names none."""
    config = model.config
    inferred = "regression" if config.num_labels == 1 else "single_label_classification"
    return config.problem_type or inferred


def class_probabilities(logits: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """Softmax over labels, or one sigmoid per label for multi-label: float64 (B, C)."""
    logits = logits.astype(np.float64)
    if kind == "multi_label_classification":
        return np.exp(-np.logaddexp(0.0, -logits))
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def weights_digest(model: PreTrainedModel) -> str:
    """SHA-256 over names, types, shapes and contents of all weights, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def provenance(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, method: str
) -> dict[str, str]:
    """What the columns were computed with, for a manifest.

    `word_vectors` and `teacher` name where knowledge of words came from that the training texts did
    not teach, if from anywhere.
    """
    config = model.config
    imported = {name: getattr(config, name, None) for name in ("word_vectors", "teacher")}
    return {
        "method": method,
        "model_type": config.model_type,
        **{name: source for name, source in imported.items() if source is not None},
        "weights_sha256": weights_digest(model),
        "tokenizer_sha256": sha256_of_bytes(canonical_tokenizer_json(tokenizer).encode()),
    }


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tokenized text: token ids, word spans in the text, and the word of each token or -1."""

    ids: list[int]
    spans: list[tuple[int, int]]
    owner: list[int]


def token_ids(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int
) -> list[list[int]]:
    """Token ids of each text, without what only words need: a tenth of the memory of `encode`.

    Raises:
        InvalidInputError: If a text is not a string; the message names its row.
    """
    return [
        text.ids
        for start in range(0, len(texts), CHUNK)
        for text in encode(tokenizer, texts[start : start + CHUNK], max_length, first_row=start)
    ]


def encode(
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    max_length: int,
    *,
    first_row: int = 0,
) -> list[Encoded]:
    """Tokenize texts and find their words; `first_row` is the first text's number, for messages.

    Raises:
        InvalidInputError: If a text is not a string; the message names its row.
    """
    for row, text in enumerate(texts, start=first_row):
        if not isinstance(text, str):
            raise InvalidInputError(
                f"The text in row {row} is {text!r} ({type(text).__name__}), not a string. Drop "
                "the row or convert it."
            )
    if not len(texts):
        return []
    batch = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    return [
        Encoded(encoding.ids, *word_spans(text, encoding.word_ids, encoding.offsets))
        for text, encoding in zip(texts, batch.encodings, strict=True)
    ]


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Eval mode without gradients; the model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Word-level results of some texts: flat over words, and where each text's words end."""

    words: NDArray[np.int64]  # (B,) words of each text
    logits: Floats  # (B, C)
    attention: Floats | None  # (words,)
    attribution: Floats | None  # (words, C)
    context: Floats | None  # (words, C)


def _to_words(
    tokens: TokenAttributions, inputs: Mapping[str, Tensor], texts: Sequence[Encoded]
) -> _Rows:
    """Sum the attributions of a batch's tokens over the words they belong to."""
    real = inputs["attention_mask"].bool().cpu().numpy()
    words = np.array([len(text.spans) for text in texts], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(words)[:-1]])
    # The word of each real token, counted through the batch; special tokens belong to none.
    owner = np.concatenate([np.array(text.owner, dtype=np.int64) for text in texts])
    kept = owner >= 0
    owner = (owner + np.repeat(first, [len(text.owner) for text in texts]))[kept]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))

    def merge(values: Tensor | None) -> Floats | None:
        if values is None:
            return None
        flat = values.cpu().numpy()[real][kept]
        summed = np.add.reduceat(flat, starts, axis=0) if len(starts) else flat
        return summed.astype(np.float32)

    return _Rows(
        words,
        tokens.logits.float().cpu().numpy(),
        merge(tokens.attention),
        merge(tokens.attribution),
        merge(tokens.context),
    )


def _in_order(batches: Sequence[_Rows], order: Sequence[int]) -> _Rows:
    """Results of all batches with their texts in the original order."""
    back = np.argsort(np.array(order, dtype=np.int64))
    words = np.concatenate([rows.words for rows in batches])
    first = np.concatenate([[0], np.cumsum(words)[:-1]])
    sizes = words[back]
    # Index of each word in the batches' order, for words in the original order.
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    index = np.repeat(first[back], sizes) + within

    def gather(name: str) -> Any:
        parts = [getattr(rows, name) for rows in batches]
        return None if parts[0] is None else np.concatenate(parts)[index]

    logits = np.concatenate([rows.logits for rows in batches])[back]
    return _Rows(sizes, logits, gather("attention"), gather("attribution"), gather("context"))


def _typed(value: pa.Scalar) -> Any:
    if not isinstance(value, pa.ListScalar) or not value.is_valid:
        return value.as_py()
    if pa.types.is_string(value.type.value_type):
        return np.array(value.as_py(), dtype=np.str_)
    return value.values.to_numpy(zero_copy_only=False)


def _ragged(values: Any, ends: NDArray[np.int64]) -> pa.Array:
    """A list column from flat values and where each row begins and ends; nulls for None."""
    if values is None:
        return pa.nulls(len(ends) - 1, pa.list_(pa.float32()))
    flat = values if isinstance(values, pa.Array) else pa.array(values.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), flat)
