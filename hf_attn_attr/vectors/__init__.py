"""Pretrained word vectors for a vocabulary: from files, from token tables, or from an encoder."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InvalidInputError
from .table_files import fetch_table, find_table, read_table
from .text_files import VECTOR_SUFFIXES, read_vector_file, vector_suffix
from .word_vectors import WordVectors, source_name

__all__ = ["WordVectors", "encoder_words", "is_encoder", "load_vectors", "source_name"]

_SUFFIXES = (*VECTOR_SUFFIXES, ".safetensors")


def load_vectors(source: str | Path, words: Sequence[str], *, progress: bool = True) -> WordVectors:
    """Vectors of `words` from whatever `source` is.

    Args:
        source: A file of word vectors (.txt, .vec, word2vec .bin, each also .gz), a table
            (.safetensors with tokenizer.json, vocab.txt or words.txt beside it), a model2vec model
            or an encoder; the last two as a folder or a Hub name.
        words: The vocabulary. From a file of word vectors, other cases of a word are kept as well:
            see `WordVectors.table`.
        progress: Show progress bars on standard error.

    Returns:
        Vectors of the words that the source knows, as it holds them; see `WordVectors.reduced`.

    Raises:
        InvalidInputError: If the source is none of these, cannot be read or knows none of the
            words; NonFiniteError, a kind of it, if it holds NaN or infinity.
        IncompatibleError: If a table and its words or tokenizer do not belong together.
        CorruptArtifactError: If the config.json of a folder is damaged.
    """
    file = _file(source)
    if file is None:
        from .encoder import distill

        return distill(source, words, progress=progress)
    if file.suffix == ".safetensors":
        return read_table(file, words, source_name(source))
    return read_vector_file(file, words)


def is_encoder(source: str | Path) -> bool:
    """Whether `load_vectors` would distill an encoder; it need not exist.

    Raises:
        InvalidInputError: If the source is a file of another kind.
        CorruptArtifactError: If the config.json of a folder is damaged.
    """
    return _file(source) is None


def _file(source: str | Path) -> Path | None:
    """The file that holds the vectors; None where an encoder is to make them."""
    path = Path(source)
    if path.is_dir():
        return find_table(path)
    if vector_suffix(path) in _SUFFIXES:
        return path
    if path.is_file():
        raise InvalidInputError(
            f"{path} is not a known kind of vector file. Give one of {', '.join(_SUFFIXES)}, a "
            "model folder or a Hub name."
        )
    return fetch_table(str(source))


def encoder_words(name_or_path: str | Path) -> list[str]:
    """The whole words in the vocabulary of an encoder's tokenizer, to widen another vocabulary.

    See `hf_attn_attr.vectors.encoder.encoder_words`.
    """
    from .encoder import encoder_words

    return encoder_words(name_or_path)
