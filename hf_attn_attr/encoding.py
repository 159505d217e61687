"""Texts as token ids, with their words and how much of them was not read."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .batching import padded
from .errors import IncompatibleError, InvalidInputError
from .word_rules import WordRule, find_words

CHUNK = 2048  # texts tokenized at a time
_READ = 64  # characters per token that are read of a longer text
_LONGEST = 1_000_000  # tokens, of models without a limit: their tokenizers say 1e30


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tokenized text.

    Attributes:
        ids: Token ids.
        spans: Words as (start, end) in the text.
        owner: The word of each token, or -1.
        truncated: Characters of the text behind (or before) its tokens that were cut off.
        type_ids: Segment of each token, where the tokenizer gives other ones than 0.
        edges: How many tokens the tokenizer puts before and behind every text.
        first_word: Of a window: which word of the whole text its first one is.
    """

    ids: list[int]
    spans: list[tuple[int, int]]
    owner: list[int]
    truncated: int = 0
    type_ids: list[int] | None = None
    edges: tuple[int, int] = (0, 0)
    first_word: int = 0


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
    word_rule: WordRule = "pre_tokens",
    cut: bool = True,
) -> list[Encoded]:
    """Tokenize texts and find their words.

    Args:
        tokenizer: A fast tokenizer.
        texts: The texts.
        max_length: Tokens of a text, special ones included.
        first_row: The first text's number, for messages.
        word_rule: What counts as a word.
        cut: Whether tokens beyond `max_length` are cut off.

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
    if cut:
        encodings = _cut(tokenizer, texts, first_row, max_length)
    else:
        encodings = _tokenized(tokenizer, texts, first_row, truncation=False)
    segments = "token_type_ids" in tokenizer.model_input_names
    return [
        Encoded(
            found.ids,
            *find_words(word_rule, text, found.word_ids, found.offsets),
            _not_read(text, found.offsets, tokenizer) if found.overflowing else 0,
            found.type_ids if segments and any(found.type_ids) else None,
            _edges(found.special_tokens_mask, found.offsets),
        )
        for text, found in zip(texts, encodings, strict=True)
    ]


def _cut(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], first_row: int, max_length: int
) -> list[Encoding]:
    """The tokens of each text up to `max_length`.

    A tokenizer reads a text to its end before it cuts it: 10 MB take it 5 s and over 1 GB. So only
    the beginning of so long a text is read, where that suffices.
    """
    limit = {"truncation": True, "max_length": max_length}
    if tokenizer.truncation_side == "left":
        return _tokenized(tokenizer, texts, first_row, **limit)
    beginnings = [text[: _READ * max_length] for text in texts]
    encodings = _tokenized(tokenizer, beginnings, first_row, **limit)
    for place, (text, beginning) in enumerate(zip(texts, beginnings, strict=True)):
        if len(beginning) == len(text):
            continue
        if not _suffices(encodings[place], beginning) or not _is_unicode(text):
            (encodings[place],) = _tokenized(tokenizer, [text], first_row + place, **limit)
    return encodings


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeError:  # a lone surrogate, which the tokenizer refuses
        return False
    return True


def _suffices(found: Encoding, beginning: str) -> bool:
    """Whether the tokens kept of the beginning of a text do not depend on what follows it.

    Tokens depend on their word, and words on what stands close by; some tokenizers cut long numbers
    from the right. So between the last token kept and the end must be another word, a run of
    letters or digits that ends and one that begins, and as many characters as up to there.
    Normalizers that look further ahead are out of reach.
    """
    kept = [word for word in found.word_ids if word is not None]
    behind = [word for part in found.overflowing for word in part.word_ids if word is not None]
    last = max((end for _, end in found.offsets), default=0)
    if not kept or not behind or max(kept) >= max(behind) or 2 * last > len(beginning):
        return False
    return re.search(r"\w\W+\w", beginning[last:]) is not None


def _tokenized(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], first_row: int, **limit: Any
) -> list[Encoding]:
    try:
        # verbose=False: transformers would warn of the long texts that are asked for here.
        return tokenizer(list(texts), padding=False, verbose=False, **limit).encodings
    except (UnicodeError, TypeError) as error:  # tokenizers has either for a lone surrogate
        reason: BaseException = error
    except BaseException as error:
        # A panic of the tokenizer's own code is no Exception, and its class has no public name.
        if type(error).__name__ != "PanicException":
            raise
        reason = error
    if len(texts) > 1:
        for row, text in enumerate(texts, start=first_row):
            _tokenized(tokenizer, [text], row, **limit)
    raise InvalidInputError(
        f"The text in row {first_row} cannot be tokenized ({reason}). Drop the row or mend it."
    ) from None


def _edges(special: Sequence[int], offsets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    # A special token that stands in the text itself has characters there.
    own = [not mark or end > start for mark, (start, end) in zip(special, offsets, strict=True)]
    if True not in own:
        return len(own), 0
    return own.index(True), own[::-1].index(True)


def _not_read(
    text: str, offsets: Sequence[tuple[int, int]], tokenizer: PreTrainedTokenizerFast
) -> int:
    read = [(start, end) for start, end in offsets if end > start]
    if not read:
        return len(text)
    if tokenizer.truncation_side == "left":
        return min(start for start, _ in read)
    return len(text) - max(end for _, end in read)


def longest_text(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Tokens of a text beyond this many are cut off, special tokens included."""
    limits = [tokenizer.model_max_length, _LONGEST]
    # Elsewhere max_length, in old configs, is a setting of text generation.
    names = ["max_position_embeddings"]
    if model.config.model_type == "self_attentive":
        names.append("max_length")
    for name in names:
        limit = getattr(model.config, name, None)
        if isinstance(limit, int) and limit > 0:
            limits.append(limit)
    for name, module in model.named_modules():
        # RoBERTa counts positions from behind its padding index, so that many rows are no position.
        if (
            name.endswith("position_embeddings")
            and isinstance(module, nn.Embedding)
            and module.padding_idx is not None
        ):
            limits.append(module.num_embeddings - module.padding_idx - 1)
    return min(limits)


def padding_id(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """The id that padding gets: the model's own, because some heads find the end of a text by it.

    Raises:
        IncompatibleError: If neither model nor tokenizer has one, or the head reads the last
            position even if it is padding.
    """
    if model.config.model_type == "xlnet" and model.config.summary_type == "last":
        raise IncompatibleError(
            "An 'xlnet' model reads the last position of a batch, which is padding for all but the "
            "longest text, so texts of different lengths cannot share a batch. Choose another "
            "model."
        )
    for candidate in (model.config.pad_token_id, tokenizer.pad_token_id):
        if candidate is not None:
            return int(candidate)
    raise IncompatibleError(
        f"Neither the {model.config.model_type!r} model nor its tokenizer has a padding token, so "
        "texts cannot be batched. Set tokenizer.pad_token = tokenizer.eos_token and "
        "model.config.pad_token_id = tokenizer.pad_token_id."
    )


def owners(texts: Sequence[Encoded], length: int) -> torch.Tensor:
    """The word of each token of a padded batch, -1 for special tokens and padding: int64 (B, T)."""
    return _padded([text.owner for text in texts], length, -1)


def model_inputs(
    model: PreTrainedModel, texts: Sequence[Encoded], pad: int
) -> dict[str, torch.Tensor]:
    """What the model is called with for a batch, on its device: int64 (B, T) each.

    Segments are among it where any is not 0 and the model takes them.

    Raises:
        IncompatibleError: If the model has no embedding for a token.
    """
    inputs = padded([text.ids for text in texts], pad)
    try:
        rows = getattr(model.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:  # some models look tokens up in another way
        rows = None
    largest = int(inputs["input_ids"].max())
    if rows is not None and largest >= rows:
        raise IncompatibleError(
            f"The tokenizer gives token id {largest}, but the model has embeddings for {rows} "
            "tokens only: it belongs to another model, or has had tokens added. Load both from one "
            "place, or call model.resize_token_embeddings(len(tokenizer)) and train."
        )
    if any(text.type_ids is not None for text in texts) and "token_type_ids" in _parameters(model):
        types = [text.type_ids or [0] * len(text.ids) for text in texts]
        inputs["token_type_ids"] = _padded(types, inputs["input_ids"].shape[1], 0)
    return {name: value.to(model.device) for name, value in inputs.items()}


def _parameters(model: PreTrainedModel) -> Sequence[str]:
    """Names of the arguments that the model's forward pass takes."""
    return list(inspect.signature(model.forward).parameters)


def _padded(rows: Sequence[Sequence[int]], length: int, value: int) -> torch.Tensor:
    table = np.full((len(rows), length), value, dtype=np.int64)
    for row, values in enumerate(rows):
        table[row, : len(values)] = values
    return torch.from_numpy(table)
