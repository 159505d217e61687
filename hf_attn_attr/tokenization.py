"""A word-level tokenizer from a corpus.

Words are slices of the text. Every word seen at least `min_count` times is one token. The others
become [UNK], whose vector is learned from the words that the training texts hold only once; or
they are spelled with the longest known prefix, known endings and characters (WordPiece), and the
attributions of the pieces are summed to that of the word. Spelling loses no letter and yet costs
accuracy: a false stem misleads where [UNK] is neutral (`benchmarks/unknown_words.py`).
"""

import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .errors import InvalidInputError
from .files import canonical_json, read_json, write_bytes

_ASCII = string.ascii_letters + string.digits + string.punctuation
PAD, UNKNOWN = "[PAD]", "[UNK]"

_LETTER = r"[\p{L}\p{M}\p{N}_&&[^\p{Han}\p{Hiragana}\p{Katakana}]]"
WORD_PATTERN = (
    rf"['’](?:s|re|ve|m|ll|d)(?!{_LETTER})"  # English clitics that a corpus may have split off
    rf"|{_LETTER}+(?:['’\-]{_LETTER}+)*"  # runs of letters, joined by apostrophes and hyphens
    r"|[\p{Han}\p{Hiragana}\p{Katakana}]"  # scripts without spaces: one character each
    r"|([!?.`'\-*=~])\1+"  # "!!!" and "..." are one word
    r"|(?!\s)\X"  # anything else that shows: one grapheme, so emoji sequences stay whole
)
# Beyond this length a word is one [UNK]: spelling it would cost quadratic time.
LONGEST_SPELLED_WORD = 100
_NO_LIMIT = 10_000_000
# What transformers remembers of loading and calling a tokenizer, and would save with it.
_IN_PASSING = ("is_local", "local_files_only", "max_length", "pad_to_multiple_of", "stride")


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 30_000,
    lowercase: bool = True,
    normalization: Literal["NFC", "NFKC"] | None = "NFC",
    min_count: int = 2,
    unknown: Literal["unk", "pieces"] = "unk",
    endings: int = 4_000,
    max_length: int = 2048,
    word_pattern: str = WORD_PATTERN,
    more_texts: Iterable[str] = (),
    more_words: Iterable[str] = (),
) -> PreTrainedTokenizerFast:
    """Train a word-level tokenizer.

    Args:
        texts: The training texts.
        vocab_size: Whole words kept, the most frequent first.
        lowercase: Look words up in lower case; offsets still refer to the original text.
        normalization: Unicode normal form in which words are looked up.
        min_count: A word seen less often is not kept whole.
        unknown: "unk" makes other words [UNK]; "pieces" spells them by known words, endings and
            characters.
        endings: Word endings kept for spelling, the most widely shared first.
        max_length: Tokens of a text beyond this many are cut off.
        word_pattern: Oniguruma regular expression of a word; what it does not match is skipped.
        more_texts: Texts whose words are kept too, beyond `vocab_size`, whatever their count: for
            words that pretrained vectors know and the training texts do not teach.
        more_words: Words to keep likewise. What is no single word by `word_pattern` is left out.

    Returns:
        A fast tokenizer without special tokens around a text. A user-typed "[PAD]" is text.

    Raises:
        InvalidInputError: If the texts hold no word.
    """
    texts = list(texts)
    if not any(map(str.strip, texts)):
        raise InvalidInputError(f"{len(texts)} texts hold no word. Give texts with words in them.")
    normalizer = _normalizer(lowercase, normalization)
    tokens = _frequent(texts, vocab_size, min_count, normalizer, word_pattern)
    if unknown == "pieces":
        tokens += _pieces(tokens, endings)
    more_texts = list(more_texts)
    if any(map(str.strip, more_texts)):
        tokens += _frequent(more_texts, _NO_LIMIT, 1, normalizer, word_pattern)
    tokens += _single(more_words, normalizer, word_pattern)
    tokens = [PAD, UNKNOWN, *tokens]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    model = (
        models.WordPiece(
            vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_SPELLED_WORD
        )
        if unknown == "pieces"
        else models.WordLevel(vocabulary, unk_token=UNKNOWN)
    )
    backend = _tokenizer(model, normalizer, word_pattern)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNKNOWN,
        split_special_tokens=True,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def canonical_tokenizer_json(tokenizer: PreTrainedTokenizerFast) -> str:
    """The tokenizer's definition without the padding and truncation of its last call."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend.to_str()


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: str) -> None:
    """Save a tokenizer whose files do not depend on how it was loaded and called before."""
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.save_pretrained(folder)
    path = Path(folder) / "tokenizer_config.json"
    config = read_json(path)
    lasting = {name: value for name, value in config.items() if name not in _IN_PASSING}
    write_bytes(path, canonical_json(lasting))


def _normalizer(lowercase: bool, normalization: str | None) -> normalizers.Normalizer:
    steps = []
    if normalization is not None:
        steps.append({"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[normalization]())
    if lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps)


def _tokenizer(
    model: models.Model, normalizer: normalizers.Normalizer, word_pattern: str
) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(word_pattern), behavior="removed", invert=True
    )
    return tokenizer


def _frequent(
    texts: list[str],
    size: int,
    min_count: int,
    normalizer: normalizers.Normalizer,
    word_pattern: str,
) -> list[str]:
    """The `size` most frequent words, those of at least `min_count` occurrences."""
    tokenizer = _tokenizer(models.WordLevel({}, unk_token=UNKNOWN), normalizer, word_pattern)
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _single(
    words: Iterable[str], normalizer: normalizers.Normalizer, word_pattern: str
) -> list[str]:
    """Those that are one word by the pattern, as they are looked up."""
    tokenizer = _tokenizer(models.WordLevel({}, unk_token=UNKNOWN), normalizer, word_pattern)
    looked_up = [normalizer.normalize_str(word) for word in words]
    cut = (tokenizer.pre_tokenizer.pre_tokenize_str(word) for word in looked_up)
    return [
        word
        for word, parts in zip(looked_up, cut, strict=True)
        if [part for part, _ in parts] == [word]
    ]


def _pieces(words: Iterable[str], size: int) -> list[str]:
    """Single characters, and the `size` endings that most of the known words share.

    An unknown word begins with the longest known one, so what it needs is mostly endings. Learned
    merges would do as well, but a WordPiece trainer breaks ties differently in every run.
    """
    words = list(words)
    endings = Counter(word[-length:] for word in words for length in range(2, min(len(word), 9)))
    common = sorted(endings, key=lambda ending: (-endings[ending], ending))[:size]
    characters = sorted(set(_ASCII).union(*words))
    return characters + [f"##{piece}" for piece in characters + common]


def words_of(text: str) -> list[str]:
    """The words of a text as `train_tokenizer` cuts them by default, NFC and lower case."""
    normal = _WORDS.normalizer.normalize_str(text)
    return [word for word, _ in _WORDS.pre_tokenizer.pre_tokenize_str(normal)]


def spans_of(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each word of a text as `train_tokenizer` cuts them by default."""
    return [span for _, span in _WORDS.pre_tokenizer.pre_tokenize_str(text)]


_WORDS = _tokenizer(models.WordLevel({}, unk_token=UNKNOWN), _normalizer(True, "NFC"), WORD_PATTERN)
