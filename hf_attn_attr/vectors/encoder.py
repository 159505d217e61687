"""Word vectors distilled from a pretrained encoder: each word read as a text of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import decoders
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from ..batching import length_batches, padded
from ..errors import InvalidInputError
from ..loading import load_plainly, located
from ..patterns import check_patterns
from ..quiet import quiet_loading
from .word_vectors import WordVectors, source_name

# Words are short, so small batches already fill a core, and stay in its cache.
BATCH_TOKENS = 1024
# Tokens of a word beyond this many are cut off: they are noise, and some models have few positions.
_LONGEST_WORD = 64
_T = TypeVar("_T")


def distill(
    name_or_path: str | Path,
    words: Sequence[str],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: bool = True,
) -> WordVectors:
    """The vectors of `words` in an encoder.

    A word is read as a text, with the special tokens that the encoder's tokenizer adds, and its
    vector is the mean of the last hidden states, those of special tokens included. A word none of
    whose tokens the encoder knows has no vector. Of an encoder-decoder the encoder is used.

    Args:
        name_or_path: Name on the Hub, or the folder of an encoder. No code of it is run.
        words: Words; one given twice counts once.
        batch_tokens: Tokens of a padded batch.
        progress: Show progress bars on standard error.

    Raises:
        InvalidInputError: If the encoder cannot be loaded, its file lacks weights, or it knows
            none of the words.

    Source: Bommasani et al. 2020, "Interpreting Pretrained Contextualized Representations via
    Reductions to Static Embeddings", section 3.1 ("decontextualized"); pooling as in Reimers and
    Gurevych 2019, "Sentence-BERT".
    """
    name = str(name_or_path)
    with quiet_loading(bars=progress):
        folder, options = _loaded(name, lambda: located(name))
        tokenizer, encoder = _tokenizer(name, options), _encoder(name, folder, options)
        encoded = _encoded(tokenizer, words)
        if not encoded:
            raise InvalidInputError(
                f"{name_or_path} knows none of the {len(words)} words. Give an encoder for the "
                "language of the texts."
            )
        ids = list(encoded.values())
        vectors = _pooled(encoder, ids, tokenizer.pad_token_id or 0, batch_tokens)
    return WordVectors(tuple(encoded), vectors, f"distilled from {source_name(name_or_path)}")


def encoder_words(name_or_path: str | Path) -> list[str]:
    """The whole words in the vocabulary of an encoder's tokenizer.

    Words are entries that begin a word in texts, of at least two characters, all letters, in lower
    case; each once, in vocabulary order, which is mostly that of frequency. The tokenizer may be of
    the WordPiece, byte-level BPE or SentencePiece kind.

    Raises:
        InvalidInputError: If the tokenizer cannot be loaded.
    """
    vocabulary = _tokenizer(str(name_or_path), {"trust_remote_code": False}).get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    words = dict.fromkeys(word.lower() for word in _whole(tokens))
    return [word for word in words if word.isalpha() and len(word) >= 2]


def _whole(tokens: list[str]) -> Iterator[str]:
    """Tokens that begin a word, as text; which they are is told by the mark most tokens bear."""
    mark = max(("##", "Ġ", "▁"), key=lambda m: sum(t.startswith(m) for t in tokens))
    decoder = decoders.ByteLevel()
    for token in tokens:
        if mark == "##":
            if not token.startswith(mark):
                yield token
        elif token.startswith(mark):
            yield (decoder.decode([token]) if mark == "Ġ" else token).lstrip(" ▁")


def _encoded(tokenizer: Any, words: Sequence[str]) -> dict[str, list[int]]:
    """Token ids, special ones included, of each word of which some token is known."""
    words = list(dict.fromkeys(words))
    ids = tokenizer(words, truncation=True, max_length=_LONGEST_WORD)["input_ids"] if words else []
    special = set(tokenizer.all_special_ids)  # the unknown token is one of them
    return {
        word: tokens
        for word, tokens in zip(words, ids, strict=True)
        if not special.issuperset(tokens)
    }


@torch.inference_mode()
def _pooled(
    encoder: torch.nn.Module, ids: list[list[int]], pad_token_id: int, batch_tokens: int
) -> NDArray[np.float32]:
    """Mean of the last hidden states of each sequence, (N, D)."""
    batches = list(length_batches(list(map(len, ids)), batch_tokens))
    pooled: list[Tensor] = []
    for batch in logging.tqdm(batches, desc="Distilling word vectors"):
        inputs = padded([ids[index] for index in batch], pad_token_id)
        hidden = encoder(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        pooled.append((hidden * mask).sum(dim=1) / mask.sum(dim=1))
    vectors = torch.empty(len(ids), pooled[0].shape[1])
    vectors[[index for batch in batches for index in batch]] = torch.cat(pooled)
    return vectors.numpy()


def _encoder(name: str, folder: Path, options: Mapping[str, Any]) -> torch.nn.Module:
    model, report = _loaded(
        name, lambda: load_plainly(AutoModel, name, folder, options, dtype=torch.float32)
    )
    # What pools or decodes is not used here, so a checkpoint may do without it.
    missing = sorted(
        key for key in report["missing_keys"] if "pooler" not in key and "decoder." not in key
    )
    if missing:
        raise InvalidInputError(
            f"The weights of {name} lack {', '.join(missing[:3])} and so would be random. "
            "Give a trained encoder."
        )
    return model.get_encoder() if model.config.is_encoder_decoder else model


def _tokenizer(name: str, options: Mapping[str, Any]) -> Any:
    tokenizer = _loaded(name, lambda: AutoTokenizer.from_pretrained(name, **options))
    if getattr(tokenizer, "is_fast", False):
        check_patterns(tokenizer, name)
    return tokenizer


def _loaded(name: str, load: Callable[[], _T]) -> _T:
    try:
        return load()
    except Exception as error:  # hub, safetensors, tokenizers and torch each raise their own kinds
        raise InvalidInputError(
            f"No encoder could be loaded from {name} ({type(error).__name__}: {error}). "
            "Give a folder with config.json, a tokenizer and weights in safetensors, or the name "
            "of such a model on the Hub; that needs a network the first time."
        ) from error
