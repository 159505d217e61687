"""Texts, labels and columns that are empty, odd, wrong or huge."""

import json
import time
import unicodedata

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset
from influence.test_accumulator import BAD_BATCHES, saved
from influence.test_folding import dataset_of
from influence.test_storage import same
from influence.texts import LABELS, accumulated, random_rows, take
from test_extraction import make
from tokenizers import Regex, pre_tokenizers

from hf_attn_attr import (
    AttributionExtractor,
    InfluenceMatrix,
    InvalidInputError,
    NonFiniteError,
    extract,
    fold,
    load_labelled,
    train_tokenizer,
)
from hf_attn_attr.encoding import encode
from hf_attn_attr.files import canonical_json, sealed_json
from hf_attn_attr.influence import association
from hf_attn_attr.influence.publishing import influence_card
from hf_attn_attr.influence.words import WordRule
from hf_attn_attr.patterns import check_patterns, nested_repetition
from hf_attn_attr.tokenization import WORD_PATTERN

from .killing import run

WORDS = ["good film", "bad film", "a good day", "a bad day"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(WORDS * 2)


@pytest.fixture(scope="module")
def columns_of(tokenizer):
    model = make(tokenizer)
    return lambda texts: extract(Dataset.from_dict({"text": texts}), model, tokenizer)


def constant(name):
    raise AssertionError(f"{name} in JSON")


def test_43_no_number_in_json(faults, matrix, published, command):
    """NaN and infinity: refused where JSON is written, null where a number is undefined."""
    for value in (float("nan"), float("inf"), -float("inf")):
        for write in (canonical_json, sealed_json):
            with faults.refused(ValueError):
                write({"a": [1, {"b": value}]})
        with faults.refused(InvalidInputError):
            accumulated(random_rows(0)).finalize({"accuracy": value})
    assert np.isnan(matrix.log_odds).any()
    for arguments in (["top", "--label", "joy", "--min-documents", "1"], ["word", matrix.words[0]]):
        done = command(arguments[0], published.parent, *arguments[1:], "--json")
        assert done.status == 0, done.err
        faults.survive(json.loads(done.out, parse_constant=constant) is not None)
    faults.survive(json.loads((published / "manifest.json").read_text(), parse_constant=constant))


def test_44_texts_without_words(faults, columns_of):
    """Empty texts and white space: an empty row, counted, never a uniform one.

    A zero-width character is no white space for Unicode: it is a word of its own, which is shown as
    an escape, so that nobody takes its attention for that of a word nearby.
    """
    empty = ["", " ", "\t\n\r", "\u00a0\u2003\u3000", "\u2028\u2029"]
    rows = columns_of([*empty, "good film"])
    for text, row in zip(empty, rows, strict=False):
        faults.survive(row["words"] == row["attention"] == row["attribution"] == [], repr(text))
    matrix = fold(rows)
    faults.survive(matrix.manifest["empty_texts"] == len(empty))
    faults.survive(matrix.manifest["texts"] == 1)
    faults.survive(same_numbers(matrix, fold(columns_of(["good film"]))))
    invisible = ["\u200b", "\u200d", "\ufeff", "\u2060\u200b"]
    for text, row in zip(invisible, columns_of(invisible), strict=True):
        faults.survive("".join(row["words"]) == text, repr(text))
        faults.survive(abs(sum(row["attention"]) - 1) < 1e-6)


def same_numbers(one, other):
    """Whether two matrices are one, but for the batches that their texts were in."""
    return one.words == other.words and np.abs(one.joint - other.joint).max() < 2**-22


def test_45_texts_of_unknown_words(faults, columns_of, tokenizer):
    """Unknown words: each under its own name, none under another's.

    Words are slices of the text, so an unknown one is not called [UNK]; what the model knows of it
    is that it does not know it, and all unknown words of a text weigh alike where they stand alone.
    """
    texts = ["zebra", "quagga okapi", "Zebra"]
    matrix = fold(columns_of(texts))
    faults.survive(matrix.words == ("okapi", "quagga", "zebra"))
    faults.survive(matrix.count.tolist() == [1, 1, 2])
    unknown = tokenizer.unk_token_id
    for text in texts:
        faults.survive(set(tokenizer(text)["input_ids"]) == {unknown}, text)
    one, other = columns_of(["zebra", "quagga"])
    faults.survive(one["attribution"] == other["attribution"])


def test_46_typed_special_tokens(faults, columns_of, tokenizer):
    """`[PAD] [UNK] [CLS]` in a text: ordinary words."""
    for typed in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>", "<pad>"):
        for text in (typed, f"good {typed} film", typed * 3):
            (row,) = columns_of([text])
            ids = tokenizer(text)["input_ids"]
            faults.survive(tokenizer.pad_token_id not in ids, text)
            faults.survive("".join(row["words"]) == text.replace(" ", ""), row["words"])
            faults.survive(abs(sum(row["attention"]) - 1) < 1e-6)


def test_47_texts_that_are_none(faults, tokenizer):
    """None, numbers, bytes, lists, a lone surrogate: refused, the row named."""
    extractor = AttributionExtractor(make(tokenizer), tokenizer)
    bad = [None, 7, 1.5, float("nan"), b"bytes", ["good"], {"a": 1}, "\ud800", "good \udfff film"]
    for value in bad:
        for row in (0, 1, 3):
            texts = ["good film"] * 4
            texts[row] = value
            with faults.refused(InvalidInputError, match=f"row {row} "):
                extractor({"text": texts})
            with faults.refused(InvalidInputError, match=f"row {row + 10} "):
                encode(tokenizer, texts, 100, first_row=10)


def test_48_spellings_of_one_word(faults, columns_of):
    """NFC and NFD are one word; compatibility forms, zero-width characters and look-alikes are not.

    NFKC, on demand, joins compatibility forms too.
    """
    one = {"caf\u00e9": "cafe\u0301", "\u00c5ngstr\u00f6m": "A\u030angstro\u0308m"}
    for composed, decomposed in one.items():
        matrix = fold(columns_of([composed, decomposed, composed.upper()]))
        faults.survive(matrix.words == (composed.lower(),), matrix.words)
        assert matrix.count.tolist() == [3]
    golden = [  # two spellings; whether NFC, NFKC make them one
        ("\ufb01lm", "film", False, True),
        ("x\u00b2", "x2", False, True),
        ("\uff48\uff49", "hi", False, True),
        ("go\u200bod", "good", False, False),
        ("go\u00adod", "good", False, False),
        ("g\u043eod", "good", False, False),  # Cyrillic o
        ("stra\u00dfe", "strasse", False, False),
        ("\u1e96", "h\u0331", True, True),
        ("\u0130", "i\u0307", True, True),
        ("\u212a", "k", True, True),
    ]
    for left, right, nfc, nfkc in golden:
        for form, joined in (("NFC", nfc), ("NFKC", nfkc)):
            rule = WordRule(True, form)
            faults.survive((rule.key(left) == rule.key(right)) == joined, (left, right, form))
            faults.survive(rule.key(rule.key(left)) == rule.key(left))


def test_49_offsets(faults, columns_of):
    """Letters that change length, emoji families, marks, Arabic: offsets slice the words."""
    texts = [
        "\u0130stanbul g\u00dczel",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 ok \U0001f44d\U0001f3fd",
        "cafe\u0301 n\u0303o a\u0323\u0302b",
        "\u0634\u0643\u0631\u0627 \u062c\u0632\u064a\u0644\u0627\u064b",
        "\u202eabc\u202c def",
        "\u092e\u0948\u0902 \u0939\u0942\u0901",
        "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
        "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
        "\ufb03x \u01c4 \u1e9e",
        "a\u0000b",
        "1\ufe0f\u20e3 \u2764\ufe0f",
    ]
    for text, row in zip(texts, columns_of(texts), strict=True):
        spans = list(zip(row["word_start"], row["word_end"], strict=True))
        faults.survive([text[a:b] for a, b in spans] == row["words"], text)
        flat = [position for span in spans for position in range(*span)]
        faults.survive(flat == sorted(set(flat)), text)
        left = "".join(text[i] for i in range(len(text)) if i not in set(flat))
        faults.survive(not left.strip(), text)
        for a, b in spans:  # a mark is never parted from its letter
            faults.survive(b == len(text) or not unicodedata.combining(text[b]), (text, a, b))


def test_50_huge_texts(faults, columns_of, tokenizer, thorough):
    """A text of 10 MB, a character 1,000,000 times: cut as configured, linear, within 1 GB.

    In a run of all tests at 1/50 of the size, and without a clock.
    """
    scale = 1 if thorough else 50
    n = 1_000_000 // scale
    huge = {
        "words": "good film " * n,
        "a letter": "x" * n,
        "a mark": "a" + "\u0301" * n,
        "an override": "\u202e" * n,
        "an exclamation": "!" * n,
        "a hyphen": "a-" * n,
        "a sign": "\u5b57" * n,
    }
    limit = tokenizer.model_max_length

    def memory():
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024

    def read(text):
        (row,) = columns_of([text])
        assert len(row["words"]) <= limit
        assert row["truncated"] == 0 or len(row["words"]) == limit
        assert abs(sum(row["attention"]) - 1) < 1e-5

    for name, text in huge.items():

        def bounded(text=text):
            before = memory()
            read(text)
            assert memory() - before < 1e9

        run(bounded)
        faults.survive(True, name)
        if thorough:
            seconds = []
            for part in (text[: len(text) // 2], text):
                start = time.perf_counter()
                encode(tokenizer, [part], limit)
                seconds.append(time.perf_counter() - start)
            faults.survive(seconds[1] < 3.5 * seconds[0] + 0.1, (name, seconds))


HARMFUL = [
    *(r"(a+)+b", r"(a*)*", r"(?:\w+\s?)*", r"(x+x+)+y", r"([a-z]+)*$", r"((a+))+", r"(?:a+|b)*c"),
    *(r"(a+){2,}", r"(?i:(\p{L}+)+)x", r"(\w*\d*)+!", r"(?<n>a+)+", r"(?:(?:ab)+)*"),
    *(r"(\b\w+)+-", r"([^\s]+)+\d", r"(?:[a-z&&[^q]]+)+1"),
]
HARMLESS = [
    *(WORD_PATTERN, r"\w+(?:-\w+)*", r"(a|b)+", r"(?:ab?)+", r"\s+", r"(?:[.,]\d+)*"),
    *(r"(\d{1,3})+(?=x)", r"[(+)*]+", r"\(\w+\)+", r"(?:a{2})+"),
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+",
]


def test_51_patterns_that_take_for_ever(faults):
    """A tokenizer's pattern with nested repetition: refused when loaded; a panic never escapes.

    A list of allowed patterns would shut out tokenizers of users' own; refused is what repeats a
    repetition with nothing fixed between. What gets past that is ended by the limit of the engine.
    """
    for pattern in HARMFUL:
        tokenizer = train_tokenizer(WORDS * 2)
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(pattern), "isolated")]
        )
        with faults.refused(InvalidInputError, match="repeats what repeats"):
            check_patterns(tokenizer, "somebody/model")
    for pattern in HARMLESS:
        faults.survive(not nested_repetition(pattern), pattern)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"(a+)+b"), "removed", invert=True)
    with faults.refused(InvalidInputError, match="row 11 cannot be tokenized"):
        encode(tokenizer, ["a", "a" * 40, "b"], 100, first_row=10)


def test_52_very_many_words_and_classes(faults, tmp_path, thorough):
    """200,000 words of 28 classes (10 million need 40 GB): int64, peak within 2 matrices."""
    words, labels = (200_000 if thorough else 20_000), tuple(f"c{i}" for i in range(28))
    attribution = np.random.default_rng(0).normal(size=(words, 28)).astype(np.float32)
    rows = {
        "words": [[f"w{i:07}"] for i in range(words)],
        "attention": [[1.0]] * words,
        "attribution": list(attribution),
        "probabilities": [[1 / 28] * 28] * words,
    }
    accumulator = accumulated(rows, labels=labels)
    cells = 8 * words * 28 * 17  # bytes of the numbers of a matrix

    def status(name):
        with open("/proc/self/status") as lines:
            return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

    def peak(action):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS")
        action()
        assert status("VmHWM") - before < 2 * cells + 5e7, (status("VmHWM") - before) / cells

    run(lambda: peak(accumulator.finalize))
    faults.survive(True, "finalize")
    matrix = accumulator.finalize()
    run(lambda: peak(lambda: matrix.save_pretrained(tmp_path)))
    faults.survive(True, "save")
    run(lambda: peak(lambda: InfluenceMatrix.from_pretrained(tmp_path)))
    faults.survive(True, "load")
    faults.survive(matrix.count.dtype == matrix.document_count.dtype == np.int64)
    big = accumulated({name: column[:1] for name, column in rows.items()}, labels=labels)
    big._sums.counts[0] = 2**40  # more than float32 or int32 tell apart
    big.update({name: column[:1] for name, column in rows.items()})
    faults.survive(big.finalize().count.tolist() == [2**40 + 1])


def labelled(labels, names=("joy", "fear", "anger")):
    rows = random_rows(2, len(labels))
    dataset = dataset_of(rows).add_column("label", labels)
    return dataset.cast_column("label", ClassLabel(names=list(names)))


def test_53_labels_that_do_not_fit(faults):
    """Labels: one class, none (-1), out of range, a class without texts.

    One class alone is refused: a classifier of one class has nothing to tell apart.
    """
    table = pd.DataFrame({"text": WORDS, "label": ["joy"] * 4})
    with faults.refused(InvalidInputError, match="one class only"):
        load_labelled(table)
    table["label"] = ["joy", "fear", None, "joy"]
    read = load_labelled(table)
    faults.survive(len(read.dataset) == 3 and sum(read.dropped.values()) == 1)
    labels = [0, 1, -1, 0, 1, -1, 0, 1] * 5
    told = association(labelled(labels))
    wanted = association(labelled(labels).filter(lambda row: row["label"] != -1))
    faults.survive(told.words == wanted.words)
    faults.survive(np.array_equal(told.log_odds, wanted.log_odds, equal_nan=True))
    with faults.refused(InvalidInputError, match=r"Row 1 has the gold label 7"):
        dataset = dataset_of(random_rows(2, 3))
        dataset = dataset.add_column("label", [0, 7, 1])
        dataset._info.features["label"] = ClassLabel(names=list(LABELS))
        association(dataset)
    faults.survive(np.isnan(told.log_odds[:, 2]).all() or np.isfinite(told.log_odds[:, 2]).all())
    rows = random_rows(3, 10)
    rows["probabilities"] = [[0.5, 0.5, 0.0]] * 10
    matrix = accumulated(rows).finalize()
    faults.survive((matrix.joint[:, 2] == 0).all())
    faults.survive(np.isnan(matrix.p_word_given_class[:, 2]).all())
    faults.survive(np.isnan(matrix.lift[:, 2]).all())


def poisoned(faults, tmp_path, names):
    """Each bad batch is refused and changes nothing."""
    rows = random_rows(11, 60)
    rows = take(rows, [i for i, words in enumerate(rows["words"]) if len(words) > 2])
    for name in names:
        spoil, error, message = BAD_BATCHES[name]
        accumulator = accumulated(rows)
        before = saved(accumulator, tmp_path)
        spoilt = {column: [list(row) for row in values] for column, values in rows.items()}
        spoilt["words"][0][0] = "unseen"
        spoil(spoilt)
        with faults.refused(error, match=message):
            accumulator.update(spoilt, first_row=10)
        assert saved(accumulator, tmp_path) == before, name


def finite(name):
    return BAD_BATCHES[name][1] is not NonFiniteError


def test_54_numbers_that_are_none(faults, tmp_path):
    """NaN, infinity, negative or huge numbers: refused, the row named, sums unchanged."""
    names = [name for name in BAD_BATCHES if not finite(name)]
    names += ["attention negative", "probabilities outside", "too large", "far too large"]
    poisoned(faults, tmp_path, names)
    for column in ("attention", "attribution", "attribution_context", "probabilities"):
        for value in (np.nan, np.inf, -np.inf):
            for kind in ("float32", "float64"):
                rows = random_rows(12, 9)
                row = max(range(9), key=lambda i: len(rows["words"][i]))
                rows[column][row][0] = value
                with faults.refused(NonFiniteError, match=f"Row {row} of {column}"):
                    fold(dataset_of(rows, kind=kind), batch_size=2)


def test_55_columns_that_do_not_fit_each_other(faults, tmp_path):
    """Columns of other lengths, weights that do not sum to 1: refused, sums unchanged."""
    poisoned(faults, tmp_path, [name for name in BAD_BATCHES if finite(name)])
    rows = random_rows(13, 9)
    row = max(range(9), key=lambda i: len(rows["words"][i]))
    for factor in (0.0, 0.5, 1 - 2e-5, 1 + 2e-5, 2.0):
        spoilt = take(rows, range(9))
        spoilt["attention"][row] = [factor * weight for weight in rows["attention"][row]]
        with faults.refused(InvalidInputError, match=f"Row {row} of attention sums to"):
            fold(dataset_of(spoilt, kind="float64"))
    for factor in (1 - 5e-6, 1 + 5e-6):
        spoilt = take(rows, range(9))
        spoilt["attention"][row] = [factor * weight for weight in rows["attention"][row]]
        faults.survive(fold(dataset_of(spoilt, kind="float64")).words)


def test_56_no_texts(faults, columns_of, tmp_path):
    """No texts, or none with words: a matrix of no words, which is saved, loaded and has a card."""
    for rows in (dataset_of(random_rows(0, 0)), columns_of(["", " "])):
        matrix = fold(rows)
        faults.survive((matrix.words, matrix.manifest["texts"]) == ((), 0))
        matrix.save_pretrained(tmp_path)
        again = InfluenceMatrix.from_pretrained(tmp_path)
        faults.survive(same(matrix, again))
        faults.survive(len(again.top_words(matrix.labels[0])) == 0)
        faults.survive("0 words" in influence_card(again, "somebody/matrix", license="mit"))
