"""Text in, attention and attribution columns out."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset, Features
from datasets.fingerprint import Hasher
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .arrays import Columns, plain
from .attribution import AttributionMethod, Replacements, TokenBatch, attribution_method
from .batching import BATCH_TOKENS, length_batches, padded
from .classifier import (
    config_digest,
    evaluating,
    label_names,
    label_thresholds,
    problem_type,
    weights_digest,
)
from .encoding import (
    Encoded,
    encode,
    longest_text,
    model_inputs,
    owners,
    padding_id,
    token_ids,
)
from .errors import IncompatibleError, InvalidInputError
from .files import sha256_of_bytes
from .merging import WordRows, in_order, joined, merged
from .piecewise import Step, mapped
from .tokenization import canonical_tokenizer_json
from .windows import windows
from .word_rules import WordRule, checked_rule, rule_name


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
    ("integrated_gradients"); `attributed_class`, with classes="predicted".

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
            and of a single-label model centred over all classes. "predicted": of each text the
            class with the highest logit alone, K = 1.
        word_rule: What counts as a word: "pre_tokens", the tokenizer's own words; "whitespace";
            or a function from a text to the (start, end) of its words, for languages that write
            without spaces.
        window_overlap: None cuts texts that are longer than the model reads. A number reads them
            whole, in windows that share so many tokens; the logits of a text then are the mean
            over its windows, and so is the term of each word.

    Raises:
        InvalidInputError: For an unknown method, option, class or word rule, an overlap as long as
            a window, or a tokenizer that is not a fast one.
        IncompatibleError: If neither model nor tokenizer has a padding token, or the model predicts
            several values.
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
        word_rule: WordRule = "pre_tokens",
        window_overlap: int | None = None,
    ):
        if not getattr(tokenizer, "is_fast", False):
            raise InvalidInputError(
                f"{type(tokenizer).__name__} is not a fast tokenizer, so its words cannot be found "
                "in the text. Load the tokenizer with AutoTokenizer.from_pretrained(...)."
            )
        self.labels = label_names(model)
        if problem_type(model) == "regression" and len(self.labels) > 1:
            raise IncompatibleError(
                f"The model predicts {len(self.labels)} values at once, {self.labels}; columns are "
                "of one value, or of classes. Choose a model of one value, or a classifier."
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
        self.word_rule = checked_rule(word_rule)
        self.window_overlap = self._checked_overlap(window_overlap)
        self._columns = Columns(
            self.method,
            self.labels,
            problem_type(model),
            label_thresholds(model),
            context,
            self.attribute.classes == "predicted",
        )

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The new columns of one batch of rows, a numpy array per list.

        Typed arrays, because `map` cannot guess the type of a batch of empty lists.
        """
        table = self.table(batch[self.text_column])
        return {name: [plain(value) for value in table[name]] for name in table.column_names}

    @property
    def features(self) -> Features:
        """Types of the columns written."""
        return self._columns.features

    @property
    def provenance(self) -> dict[str, Any]:
        """What the columns are computed with, for a manifest.

        "auto" is resolved, `options` include the defaults, and `classes` is there if not all
        classes are attributed. `word_vectors` and `teacher` name where knowledge of words came from
        that the training texts did not teach, if from anywhere; `attention_supervision` is there if
        attention was trained to follow human rationales, with its weight.
        """
        config = self.model.config
        told = ("word_vectors", "teacher", "attention_supervision")
        chosen = self.attribute.classes
        names = chosen if isinstance(chosen, str) else [self.labels[i] for i in chosen or ()]
        window = {"tokens": self.max_length, "overlap": self.window_overlap}
        return {
            "method": self.method,
            **({"options": dict(self.attribute.options)} if self.attribute.options else {}),
            **({"classes": names} if names else {}),
            "words": rule_name(self.word_rule),
            **({} if self.window_overlap is None else {"window": window}),
            "model_type": config.model_type,
            **{name: getattr(config, name) for name in told if getattr(config, name, None)},
            "weights_sha256": weights_digest(self.model),
            "config_sha256": config_digest(self.model),
            "tokenizer_sha256": sha256_of_bytes(canonical_tokenizer_json(self.tokenizer).encode()),
        }

    def table(self, texts: Sequence[str]) -> pa.Table:
        """The new columns of some texts as an Arrow table, in their order.

        Raises:
            InvalidInputError: If a text is not a string; the message names its row.
        """
        encoded = self.encoded(texts)
        parts, text = self.windows(encoded)
        classes = None
        with evaluating(self.model):
            if self.attribute.classes == "predicted":
                classes = self._predicted(parts, text, len(texts))
            rows = self._rows(parts, None if classes is None else classes[text])
        first_word = [part.first_word for part in parts]
        rows = joined(rows, text.tolist(), first_word, [len(found.spans) for found in encoded])
        return self._columns.table(texts, encoded, rows, classes)

    def encoded(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokens and words of the texts, whole or cut.

        Raises:
            InvalidInputError: If a text is not a string; the message names its row.
        """
        return encode(
            self.tokenizer,
            texts,
            self.max_length,
            word_rule=self.word_rule,
            cut=self.window_overlap is None,
        )

    def windows(self, encoded: Sequence[Encoded]) -> tuple[list[Encoded], NDArray[np.int64]]:
        """What the model reads at once, and for each such part the text it is of."""
        if self.window_overlap is None:
            return list(encoded), np.arange(len(encoded))
        found = [windows(text, self.max_length, self.window_overlap) for text in encoded]
        numbers = np.repeat(np.arange(len(found)), [len(parts) for parts in found])
        return [part for parts in found for part in parts], numbers

    def _checked_overlap(self, overlap: int | None) -> int | None:
        room = self.max_length - self.tokenizer.num_special_tokens_to_add()
        whole = isinstance(overlap, int) and not isinstance(overlap, bool)
        if overlap is not None and not (whole and 0 <= overlap < room):
            raise InvalidInputError(
                f"window_overlap is {overlap!r}; the model reads {room} tokens beside the special "
                f"ones, so give a whole number from 0 to {room - 1}."
            )
        return overlap

    def _rows(self, parts: Sequence[Encoded], classes: NDArray[np.int64] | None) -> WordRows:
        """Results of texts or windows; `classes`: the class to attribute in each, if one."""
        rows: list[WordRows] = []
        order: list[int] = []
        for indices in length_batches([len(part.ids) for part in parts], self.batch_tokens):
            chosen = [parts[index] for index in indices]
            batch = self._batch(chosen, None if classes is None else classes[indices])
            rows.append(merged(self.attribute(self.model, batch), batch, chosen))
            order += indices
        return in_order(rows, order)

    def _predicted(
        self, parts: Sequence[Encoded], text: NDArray[np.int64], texts: int
    ) -> NDArray[np.int64]:
        """The class of the highest logit of each text."""
        logits = np.zeros((texts, len(self.labels)))
        for indices in length_batches([len(part.ids) for part in parts], self.batch_tokens):
            batch = self._batch([parts[index] for index in indices])
            found = self.model(**batch.inputs).logits.double().cpu().numpy()
            np.add.at(logits, text[indices], found)
        return logits.argmax(1)

    def _batch(
        self, texts: Sequence[Encoded], classes: NDArray[np.int64] | None = None
    ) -> TokenBatch:
        inputs = model_inputs(self.model, texts, self.replacements.pad)
        device = self.model.device
        return TokenBatch(
            inputs,
            owners(texts, inputs["input_ids"].shape[1]).to(device),
            self.replacements,
            self.batch_tokens,
            None if classes is None else torch.from_numpy(classes).to(device),
        )


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
    word_rule: WordRule = "pre_tokens",
    window_overlap: int | None = None,
    num_proc: int | None = None,
) -> Dataset:
    """`dataset` with attention and attribution columns (see `AttributionExtractor`).

    See `extract_with`, which does the same with an extractor at hand.

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
        word_rule: As for `AttributionExtractor`.
        window_overlap: As for `AttributionExtractor`.
        num_proc: Processes that share the texts, each with one thread; the rows are the same.

    Returns:
        The dataset with the new columns, rows in the same order.

    Raises:
        InvalidInputError: If the text column is missing or holds something else than strings.
        IncompatibleError: If the method does not fit the model, or neither model nor tokenizer has
            a padding token.
    """
    extractor = AttributionExtractor(
        model,
        tokenizer,
        method,
        text_column=text_column,
        context=context,
        batch_tokens=batch_tokens,
        options=options,
        classes=classes,
        word_rule=word_rule,
        window_overlap=window_overlap,
    )
    return extract_with(extractor, dataset, num_proc=num_proc)


def extract_with(
    extractor: AttributionExtractor, dataset: Dataset, *, num_proc: int | None = None
) -> Dataset:
    """`dataset` with the columns of `extractor`, rows in the same order.

    The fast path: texts are sorted by length in chunks and columns are written as Arrow tables. A
    dataset that lives on disk is cached, piece by piece, by the contents of its texts, weights and
    tokenizer: a second call returns at once, and one that was cut off goes on. Warns if texts were
    cut because they are longer than the model reads.

    Args:
        extractor: What is computed.
        dataset: Texts; its other columns are kept.
        num_proc: Processes that share the texts, each with one thread; the rows are the same.

    Raises:
        InvalidInputError: If the text column is missing or holds something else than strings, or
            `num_proc` is less than 1.
        CorruptArtifactError: If the columns are in the cache with rows missing.
        ClusterError: If one of the processes was killed.
    """
    text_column = extractor.text_column
    if text_column not in dataset.column_names:
        raise InvalidInputError(
            f"There is no column {text_column!r} among {dataset.column_names}. Name the text "
            "column."
        )
    added = extractor.features
    kept = dataset.remove_columns([name for name in added if name in dataset.column_names])
    step = Step(
        _Appending(extractor),
        features=Features({**kept.features, **added}),
        fingerprint=Hasher.hash(
            (
                kept._fingerprint,
                extractor.provenance,
                *(text_column, extractor.context, extractor.max_length, extractor.word_rule),
            )
        ),
        title=f"Extracting ({extractor.method})",
    )
    extracted = mapped(kept, step, num_proc)
    warn_of_cut_texts(_cut_texts(extracted), len(extracted), extractor.max_length)
    return extracted.with_format(None)


@dataclass(frozen=True)
class _Appending:
    """From a table to one with the columns of an extractor."""

    extractor: AttributionExtractor

    def __call__(self, table: pa.Table) -> pa.Table:
        new = self.extractor.table(table[self.extractor.text_column].to_pylist())
        for name in new.column_names:
            table = table.append_column(name, new[name])
        return table


def cut_texts(table: pa.Table) -> int:
    """How many texts of an extracted table were cut."""
    return int(pc.sum(pc.greater(table["truncated"], 0)).as_py() or 0)


def _cut_texts(extracted: Dataset) -> int:
    """`extracted`: in Arrow format."""
    return sum(map(cut_texts, extracted.select_columns("truncated").iter(batch_size=100_000)))


def warn_of_cut_texts(cut: int, texts: int, max_length: int) -> None:
    """Warn if any of so many texts were cut because they are longer than the model reads."""
    if cut:
        warnings.warn(
            f"{cut} of {texts} texts ({cut / texts:.1%}) are longer than "
            f"{max_length} tokens and were cut; what lies behind was not read. The column "
            "'truncated' says how many characters of each text. Give window_overlap to read them "
            "whole.",
            stacklevel=4,
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
