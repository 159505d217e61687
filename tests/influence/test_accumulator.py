"""The sums against exact fractions, in any order; what is refused, and that it does no harm."""

import copy
import pickle
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from hf_attn_attr.errors import (
    CorruptArtifactError,
    IncompatibleError,
    InvalidInputError,
    NonFiniteError,
)
from hf_attn_attr.influence import InfluenceAccumulator, WordRule, running_sums
from hf_attn_attr.influence.exact import to_float
from hf_attn_attr.influence.running_sums import RunningSums
from hf_attn_attr.influence.terms import Terms
from hf_attn_attr.influence.totals import BITS, load_totals, save_totals
from hf_attn_attr.influence.vocabulary import OTHER, Vocabulary

from .test_exact import on_grid
from .texts import LABELS, VOCABULARY, accumulated, random_rows, take

TYPES = {
    "single_label_classification": LABELS,
    "multi_label_classification": LABELS,
    "regression": ("value",),
}
seeds = st.integers(0, 2**32 - 1)


def saved(accumulator, folder):
    path = folder / "state.safetensors"
    accumulator.save(path)
    return path.read_bytes()


def published(accumulator, folder):
    accumulator.finalize({"corpus": "test"}).save_pretrained(folder)
    files = sorted((folder / "influence").iterdir())
    assert len(files) == 2
    return [file.read_bytes() for file in files]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("accumulator")


def reference(rows, labels, problem_type, rule):
    """All sums by the definition, one text and one class at a time, as fractions."""
    sums = defaultdict(lambda: defaultdict(Fraction))
    counts = defaultdict(lambda: [0, 0, 0])
    classes = [Fraction(0)] * len(labels)
    texts = 0

    def centred(values):
        if problem_type != "single_label_classification":
            return values
        total = values[0]
        for value in values[1:]:
            total += value
        return [value - total / len(values) for value in values]

    for i, words in enumerate(rows["words"]):
        texts += bool(words)
        p = rows["probabilities"][i] if words else None
        for c in range(len(labels)):
            classes[c] += on_grid(p[c], BITS["joint"]) if p else 0
        keys = [rule.key(word) for word in words]
        for key in set(keys):
            places = [t for t, k in enumerate(keys) if k == key]
            n = len(places)
            counts[key] = [a + b for a, b in zip(counts[key], (n, n * n, 1), strict=True)]

            def add(name, c, value, key=key):
                sums[name][key, c] += on_grid(value, BITS[name])

            def total(column, c, places=places, i=i):
                result = 0.0
                for t in places:
                    result += rows[column][i][t * len(labels) + c]
                return result

            mass = 0.0
            for t in places:
                mass += rows["attention"][i][t]
            add("attention", 0, mass)
            add("relative_attention", 0, mass * len(words))
            every = range(len(labels))
            attribution = centred([total("attribution", c) for c in every])
            context = centred([total("attribution_context", c) for c in every])
            for c in every:
                add("attribution", c, attribution[c])
                add("attribution_squared", c, attribution[c] * attribution[c])
                add("attribution_times_count", c, attribution[c] * n)
                add("attribution_context", c, context[c])
                if p:
                    add("joint", c, mass * p[c])
    return sums, counts, classes, texts


@given(seeds, st.sampled_from(sorted(TYPES)), st.booleans())
@settings(max_examples=40)
def test_every_sum_is_the_exact_one(folder, seed, problem_type, lowercase):
    labels = TYPES[problem_type]
    rows = random_rows(seed, 12, labels, problem_type)
    accumulator = accumulated(rows, labels=labels, problem_type=problem_type, lowercase=lowercase)
    saved(accumulator, folder)
    totals, _ = load_totals(folder / "state.safetensors")
    sums, counts, classes, texts = reference(rows, labels, problem_type, WordRule(lowercase))

    assert totals.words == sorted(counts)
    assert totals.counts.tolist() == [counts[word] for word in totals.words]
    assert (totals.texts, totals.empty_texts) == (texts, len(rows["words"]) - texts)
    assert to_float(totals.class_sums, BITS["joint"]).tolist() == [float(c) for c in classes]
    assert not totals.words or totals.sums.keys() == sums.keys()
    for name, limbs in totals.sums.items():
        found = to_float(limbs, BITS[name])
        for (row, column), value in np.ndenumerate(found):
            assert value == float(sums[name][totals.words[row], column]), (name, row, column)

    matrix = accumulator.finalize()
    for row, word in enumerate(matrix.words):
        n = counts[word][0]
        assert matrix.attention_ratio[row] == float(sums["relative_attention"][word, 0]) / n
        for column in range(len(labels)):
            assert matrix.mean[row, column] == float(sums["attribution"][word, column]) / n
            if problem_type != "regression":
                assert matrix.joint[row, column] == float(sums["joint"][word, column]) / texts
    assert problem_type != "regression" or np.isnan(matrix.joint).all()
    assert matrix.manifest["words"] == sum(count[0] for count in counts.values())


@given(seeds, st.data())
@settings(max_examples=25)
def test_any_order_split_and_merge_tree_gives_the_same_bytes(folder, seed, data):
    rows = random_rows(seed, 20)
    whole = accumulated(rows)
    order = data.draw(st.permutations(range(20)))
    cuts = sorted(data.draw(st.lists(st.integers(0, 20), max_size=6)))
    shards = []
    for start, stop in zip([0, *cuts], [*cuts, 20], strict=True):
        middle = data.draw(st.integers(start, stop))
        shard = InfluenceAccumulator(LABELS)
        shard.update(take(rows, order[start:middle]))
        shard.update(take(rows, order[middle:stop]))
        shards.append(shard)
    while len(shards) > 1:
        other = shards.pop(data.draw(st.integers(0, len(shards) - 1)))
        shards[data.draw(st.integers(0, len(shards) - 1))].merge(other)
    assert saved(shards[0], folder) == saved(whole, folder)
    assert published(shards[0], folder / "a") == published(whole, folder / "b")


def test_many_layouts_of_a_larger_corpus_give_the_same_bytes(folder):
    rows = random_rows(5, 640, longest=30)
    expected = saved(accumulated(rows), folder)
    rng = np.random.default_rng(0)
    for shards in (2, 7, 64):
        order = rng.permutation(640)
        parts = [accumulated(take(rows, part)) for part in np.array_split(order, shards)]
        for part in parts[1:]:
            parts[0].merge(part)
        assert saved(parts[0], folder) == expected


def test_blocks_that_cut_words_in_two_give_the_same_bytes(folder, monkeypatch):
    rows = random_rows(6, 900, longest=12)
    expected = saved(accumulated(rows), folder)
    monkeypatch.setattr("hf_attn_attr.influence.grouping._BLOCK", 0)
    assert saved(accumulated(rows), folder) == expected


@given(seeds, st.booleans())
@settings(max_examples=10)
def test_numbered_words_are_read_like_written_ones(folder, seed, lowercase):
    rows = random_rows(seed, 12)
    expected = saved(accumulated(rows, lowercase=lowercase), folder)
    rng = np.random.default_rng(seed)
    accumulator = InfluenceAccumulator(LABELS, lowercase=lowercase)
    dictionary = ["unused", *rng.permutation(np.array(VOCABULARY, object))]
    for part in (range(5), range(5, 9), range(9, 12)):
        if part.start == 9:  # another dictionary, with a word it has twice
            dictionary = [*reversed(dictionary), "the"]
        words = [rows["words"][i] for i in part]
        ids = [dictionary.index(word) for text in words for word in text]
        coded = pa.DictionaryArray.from_arrays(pa.array(ids, pa.int32()), dictionary)
        offsets = np.cumsum([0, *map(len, words)])
        batch = take(rows, part) | {"words": pa.ListArray.from_arrays(offsets.tolist(), coded)}
        accumulator.update(batch)
    assert saved(accumulator, folder) == expected


def test_sums_that_near_the_end_of_the_grid_are_added_exactly(tmp_path):
    """A bound on a sum says too much; the sum itself decides, and a state says the same."""
    row = {
        "words": [["much", "much"], ["many"]],
        "attention": [[0.5, 0.5], [1.0]],
        "attribution": [[1.2e6, -1.2e6], [0.7e6]],
        "probabilities": [None, None],
    }
    accumulator = accumulated(row, labels=("value",), problem_type="regression")
    for _ in range(7):
        accumulator.update(row)
    parts = [accumulated(row, labels=("value",), problem_type="regression") for _ in range(8)]
    for part in parts[1:]:
        parts[0].merge(part)
    assert saved(accumulator, tmp_path) == saved(parts[0], tmp_path)
    matrix = accumulator.finalize()
    assert matrix.mean[matrix.words.index("many"), 0] == 0.7e6
    assert matrix.mean[matrix.words.index("much"), 0] == 0


@given(seeds)
@settings(max_examples=10)
def test_lists_numpy_and_arrow_are_read_alike(folder, seed):
    rows = random_rows(seed, 6)
    floats = [name for name in rows if name != "words"]
    single = {name: [np.array(row, np.float32) for row in rows[name]] for name in floats}
    table = pa.table(
        {
            "words": pa.array(rows["words"], pa.list_(pa.string())),
            **{name: pa.array(rows[name], pa.list_(pa.float32())) for name in floats},
        }
    )
    large = pa.table(
        {
            "words": pa.array(rows["words"], pa.large_list(pa.large_string())),
            **{name: pa.array(rows[name], pa.large_list(pa.float64())) for name in floats},
        }
    )
    padded = pa.concat_tables([table.slice(0, 3), table, table.slice(2, 1)])
    expected = saved(accumulated(rows), folder)
    fixed = table.column("probabilities").cast(pa.list_(pa.float32(), len(LABELS)))
    for batch in (
        {"words": rows["words"], **single},
        table,
        table.to_batches()[0],
        large,
        padded.slice(3, 6),
        {**rows, "probabilities": np.array(rows["probabilities"], np.float32)},
        {**rows, "probabilities": fixed},
        {**rows, "words": table.column("words").combine_chunks()},
    ):
        assert saved(accumulated(batch), folder) == expected


def test_a_state_goes_on_where_it_was_saved(folder):
    rows = random_rows(3, 20)
    first = accumulated(take(rows, range(11)), method="occlusion", lowercase=False)
    first.save(folder / "half")
    second = InfluenceAccumulator.load(folder / "half")
    second.update(take(rows, range(11, 20)))
    assert saved(second, folder) == saved(
        accumulated(rows, method="occlusion", lowercase=False), folder
    )


def test_texts_without_words_are_counted_and_left_out():
    rows = random_rows(1, 8)
    full = [i for i in range(8) if rows["words"][i]]
    empty = {
        "words": [[], []],
        "attention": [[], []],
        "attribution": [[], None],
        "attribution_context": [None, []],
        "probabilities": [[1.0, 0.0, 0.0]] * 2,
    }
    accumulator = accumulated(empty)
    assert accumulator.finalize().words == ()
    accumulator.update(take(rows, full))
    accumulator.update(empty)
    matrix, expected = accumulator.finalize(), accumulated(take(rows, full)).finalize()
    assert (matrix.manifest["texts"], matrix.manifest["empty_texts"]) == (len(full), 4)
    assert matrix.joint.tobytes() == expected.joint.tobytes()
    assert matrix.lift.tobytes() == expected.lift.tobytes()


def test_a_method_without_signs_still_has_a_joint():
    rows = random_rows(2, 30) | {"attribution": [None] * 30, "attribution_context": [None] * 30}
    matrix = accumulated(rows, method="attention").finalize()
    assert np.isnan(matrix.influence).all()
    assert np.isnan(matrix.lower_bound).all()
    assert (matrix.evidence == "insufficient").all()
    assert np.isfinite(matrix.joint).all()
    del rows["attribution_context"]
    assert (
        accumulated(rows, method="attention").finalize().joint.tobytes() == matrix.joint.tobytes()
    )


def test_without_a_context_column_only_the_parts_are_undefined():
    rows = random_rows(2, 30)
    expected = accumulated(rows).finalize()
    del rows["attribution_context"]
    matrix = accumulated(rows).finalize()
    assert np.isnan(matrix.word_part).all()
    assert np.isnan(matrix.context_part).all()
    assert matrix.influence.tobytes() == expected.influence.tobytes()


def test_single_label_influence_is_centred_and_multi_label_is_not():
    rows = random_rows(4, 30)
    assert np.abs(accumulated(rows).finalize().mean.sum(axis=1)).max() < 1e-12
    multi = accumulated(rows, problem_type="multi_label_classification").finalize()
    assert np.abs(multi.mean.sum(axis=1)).max() > 0.01
    shifted = copy.deepcopy(rows)
    for row, words in zip(shifted["attribution"], rows["words"], strict=True):
        for t in range(len(words)):
            row[3 * t : 3 * t + 3] = [value + t for value in row[3 * t : 3 * t + 3]]
    np.testing.assert_allclose(
        accumulated(shifted).finalize().mean, accumulated(rows).finalize().mean, atol=1e-5
    )


def change(column, row, value):
    def apply(rows):
        rows[column][row] = value(rows[column][row]) if callable(value) else value

    return apply


def drop(column):
    return lambda rows: rows.pop(column)


def first(number):
    return lambda row: [number, *row[1:]]


BAD_BATCHES = {
    "missing column": (drop("attention"), InvalidInputError, "no 'attention'"),
    "missing probabilities": (drop("probabilities"), InvalidInputError, "no 'probabilities'"),
    "null words": (change("words", 2, None), InvalidInputError, "Row 12 of words is null"),
    "null word": (change("words", 2, first(None)), InvalidInputError, "Row 12 of words"),
    "number as word": (change("words", 2, first(7)), InvalidInputError, "Row 12 of words"),
    "bytes as word": (change("words", 2, first(b"x")), InvalidInputError, "words"),
    "lone surrogate": (change("words", 2, first("\ud800")), InvalidInputError, "Row 12 of words"),
    "empty word": (change("words", 2, first("")), InvalidInputError, "Row 12 holds an empty word"),
    "a text, not words": (change("words", 2, "text"), InvalidInputError, "Row 12 of words"),
    "attention null": (change("attention", 2, None), InvalidInputError, "Row 12 of attention"),
    "attention longer": (
        change("attention", 2, lambda row: [*row, 0.0]),
        InvalidInputError,
        "Row 12 has .* words",
    ),
    "attention NaN": (change("attention", 2, first(np.nan)), NonFiniteError, "Row 12"),
    "attention holds null": (change("attention", 2, first(None)), InvalidInputError, "Row 12"),
    "attention negative": (
        change("attention", 2, lambda row: [row[0] + row[1] + 0.5, -0.5, *row[2:]]),
        InvalidInputError,
        "Row 12 of attention holds -0.5",
    ),
    "attention sum": (
        change("attention", 2, lambda row: [1.0001 * value for value in row]),
        InvalidInputError,
        "Row 12 of attention sums to 1.000",
    ),
    "attention of another type": (
        change("attention", 2, first("x")),
        InvalidInputError,
        "attention",
    ),
    "attribution shorter": (
        change("attribution", 2, lambda row: row[:-1]),
        InvalidInputError,
        "Row 12 has .* wanted .* per word and class",
    ),
    "attribution inf": (change("attribution", 2, first(np.inf)), NonFiniteError, "Row 12"),
    "attribution null once": (change("attribution", 2, None), InvalidInputError, "Row 12"),
    "context NaN": (
        change("attribution_context", 2, first(np.nan)),
        NonFiniteError,
        "Row 12 of attribution_context",
    ),
    "context gone": (drop("attribution_context"), InvalidInputError, "batches before"),
    "context alone": (drop("attribution"), InvalidInputError, "Pass both"),
    "probabilities null": (change("probabilities", 2, None), InvalidInputError, "Row 12"),
    "probabilities short": (
        change("probabilities", 2, [0.5, 0.5]),
        InvalidInputError,
        "Row 12 .* one number per class",
    ),
    "probabilities outside": (
        change("probabilities", 2, [1.5, -0.5, 0.0]),
        InvalidInputError,
        "Row 12",
    ),
    "probabilities sum": (change("probabilities", 2, [0.5, 0.5, 0.5]), InvalidInputError, "1.5"),
    "probabilities NaN": (change("probabilities", 2, [np.nan, 0, 0]), NonFiniteError, "Row 12"),
    "columns of different length": (
        lambda rows: rows["attention"].pop(),
        InvalidInputError,
        "rows of words",
    ),
    "too large": (change("attribution", 2, first(1e12)), InvalidInputError, "rescale"),
    "far too large": (change("attribution", 2, first(1e300)), InvalidInputError, "rescale"),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_a_bad_batch_is_refused_and_changes_nothing(name, tmp_path):
    spoil, error, message = BAD_BATCHES[name]
    rows = take(random_rows(11, 30), [i for i, w in enumerate(random_rows(11, 30)["words"]) if w])
    rows = take(rows, [i for i, w in enumerate(rows["words"]) if len(w) > 2])
    accumulator = accumulated(rows)
    before = saved(accumulator, tmp_path)
    spoilt = copy.deepcopy(rows)
    spoilt["words"][0][0] = "unseen"
    spoil(spoilt)
    with pytest.raises(error, match=message):
        accumulator.update(spoilt, first_row=10)
    assert saved(accumulator, tmp_path) == before


@pytest.mark.parametrize("number", [-0.01, 1.01, np.nan])
def test_the_first_row_of_a_batch_is_0_and_one_impossible_probability_is_enough(number):
    rows = random_rows(11, 3, problem_type="multi_label_classification")
    rows["probabilities"][0] = [0.5, number, 0.5]
    with pytest.raises(InvalidInputError, match="Row 0 of probabilities"):
        accumulated(rows, problem_type="multi_label_classification")


def test_a_total_that_overflows_late_changes_nothing(tmp_path):
    row = {
        "words": [["much"]],
        "attention": [[1.0]],
        "attribution": [[1.2e6]],
        "probabilities": [None],
    }
    accumulator = accumulated(row, labels=("value",), problem_type="regression")
    accumulator.update(row)
    before = saved(accumulator, tmp_path)
    with pytest.raises(InvalidInputError, match="rescale"):
        accumulator.update({name: [*v, *v, *v] for name, v in row.items()})
    other, another = (
        accumulated(row, labels=("value",), problem_type="regression") for _ in range(2)
    )
    accumulator.merge(other)
    before = saved(accumulator, tmp_path)
    with pytest.raises(InvalidInputError, match="rescale"):
        accumulator.merge(another)
    assert saved(accumulator, tmp_path) == before


@pytest.mark.parametrize("value", [1.0e6, -1.0e6, 1.0e5])
def test_totals_that_grow_text_by_text_are_taken_as_long_as_they_fit(value):
    """The bookkeeping of how far sums may reach refuses none that fits, and lets none wrap."""
    row = {
        "words": [["much"]],
        "attention": [[1.0]],
        "attribution": [[value]],
        "probabilities": [None],
    }
    accumulator = InfluenceAccumulator(("value",), problem_type="regression")
    fitting = int((2**62 - 1) // (value**2 * 2 ** BITS["attribution_squared"]))
    for _ in range(fitting):
        accumulator.update(row)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="rescale"):
            accumulator.update(row)
    matrix = accumulator.finalize()
    assert matrix.count.tolist() == [fitting]
    assert matrix.mean[0, 0] == value
    assert matrix.standard_error[0, 0] == pytest.approx(0, abs=abs(value) * 1e-6)


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({"labels": ("joy", "anger", "fear")}, "anger"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
        ({"lowercase": False}, "lowercase"),
        ({"normalization": None}, "None"),
        ({"method": "occlusion"}, "occlusion"),
    ],
)
def test_unlike_folds_do_not_merge(settings, seen, tmp_path):
    rows = random_rows(1)
    accumulator = accumulated(rows)
    before = saved(accumulator, tmp_path)
    with pytest.raises(IncompatibleError, match=seen):
        accumulator.merge(accumulated(rows, **settings))
    assert saved(accumulator, tmp_path) == before


def test_folds_with_and_without_attributions_do_not_merge():
    rows = random_rows(1)
    del rows["attribution_context"]
    with pytest.raises(IncompatibleError, match="attribution_context"):
        accumulated(random_rows(1)).merge(accumulated(rows))


def test_a_fold_does_not_merge_with_itself():
    accumulator = accumulated(random_rows(1))
    with pytest.raises(InvalidInputError, match="itself"):
        accumulator.merge(accumulator)


def test_texts_that_are_in_by_way_of_another_fold_do_not_count_twice(tmp_path):
    first, second, whole = (accumulated(random_rows(seed)) for seed in (1, 2, 3))
    whole.merge(first)
    first.merge(second)
    before = saved(whole, tmp_path)
    with pytest.raises(InvalidInputError, match="twice"):
        whole.merge(first)
    with pytest.raises(InvalidInputError, match="twice"):
        first.merge(second)
    assert saved(whole, tmp_path) == before
    loaded = [InfluenceAccumulator.load(tmp_path / "state.safetensors") for _ in range(2)]
    with pytest.raises(InvalidInputError, match="twice"):
        loaded[0].merge(loaded[1])
    loaded[0].merge(second)


@pytest.mark.parametrize(
    ("labels", "problem_type"),
    [
        ((), "single_label_classification"),
        (("a",), "single_label_classification"),
        (("a", "a"), "single_label_classification"),
        (("a", ""), "multi_label_classification"),
        (("a", 1), "multi_label_classification"),
        ("ab", "single_label_classification"),
        (("a", "b"), "regression"),
        (("a", "b"), "ranking"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, problem_type):
    with pytest.raises(InvalidInputError):
        InfluenceAccumulator(labels, problem_type=problem_type)


@pytest.fixture(scope="module")
def state(folder):
    return saved(
        accumulated(take(random_rows(1, 4, vocabulary=["a", "b\u00e9"]), range(4))), folder
    )


def test_a_state_cut_anywhere_is_refused(state, tmp_path):
    path = tmp_path / "state"
    for length in range(0, len(state), 29):
        path.write_bytes(state[:length])
        with pytest.raises(CorruptArtifactError):
            InfluenceAccumulator.load(path)
    path.write_bytes(state + b"\0")
    with pytest.raises(CorruptArtifactError):
        InfluenceAccumulator.load(path)


def test_a_state_with_any_byte_changed_is_refused(state, tmp_path):
    path = tmp_path / "state"
    for position in range(0, len(state), 7):
        damaged = bytearray(state)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises((CorruptArtifactError, IncompatibleError)):
            InfluenceAccumulator.load(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("place", ["add_to", "_grown", "_counts", "add", "carried"])
def test_a_change_that_is_cut_off_ends_the_fold(place, error, monkeypatch, tmp_path):
    """Going on would give the sums of some words to others, or count half of a batch."""
    rows, more = random_rows(1), random_rows(2, vocabulary=["other", "words"])
    accumulator, other = accumulated(rows), accumulated(more)
    accumulator.save(tmp_path / "state")
    owner = {"add_to": Terms, "add": Vocabulary, "carried": RunningSums}.get(place, running_sums)
    whole = getattr(owner, place)

    def cut(*arguments):
        whole(*arguments)
        raise error

    monkeypatch.setattr(owner, place, cut)
    with pytest.raises(error):
        accumulator.finalize() if place == "carried" else accumulator.update(more)
    monkeypatch.undo()
    for action in (
        lambda: accumulator.update(rows),
        lambda: accumulator.merge(other),
        lambda: other.merge(accumulator),
        lambda: accumulator.save(tmp_path / "state"),
        accumulator.finalize,
    ):
        with pytest.raises(InvalidInputError, match=r"cut off.*Fold again"):
            action()
    other.finalize()
    again = InfluenceAccumulator.load(tmp_path / "state")
    again.update(more)
    assert again.finalize().manifest["texts"] > other.finalize().manifest["texts"]


def test_copies_hold_the_same_texts_unless_they_began_empty(tmp_path):
    accumulator = accumulated(random_rows(1))
    for again in (copy.deepcopy(accumulator), pickle.loads(pickle.dumps(accumulator))):
        with pytest.raises(InvalidInputError, match="twice"):
            accumulator.merge(again)
    accumulator.save(tmp_path / "state")
    with pytest.raises(InvalidInputError, match="twice"):
        accumulator.merge(InfluenceAccumulator.load(tmp_path / "state"))
    empty = InfluenceAccumulator(LABELS)
    shards = [copy.deepcopy(empty) for _ in range(2)]
    for seed, shard in enumerate(shards):
        shard.update(random_rows(seed))
        empty.merge(shard)
    texts = sum(accumulated(random_rows(seed)).finalize().manifest["texts"] for seed in (0, 1))
    assert empty.finalize().manifest["texts"] == texts


def test_a_state_whose_settings_cannot_be_is_refused_by_name(tmp_path):
    accumulator = accumulated(random_rows(1))
    path = tmp_path / "odd.safetensors"
    description = accumulator._description() | {"problem_type": "guessing"}
    save_totals(path, accumulator._totals(), description)
    with pytest.raises(CorruptArtifactError, match=r"odd\.safetensors.*problem_type is 'guessing'"):
        InfluenceAccumulator.load(path)


def test_numbers_of_texts_and_words_that_cannot_be_are_refused(tmp_path):
    accumulator = accumulated(random_rows(1))
    path, totals = tmp_path / "odd.safetensors", accumulator._totals()
    description = accumulator._description()
    many = totals.counts.copy()
    many[:, :2] = 2**62
    for odd, told in (
        (replace(totals, texts=2**70), description),
        (replace(totals, counts=many), description),
        (totals, description | {"max_words": 2}),
    ):
        save_totals(path, odd, told)
        with pytest.raises(CorruptArtifactError, match=r"odd\.safetensors is damaged"):
            InfluenceAccumulator.load(path)
    many[:, :2] = 2**62 // len(many) - 1
    folds = []
    for name in ("a", "b"):
        save_totals(tmp_path / name, replace(totals, counts=many), description)
        folds.append(InfluenceAccumulator.load(tmp_path / name))
    with pytest.raises(InvalidInputError, match="more words than can be counted"):
        folds[0].merge(folds[1])
    assert folds[0].finalize().count.tolist() == many[:, 0].tolist()


def test_a_type_that_numpy_lacks_is_damage(tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file({"words": torch.zeros(4).to(torch.float8_e5m2)}, path)
    with pytest.raises(CorruptArtifactError, match=r"odd\.safetensors is damaged"):
        InfluenceAccumulator.load(path)


def test_a_missing_state_is_reported(tmp_path):
    with pytest.raises(CorruptArtifactError, match="missing"):
        InfluenceAccumulator.load(tmp_path / "nothing")


def test_some_classes_are_kept_apart_merged_and_saved(tmp_path):
    rows = random_rows(5, 30)
    some = rows | {
        name: [
            None if row is None else np.reshape(row, (-1, 3))[:, [0, 2]].ravel().tolist()
            for row in rows[name]
        ]
        for name in ("attribution", "attribution_context")
    }
    # Attributions of some classes come centred, so they are compared with those of a multi-label
    # model, which are never centred.
    whole = accumulated(rows, problem_type="multi_label_classification").finalize()
    parts = [
        accumulated(
            take(some, chosen), problem_type="multi_label_classification", classes=["joy", "anger"]
        )
        for chosen in (range(11), range(11, 30))
    ]
    parts[0].merge(parts[1])
    parts[0].save(tmp_path / "state")
    matrix = InfluenceAccumulator.load(tmp_path / "state").finalize()
    assert matrix.manifest["classes"] == ["joy", "anger"]
    for name in ("influence", "lower_bound", "context_part", "mean"):
        found, wanted = getattr(matrix, name), getattr(whole, name)
        assert found[:, [0, 2]].tobytes() == wanted[:, [0, 2]].tobytes()
        assert np.isnan(found[:, 1]).all()
    assert matrix.joint.tobytes() == whole.joint.tobytes()
    with pytest.raises(IncompatibleError):
        parts[0].merge(accumulated(rows, problem_type="multi_label_classification"))
    with pytest.raises(InvalidInputError, match="in their order"):
        InfluenceAccumulator(["joy", "fear"], classes=["fear", "joy"])


def capped(rows, most, kept):
    """The rows with every word but the first `most` to appear written as the other words."""
    for word in (word.lower() for text in rows["words"] for word in text):
        if len(kept) < most and word not in (*kept, OTHER):
            kept.append(word)
    named = [[w.lower() if w.lower() in kept else OTHER for w in text] for text in rows["words"]]
    return rows | {"words": named}


@given(seeds, st.integers(1, 12), st.integers(1, 20))
@settings(max_examples=20)
def test_words_beyond_the_cap_are_folded_as_one_word(folder, seed, most, batch):
    rows = random_rows(seed, 20, vocabulary=[w for w in VOCABULARY if w.isascii()])
    accumulator = InfluenceAccumulator(LABELS, max_words=most)
    for start in range(0, 20, batch):
        accumulator.update(take(rows, range(start, min(start + batch, 20))))
    saved(accumulator, folder)
    loaded = InfluenceAccumulator.load(folder / "state.safetensors")
    matrix, expected = loaded.finalize(), accumulated(capped(rows, most, [])).finalize()
    assert matrix.words == expected.words
    assert set(matrix.words) - {OTHER} <= {w.lower() for t in rows["words"] for w in t}
    assert len(set(matrix.words) - {OTHER}) <= most
    assert matrix.manifest["max_words"] == most
    for name in ("count", "influence", "lower_bound", "joint"):
        assert getattr(matrix, name).tobytes() == getattr(expected, name).tobytes()


@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_text_may_say_other_words_before_there_are_any(size):
    texts = [[OTHER, "a"], ["b", OTHER], ["c", "a"], ["d", "b"], [OTHER, "e"]]
    rows = random_rows(0, 9, vocabulary=["x"])
    rows = take(rows, [i for i, words in enumerate(rows["words"]) if len(words) > 1][: len(texts)])
    for name, per_word in (("attention", 1), ("attribution", 3), ("attribution_context", 3)):
        rows[name] = [row[: 2 * per_word] for row in rows[name]]
    rows["attention"] = [[0.25, 0.75]] * len(rows["words"])
    rows["words"] = texts[: len(rows["words"])]
    accumulator = InfluenceAccumulator(LABELS, max_words=2)
    for start in range(0, len(rows["words"]), size):
        accumulator.update(take(rows, range(start, min(start + size, len(rows["words"])))))
    expected = accumulated(capped(rows, 2, [])).finalize()
    matrix = accumulator.finalize()
    assert matrix.words == expected.words == ("[other words]", "a", "b")
    assert matrix.influence.tobytes() == expected.influence.tobytes()
    assert matrix.count.tolist() == expected.count.tolist()


def test_capped_folds_merge_where_they_kept_the_same_words(tmp_path):
    rows = random_rows(3, 30, vocabulary=["a", "b", "c", "d"])
    whole = accumulated(rows, max_words=2)
    kept = [word for word in whole.finalize().words if word != OTHER]
    with pytest.raises(IncompatibleError, match="kept different words"):
        accumulated(random_rows(3, 30, vocabulary=["x", "y", "z"]), max_words=2).merge(whole)
    # The words both know come first in either part.
    seeded = {
        "words": [kept],
        "attention": [[0.5, 0.5]],
        "attribution": [[0.0] * 6],
        "attribution_context": [[0.0] * 6],
        "probabilities": [[1.0, 0.0, 0.0]],
    }
    expected = accumulated(seeded, max_words=2)
    expected.update(rows)
    expected.update(seeded)
    parts = [accumulated(seeded, max_words=2) for _ in range(2)]
    parts[0].update(take(rows, range(11)))
    parts[1].update(take(rows, range(11, 30)))
    parts[0].merge(parts[1])
    assert saved(parts[0], tmp_path) == saved(expected, tmp_path)
    with pytest.raises(InvalidInputError, match="max_words is 0"):
        InfluenceAccumulator(LABELS, max_words=0)


def test_without_attention_and_attribution_there_is_nothing_to_fold():
    rows = random_rows(3, 10)
    nothing = [None] * 10
    bare = rows | dict.fromkeys(("attention", "attribution", "attribution_context"), nothing)
    with pytest.raises(InvalidInputError, match="neither attention nor attribution"):
        accumulated(bare)
    matrix = accumulated(rows | {"attention": nothing}).finalize()
    assert matrix.influence.tobytes() == accumulated(rows).finalize().influence.tobytes()
    assert np.isnan(matrix.joint).all()
