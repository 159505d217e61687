"""Text in, attention and attribution columns out."""

import hashlib
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from datasets.fingerprint import Hasher
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .attribution import AttributionMethod, Replacements, TokenBatch, attribution_method
from .batching import BATCH_TOKENS, length_batches, padded
from .encoding import (
    CHUNK,
    Encoded,
    encode,
    longest_text,
    owners,
    padding_id,
    segments,
    token_ids,
)
from .errors import InvalidInputError
from .files import sha256_of_bytes
from .merging import Floats, WordRows, in_order, merged
from .tokenization import canonical_tokenizer_json

# Columns beyond those that every method writes.
_EXTRA = {
    "attention": ("attention_special",),
    "attention_rollout": ("attention_special",),
    "input_x_gradient": ("attribution_special",),
    "integrated_gradients": ("attribution_special", "completeness_error"),
}
_EXTRA_TYPES = {
    "attention_special": Value("float32"),
    "attribution_special": List(Value("float32")),
    "completeness_error": Value("float32"),
}


class AttributionExtractor:
    """Attention and attributions per word of the text, for `Dataset.map(extractor, batched=True)`.

    Columns written, for a text of n words and C labels: `words` (slices of the text), `word_start`,
    `word_end` (characters), `attention` (n, sums to 1), `attribution` (flat n * C, row-major: the
    terms of the raw logits, gauge fixed, not centred), `attribution_context` (its context part,
    same shape), `probabilities` (C; null for regression), `prediction`, `truncated` (characters of
    the text that were not read because it is too long). What a method cannot fill is null.

    Some methods add, per text: `attention_special`, the share of attention that special tokens took
    ("attention", "attention_rollout"); `attribution_special` (C), the terms of special tokens
    ("input_x_gradient", "integrated_gradients", where they are 0); `completeness_error`, how far
    the terms are from the difference of logits they should sum to, relative to it
    ("integrated_gradients").

    Args:
        model: A sequence classifier; used in eval mode, its mode is restored.
        tokenizer: Its fast tokenizer.
        method: "contribution" (exact; self_attentive models with a linear head), "occlusion",
            "integrated_gradients", "input_x_gradient", "attention", "attention_rollout"; or "auto":
            contribution where it is exact, else occlusion.
        text_column: The column to read.
        context: Write `attribution_context`.
        batch_tokens: Padded tokens per forward pass.
        options: The method's own: `steps` and `baseline` of "integrated_gradients", `by` of
            "occlusion".
        classes: "all", or labels, for "input_x_gradient" and "integrated_gradients": a backward
            pass each. `attribution` then is (n, K), its K columns in the model's order of labels,
            and of a single-label model centred over all classes.

    Raises:
        InvalidInputError: For an unknown method, option or class, or a tokenizer that is not a fast
            one.
        IncompatibleError: If neither model nor tokenizer has a padding token.
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
        options: Mapping[str, Any] | None = None,
        classes: str | Sequence[str] = "all",
    ):
        if not getattr(tokenizer, "is_fast", False):
            raise InvalidInputError(
                f"{type(tokenizer).__name__} is not a fast tokenizer, so its words cannot be found "
                "in the text. Load the tokenizer with AutoTokenizer.from_pretrained(...)."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.attribute: AttributionMethod = attribution_method(method, model, options, classes)
        self.method = self.attribute.name
        self.text_column = text_column
        self.context = context
        self.batch_tokens = batch_tokens
        self.replacements = Replacements(
            padding_id(model, tokenizer), tokenizer.mask_token_id, tokenizer.unk_token_id
        )
        self.max_length = longest_text(model, tokenizer)

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
            truncated=Value("int32"),
            **{name: _EXTRA_TYPES[name] for name in _EXTRA.get(self.method, ())},
        )

    def table(self, texts: Sequence[str]) -> pa.Table:
        """The new columns of some texts as an Arrow table, in their order.

        Raises:
            InvalidInputError: If a text is not a string; the message names its row.
        """
        encoded = encode(self.tokenizer, texts, self.max_length)
        rows: list[WordRows] = []
        order: list[int] = []
        with evaluating(self.model):
            for indices in length_batches([len(text.ids) for text in encoded], self.batch_tokens):
                chosen = [encoded[index] for index in indices]
                batch = self._batch(chosen)
                rows.append(merged(self.attribute(self.model, batch), batch, chosen))
                order += indices
        return self._arrow(texts, encoded, in_order(rows, order))

    def _batch(self, texts: Sequence[Encoded]) -> TokenBatch:
        inputs = padded([text.ids for text in texts], self.replacements.pad)
        length = inputs["input_ids"].shape[1]
        types = segments(texts, length)
        if types is not None and "token_type_ids" in _parameters(self.model):
            inputs["token_type_ids"] = types
        device = self.model.device
        return TokenBatch(
            {name: value.to(device) for name, value in inputs.items()},
            owners(texts, length).to(device),
            self.replacements,
            self.batch_tokens,
        )

    def _arrow(self, texts: Sequence[str], encoded: Sequence[Encoded], rows: WordRows) -> pa.Table:
        spans = np.array([span for text in encoded for span in text.spans], dtype=np.int32)
        spans = spans.reshape(-1, 2)
        words = [
            text[a:b] for text, found in zip(texts, encoded, strict=True) for a, b in found.spans
        ]
        ends = np.concatenate([[0], np.cumsum([len(text.spans) for text in encoded])])
        labels = (
            rows.logits.shape[1] if self.attribute.classes is None else len(self.attribute.classes)
        )
        texts_ends = np.arange(len(texts) + 1) * labels
        columns = {
            "words": _ragged(pa.array(words, pa.string()), ends),
            "word_start": _ragged(spans[:, 0].copy(), ends),
            "word_end": _ragged(spans[:, 1].copy(), ends),
            "attention": _ragged(rows.attention, ends),
            "attribution": _ragged(rows.attribution, ends * labels),
            "attribution_context": _ragged(rows.context, ends * labels),
            **self._predictions(rows.logits),
            "truncated": pa.array([text.truncated for text in encoded], pa.int32()),
            "attention_special": _numbers(rows.attention_special, len(texts)),
            "attribution_special": _ragged(rows.attribution_special, texts_ends),
            "completeness_error": _numbers(rows.completeness_error, len(texts)),
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
            chosen = probabilities >= np.array(
                getattr(self.model.config, "thresholds", None) or [0.5] * labels
            )
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
    options: Mapping[str, Any] | None = None,
    classes: str | Sequence[str] = "all",
) -> Dataset:
    """`dataset` with attention and attribution columns (see `AttributionExtractor`).

    The fast path: texts are sorted by length in chunks and columns are written as Arrow tables. A
    dataset that lives on disk is cached by the contents of its texts, weights and tokenizer. Warns
    if texts were cut because they are longer than the model reads.

    Args:
        dataset: Texts; its other columns are kept.
        model: A sequence classifier.
        tokenizer: Its fast tokenizer.
        method: As for `AttributionExtractor`.
        text_column: The column to read.
        context: Write `attribution_context`.
        batch_tokens: Padded tokens per forward pass.
        options: As for `AttributionExtractor`.
        classes: As for `AttributionExtractor`.

    Returns:
        The dataset with the new columns, rows in the same order.

    Raises:
        InvalidInputError: If the text column is missing or holds something else than strings.
        IncompatibleError: If the method does not fit the model, or neither model nor tokenizer has
            a padding token.
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
        options=options,
        classes=classes,
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
            (
                kept._fingerprint,
                provenance(model, tokenizer, method, options, classes),
                *(text_column, context, extractor.max_length),
            )
        ),
        desc=f"Extracting ({extractor.method})",
    )
    _warn_of_cut_texts(extracted, extractor.max_length)
    return extracted.with_format(None)


def _warn_of_cut_texts(extracted: Dataset, max_length: int) -> None:
    """`extracted`: in Arrow format."""
    cut = sum(
        int(pc.sum(pc.greater(table["truncated"], 0)).as_py() or 0)
        for table in extracted.select_columns("truncated").iter(batch_size=100_000)
    )
    if cut:
        warnings.warn(
            f"{cut} of {len(extracted)} texts ({cut / len(extracted):.1%}) are longer than "
            f"{max_length} tokens and were cut; what lies behind was not read. The column "
            "'truncated' says how many characters of each text.",
            stacklevel=3,
        )


@torch.no_grad()
def measure_gauge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> None:
    """Fix the gauge of a self-attentive model by its training texts, in place.

    `train` does this; call it after training in another way, then save the model.
    """
    ids = token_ids(tokenizer, texts, longest_text(model, tokenizer))
    model.measure_gauge(
        padded([ids[index] for index in batch], padding_id(model, tokenizer))
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
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    method: str,
    options: Mapping[str, Any] | None = None,
    classes: str | Sequence[str] = "all",
) -> dict[str, Any]:
    """What the columns were computed with, for a manifest.

    "auto" is resolved, `options` include the defaults, and `classes` is there if not all classes
    are attributed. `word_vectors` and `teacher` name where knowledge of words came from that the
    training texts did not teach, if from anywhere.
    """
    config = model.config
    imported = {name: getattr(config, name, None) for name in ("word_vectors", "teacher")}
    attribute = attribution_method(method, model, options, classes)
    chosen = attribute.classes
    return {
        "method": attribute.name,
        **({"options": dict(attribute.options)} if attribute.options else {}),
        **({} if chosen is None else {"classes": [config.id2label[index] for index in chosen]}),
        "model_type": config.model_type,
        **{name: source for name, source in imported.items() if source is not None},
        "weights_sha256": weights_digest(model),
        "tokenizer_sha256": sha256_of_bytes(canonical_tokenizer_json(tokenizer).encode()),
    }


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


def _parameters(model: PreTrainedModel) -> Sequence[str]:
    """Names of the arguments that the model's forward pass takes."""
    return list(inspect.signature(model.forward).parameters)


def _typed(value: pa.Scalar) -> Any:
    if not isinstance(value, pa.ListScalar) or not value.is_valid:
        return value.as_py()
    if pa.types.is_string(value.type.value_type):
        return np.array(value.as_py(), dtype=np.str_)
    return value.values.to_numpy(zero_copy_only=False)


def _numbers(values: Floats | None, rows: int) -> pa.Array:
    """A column of a number per row; nulls for None."""
    return pa.nulls(rows, pa.float32()) if values is None else pa.array(values)


def _ragged(values: Any, ends: NDArray[np.int64]) -> pa.Array:
    """A list column from flat values and where each row begins and ends; nulls for None."""
    if values is None:
        return pa.nulls(len(ends) - 1, pa.list_(pa.float32()))
    flat = values if isinstance(values, pa.Array) else pa.array(values.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), flat)
