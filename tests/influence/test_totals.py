"""Saved sums with the right digest and content that cannot be: each is refused, and says why."""

import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError
from hf_attn_attr.files import canonical_json, sha256_of_bytes
from hf_attn_attr.influence import InfluenceAccumulator, totals

from .texts import accumulated, random_rows


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sums.safetensors"
    accumulated(random_rows(3, 20)).save(path)
    return path


def digest(header, tensors):
    """As of files that lie about: written down here once more, because it must never change."""
    described = {
        name: [str(tensor.dtype), list(tensor.shape), sha256_of_bytes(tensor.tobytes())]
        for name, tensor in tensors.items()
    }
    return sha256_of_bytes(canonical_json({"header": header, "tensors": described}))


def forge(path, change, sealed=True):
    header, tensors = totals._read(path)
    del header["sha256"]
    assert totals._digest(header, tensors) == digest(header, tensors)
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    change(header, tensors)
    header["sha256"] = digest(header, tensors) if sealed else "0" * 64
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"hf_attn_attr": canonical_json(header).decode()})


def setting(name, place, value):
    def change(header, tensors):
        tensors[name][place] = value

    return change


def replacing(name, function):
    def change(header, tensors):
        tensors[name] = function(tensors[name])

    return change


def naming(**values):
    return lambda header, _: header.update(values)


def renamed(header, tensors):
    """The first two words, swapped."""
    ends = tensors["word_ends"]
    words = np.split(tensors["words"], ends[:-1])
    words[0], words[1] = words[1], words[0]
    tensors["words"] = np.concatenate(words)
    tensors["word_ends"] = np.cumsum([len(word) for word in words])


def doubled(header, tensors):
    """The first word in place of the second, too."""
    ends = tensors["word_ends"]
    words = np.split(tensors["words"], ends[:-1])
    words[1] = words[0]
    tensors["words"] = np.concatenate(words)
    tensors["word_ends"] = np.cumsum([len(word) for word in words])


def barely_negative(header, tensors):
    tensors["joint.high"][0, 0], tensors["joint.low"][0, 0] = 0, -1


def first_word_of_one_byte(header, tensors):
    ends = tensors["word_ends"]
    tensors["words"] = np.concatenate([tensors["words"][:1], tensors["words"][ends[0] :]])
    ends -= ends[0] - 1


HALF = 2**29
FORGERIES = [
    (setting("counts", (0, 2), 0), "its counts cannot be"),
    (setting("counts", (0, 2), 10**6), "its counts cannot be"),
    (naming(texts=0), "its counts cannot be"),
    (setting("counts", (0, 1), 0), "its squared counts cannot be"),
    (naming(texts=-1), "its numbers of texts cannot be"),
    (naming(empty_texts=-1), "its numbers of texts cannot be"),
    (naming(texts=12.0), "its numbers of texts cannot be"),
    (naming(empty_texts=True), "its numbers of texts cannot be"),
    (setting("joint.high", (0, 0), -1), "its joint is negative"),
    (barely_negative, "its joint is negative"),
    (setting("attention.high", (0, 0), -1), "its attention is negative"),
    (setting("attribution.low", (0, 0), HALF), "its limbs of attribution are out of range"),
    (setting("attribution.low", (0, 0), -HALF - 1), "its limbs of attribution are out of range"),
    (setting("classes.low", 0, HALF), "its limbs of classes are out of range"),
    (renamed, "its words are not sorted or not unique"),
    (doubled, "its words are not sorted or not unique"),
    (setting("word_ends", -1, 10**6), "its word boundaries do not fit its words"),
    (setting("word_ends", 0, 0), "its word boundaries do not fit its words"),
    (replacing("words", lambda words: words.astype(np.int32)), "its words are int32"),
    (replacing("words", lambda words: words[None]), r"its words are uint8 \(1, "),
    (replacing("word_ends", lambda ends: ends.astype(np.int32)), r"ends int32 \("),
    (replacing("word_ends", lambda ends: ends[:, None]), r"ends int64 \(\d+, 1\)"),
    (
        replacing("counts", lambda counts: counts.astype(np.float64)),
        r"a tensor is float64 \(\d+, 3\), wanted int64 \(\d+, 3\)",
    ),
    (replacing("counts", lambda counts: counts[:, :2]), r"a tensor is int64 \(\d+, 2\), wanted"),
    (
        lambda _, tensors: tensors.update({"more": np.zeros(1), "joint.higher": np.zeros(1)}),
        re.escape("it holds unknown tensors ['joint.higher', 'more']"),
    ),
    (lambda _, tensors: tensors.pop("counts"), "'counts'"),
]


@pytest.mark.parametrize(("change", "told"), FORGERIES)
def test_sums_that_cannot_be_are_refused(path, change, told):
    forge(path, change)
    with pytest.raises(CorruptArtifactError) as raised:
        InfluenceAccumulator.load(path)
    wanted = (
        rf"{re.escape(str(path))} is damaged: .*{told}.*\. Restore it from a copy, or fold its "
        r"texts again\."
    )
    assert re.fullmatch(wanted, str(raised.value)), str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        naming(),
        setting("attribution.low", (0, 0), -HALF),
        setting("attribution.low", (0, 0), HALF - 1),
        setting("joint.high", (0, 0), 1),
        first_word_of_one_byte,
    ],
)
def test_sums_at_the_ends_of_what_can_be_are_read(path, change):
    forge(path, change)
    InfluenceAccumulator.load(path)


def test_no_texts_are_read_back(tmp_path):
    empty = InfluenceAccumulator(("joy", "fear"))
    empty.save(tmp_path / "empty")
    assert InfluenceAccumulator.load(tmp_path / "empty").finalize().manifest["texts"] == 0


def test_another_digest_is_named(path):
    forge(path, naming(), sealed=False)
    with pytest.raises(CorruptArtifactError) as raised:
        InfluenceAccumulator.load(path)
    assert str(raised.value) == (
        f"{path} is damaged: its content does not have the digest it names. Restore it from a "
        "copy, or fold its texts again."
    )


def test_another_version_is_named(path):
    forge(path, naming(format_version=7))
    with pytest.raises(IncompatibleError) as raised:
        InfluenceAccumulator.load(path)
    assert str(raised.value) == (
        f"{path} has format version 7, this release reads 1. Use the release that wrote it, or "
        "fold again."
    )


@pytest.mark.parametrize("header", [[], "text", None])
def test_a_header_of_another_kind_is_damage(path, header):
    save_file(
        {"words": np.zeros(1)}, path, metadata={"hf_attn_attr": canonical_json(header).decode()}
    )
    with pytest.raises(CorruptArtifactError, match=rf"{path} is damaged: its header is no object"):
        InfluenceAccumulator.load(path)


def test_a_file_of_another_kind_is_damage(path):
    path.write_bytes(b"no safetensors")
    with pytest.raises(CorruptArtifactError, match=rf"{path} is damaged: (?!None).+\. Restore"):
        InfluenceAccumulator.load(path)


def test_the_order_of_the_words_is_all_that_changes():
    unsorted = accumulated(random_rows(5, 9))._totals()
    found = unsorted.in_word_order()
    assert found.words == sorted(unsorted.words)
    assert (found.texts, found.empty_texts) == (unsorted.texts, unsorted.empty_texts)
    assert found.class_sums is unsorted.class_sums
    for row, word in enumerate(found.words):
        before = unsorted.words.index(word)
        assert (found.counts[row] == unsorted.counts[before]).all()
        for name, limbs in found.sums.items():
            assert (limbs.high[row] == unsorted.sums[name].high[before]).all()
            assert (limbs.low[row] == unsorted.sums[name].low[before]).all()
