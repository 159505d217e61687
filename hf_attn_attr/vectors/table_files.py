"""Word vectors from a safetensors table of tokens: model2vec models, and tables with word lists."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from huggingface_hub import hf_hub_download, snapshot_download
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from ..errors import IncompatibleError, InvalidInputError
from ..files import read_json
from .word_vectors import WordVectors, spellings

_WEIGHTS, _CONFIG, _TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
_WORD_LISTS = ("vocab.txt", "words.txt")
_TABLE_NAMES = ("embeddings", "embedding.weight", "weight")
_MODEL2VEC = "model2vec"


def find_table(folder: Path) -> Path | None:
    """The table in the folder of a model2vec model; None if the folder holds something else.

    Older models have a config.json without a model type, and those that sentence-transformers
    wrote have none, but their table may be in a folder below. An encoder always has a model type.
    """
    for path in (folder / _WEIGHTS, folder / "0_StaticEmbedding" / _WEIGHTS):
        config = path.parent / _CONFIG
        kind = read_json(config).get("model_type", _MODEL2VEC) if config.is_file() else _MODEL2VEC
        if path.is_file() and kind == _MODEL2VEC:
            return path
    return None


def fetch_table(name: str) -> Path | None:
    """The table of a model2vec model on the Hub, fetched; None if `name` names something else."""
    try:
        config = Path(hf_hub_download(name, _CONFIG))
    except (OSError, ValueError):  # the caller tries an encoder next, and reports its failure
        return None
    if read_json(config).get("model_type") != _MODEL2VEC:
        return None
    return Path(snapshot_download(name, allow_patterns=[_CONFIG, _TOKENIZER, _WEIGHTS])) / _WEIGHTS


def read_table(path: Path, words: Sequence[str], name: str) -> WordVectors:
    """The vectors of `words` in a table.

    With a tokenizer.json beside the table, the vector of a word is the mean of the rows of its
    tokens, without special tokens; unknown tokens are left out. With a vocab.txt or words.txt, the
    n-th row is that of the n-th line, and a row is also kept if it is a wanted word in lower or
    title case.

    Args:
        path: A safetensors file with one matrix, or one named as model2vec names it; a vector
            "mapping" of tokens to rows and a vector "weights" of tokens are applied.
        words: Words to keep.
        name: What to call the table.

    Raises:
        InvalidInputError: If the file cannot be read, which of its matrices is meant is not clear,
            there is nothing that names its rows, or it has none of the words.
        IncompatibleError: If the tokenizer or the word list has not as many rows as the table.

    Source: Tulkens and van Dongen 2024, "Model2Vec: Fast State-of-the-Art Static Embeddings".
    """
    rows = _token_rows(path)
    if (path.parent / _TOKENIZER).is_file():
        found = _by_tokenizer(rows, path.parent / _TOKENIZER, words)
    else:
        found = _by_list(rows, _word_list(path), words)
    if not found:
        raise InvalidInputError(
            f"{name} has none of the {len(words)} wanted words. Give a table in the language of "
            "the texts."
        )
    return WordVectors(tuple(found), np.stack(list(found.values())), f"read from {name}")


def _token_rows(path: Path) -> NDArray[np.float32]:
    """A row for each token, (V, D)."""
    try:
        with safe_open(path, "numpy") as file:
            ranks = {key: len(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            rows = file.get_tensor(_table_key(ranks, path)).astype(np.float32)
            mapping = file.get_tensor("mapping") if ranks.get("mapping") == 1 else None
            weights = file.get_tensor("weights") if ranks.get("weights") == 1 else None
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: no such type in numpy
        raise InvalidInputError(
            f"{path} cannot be read ({error}). Give a whole safetensors file, of a number type "
            "that numpy has, such as float32 or float16."
        ) from error
    if mapping is not None:
        if mapping.size and not 0 <= mapping.min() <= mapping.max() < len(rows):
            raise IncompatibleError(
                f"{path}: the mapping refers to rows {mapping.min()} to {mapping.max()}, the table "
                f"has {len(rows)}. Fetch it again."
            )
        rows = rows[mapping]
    if weights is not None:
        if len(weights) != len(rows):
            raise IncompatibleError(
                f"{path}: {len(weights)} weights for {len(rows)} tokens. Fetch it again."
            )
        rows = rows * weights.astype(np.float32)[:, None]
    return rows


def _table_key(ranks: dict[str, int], path: Path) -> str:
    matrices = [key for key, rank in ranks.items() if rank == 2]
    named = [key for key in matrices if key in _TABLE_NAMES]
    for keys in (matrices, named):
        if len(keys) == 1:
            return keys[0]
    raise InvalidInputError(
        f"{path} has {len(matrices)} matrices ({', '.join(matrices[:5])}), so which one holds the "
        f"vectors is not clear. Give a file with one, or name one of them {_TABLE_NAMES[0]!r}. "
        "For an encoder, give its folder."
    )


def _by_tokenizer(
    rows: NDArray[np.float32], path: Path, words: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers has no narrower kind
        raise InvalidInputError(f"{path} cannot be read ({error}). Fetch it again.") from error
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= len(rows):
        raise IncompatibleError(
            f"{path} has tokens up to number {largest}, the table has {len(rows)} rows: it belongs "
            "to another table. Give the two that were saved together."
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = json.loads(tokenizer.to_str())["model"]
    unknown = model.get("unk_id", tokenizer.token_to_id(model.get("unk_token") or ""))
    words = list(dict.fromkeys(words))
    found = {}
    encodings = tokenizer.encode_batch(words, add_special_tokens=False)
    for word, encoding in zip(words, encodings, strict=True):
        known = [token for token in encoding.ids if token != unknown]
        if known:
            found[word] = rows[known].mean(axis=0)
    return found


def _word_list(path: Path) -> Path:
    for name in _WORD_LISTS:
        if (path.parent / name).is_file():
            return path.parent / name
    raise InvalidInputError(
        f"Nothing beside {path} says which words its rows are. Put {_TOKENIZER} or one of "
        f"{', '.join(_WORD_LISTS)} into its folder."
    )


def _by_list(
    rows: NDArray[np.float32], path: Path, words: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    try:
        # Not splitlines: what else Unicode takes for the end of a line may be a word.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not UTF-8 ({error}). Write it again.") from error
    if len(lines) != len(rows):
        raise IncompatibleError(
            f"{path} has {len(lines)} words, the table has {len(rows)} rows. Give one for each."
        )
    wanted = {form for word in words for form in spellings(word)}
    found: dict[str, NDArray[np.float32]] = {}
    for line, row in zip(lines, rows, strict=True):
        if line in wanted:
            found.setdefault(line, row)
    return found
