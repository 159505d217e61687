"""What changed between two matrices, and what only seems to have changed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_attn_attr.errors import IncompatibleError
from hf_attn_attr.influence.comparison import CHANGES, ranked

from .texts import LABELS, VOCABULARY, accumulated, random_rows

WORDS = ("flips", "grows", "shrinks", "comes", "goes", "stays", "noise")
BEFORE = {"flips": 3.0, "grows": 1.0, "shrinks": 4.0, "goes": 3.0, "stays": 2.0}
AFTER = {"flips": -3.0, "grows": 4.0, "shrinks": 1.0, "comes": 3.0, "stays": 2.0}


def matrix(shifts, seed, n_texts=400, words=WORDS, labels=LABELS, scale=1.0, **options):
    """A matrix of random attributions, those on the first label shifted by word."""
    rows = random_rows(seed, n_texts, labels=labels, vocabulary=list(words))
    for text, terms in zip(rows["words"], rows["attribution"], strict=True):
        for position, word in enumerate(text):
            terms[position * len(labels)] += shifts.get(word, 0.0)
        terms[:] = [scale * term for term in terms]
    return accumulated(rows, labels=labels, **options).finalize()


def changes(frame, label="joy"):
    rows = frame[frame["label"] == label]
    return dict(zip(rows["word"], rows["change"], strict=True))


def test_planted_changes_are_found_and_named():
    frame = matrix(BEFORE, 0).compare(matrix(AFTER, 1))
    assert changes(frame) == {
        "flips": "flipped", "grows": "stronger", "shrinks": "weaker", "comes": "gained",
        "goes": "lost", "stays": "none shown", "noise": "none shown",
    }  # fmt: skip
    row = frame[(frame["word"] == "flips") & (frame["label"] == "joy")].iloc[0]
    assert row["difference_low"] < -6 * 2 / 3 * 0.9 < row["difference_high"] + 0.5 < 0


def test_names_of_changes_do_not_depend_on_the_unit():
    wanted = matrix(BEFORE, 0).compare(matrix(AFTER, 1))
    found = matrix(BEFORE, 0, scale=2**-6).compare(matrix(AFTER, 1, scale=2**-6))
    assert changes(found) == changes(wanted)


def test_the_other_way_round_everything_is_mirrored():
    before, after = matrix(BEFORE, 0), matrix(AFTER, 1)
    frame, mirrored = before.compare(after), after.compare(before)
    swap = {"gained": "lost", "lost": "gained", "stronger": "weaker", "weaker": "stronger"}
    assert frame["change"].tolist() == [swap.get(name, name) for name in mirrored["change"]]
    np.testing.assert_allclose(frame["difference"], -mirrored["difference"])
    np.testing.assert_allclose(frame["difference_low"], -mirrored["difference_high"])
    np.testing.assert_allclose(frame["q_value"], mirrored["q_value"])


def test_words_that_one_matrix_lacks_are_gained_or_lost_without_a_difference():
    frame = matrix(BEFORE, 0, words=("goes", "stays")).compare(
        matrix(AFTER, 1, words=("comes", "stays", "noise"))
    )
    found = changes(frame)
    assert (found["comes"], found["goes"]) == ("gained", "lost")
    assert "noise" not in found  # neither attests it
    rows = frame.set_index(["word", "label"])
    gained = rows.loc["comes", "joy"]
    assert (gained["documents"], np.isnan(gained["influence"])) == (0, True)
    assert np.isnan(gained[["difference", "q_value", "difference_low"]].astype(float)).all()
    assert rows.loc["goes", "joy"]["documents_other"] == 0


def test_difference_interval_and_q_value_are_those_of_welch_and_of_benjamini_and_hochberg():
    here, there = matrix(BEFORE, 0), matrix(AFTER, 1)
    frame = here.compare(there)
    p_values = []
    for _, row in frame.iterrows():
        a, b = (m.score(row["word"], row["label"]) for m in (here, there))
        squares = [a.standard_error**2, b.standard_error**2]
        degrees = sum(squares) ** 2 / (
            squares[0] ** 2 / a.degrees_of_freedom + squares[1] ** 2 / b.degrees_of_freedom
        )
        difference = stats.t(degrees, b.mean - a.mean, np.sqrt(sum(squares)))
        p_values.append(2 * min(difference.cdf(0), difference.sf(0)))
        np.testing.assert_allclose(row["difference"], b.mean - a.mean)
        np.testing.assert_allclose(
            (row["difference_low"], row["difference_high"]), difference.interval(0.95)
        )
    order = np.argsort(p_values)
    scaled = np.array(p_values)[order] * len(order) / np.arange(1, len(order) + 1)
    expected = np.minimum.accumulate(scaled[::-1])[::-1]
    np.testing.assert_allclose(frame["q_value"].to_numpy()[order], expected.clip(max=1), atol=1e-12)


def test_words_and_labels_are_matched_by_name():
    order = [2, 0, 1]
    here, rows = accumulated(random_rows(0, 200)).finalize(), random_rows(0, 200)
    for name in ("attribution", "attribution_context", "probabilities"):
        rows[name] = [np.reshape(row, (-1, 3))[:, order].ravel().tolist() for row in rows[name]]
    there = accumulated(rows, labels=tuple(LABELS[i] for i in order)).finalize()
    frame = here.compare(there)
    assert len(frame) == (here.document_count >= 3).sum() * 3
    assert frame["label"].tolist()[:3] == list(LABELS)
    assert frame["word"].tolist() == sorted(frame["word"])
    np.testing.assert_allclose(frame["difference"], 0, atol=1e-12)
    assert set(frame["change"]) == {"none shown"}
    np.testing.assert_array_equal(frame["influence"], frame["influence_other"])


def test_where_nothing_changed_changes_are_rarely_shown():
    shown = 0
    for seed in range(100):
        pair = [matrix(BEFORE, 2 * seed + side, 120) for side in (0, 1)]
        frame = pair[0].compare(pair[1])
        shown += (frame["change"] != "none shown").any()
    # Some 5% of comparisons may show any; 13 of 100 would be beyond chance (p = 0.0015).
    assert shown <= 12


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(3, 40), st.integers(1, 20))
def test_every_change_rests_on_enough_texts_and_on_intervals(seed, n_texts, least):
    vocabularies = (VOCABULARY[:9], VOCABULARY[1:10])
    here, there = (
        accumulated(random_rows(seed + side, n_texts, vocabulary=vocabularies[side])).finalize()
        for side in (0, 1)
    )
    frame = here.compare(there, min_documents=least)
    assert set(frame["change"]) <= set(CHANGES)
    least = max(least, 3)
    tested = frame["difference"].notna()
    assert (frame.loc[tested, ["documents", "documents_other"]] >= least).all().all()
    attested = [
        (frame[documents] >= least) & (frame[evidence] == "consistent")
        for documents, evidence in (
            ("documents", "evidence"),
            ("documents_other", "evidence_other"),
        )
    ]
    for name, wanted in (
        ("flipped", attested[0] & attested[1] & tested),
        ("gained", attested[1] & ~attested[0]),
        ("lost", attested[0] & ~attested[1]),
    ):
        assert wanted[frame["change"] == name].all()
    changed = tested & (frame["change"] != "none shown")
    assert (frame.loc[changed, "q_value"] <= 0.05).all()
    assert ((frame["difference_low"] > 0) | (frame["difference_high"] < 0))[changed].all()


def test_nothing_is_compared_with_nothing():
    empty = accumulated(random_rows(0, 0)).finalize()
    assert empty.compare(empty).empty
    assert matrix(BEFORE, 0).compare(matrix(AFTER, 1), min_documents=10**6).empty


def attention_alone(seed):
    rows = random_rows(seed, 50)
    rows |= {name: [None] * 50 for name in ("attribution", "attribution_context")}
    return accumulated(rows, method="attention").finalize()


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        (
            lambda: matrix({}, 0),
            lambda: matrix({}, 1, labels=("joy", "fear", "sorrow")),
            "sorrow.*same classes",
        ),
        (lambda: matrix({}, 0), lambda: matrix({}, 1, lowercase=False), "takes words as one"),
        (lambda: attention_alone(0), lambda: attention_alone(1), "attention alone"),
    ],
)
def test_unlike_matrices_are_not_compared(here, there, message):
    with pytest.raises(IncompatibleError, match=message):
        here().compare(there())


def test_rows_are_ranked_by_difference_then_by_influence_on_either_side():
    rows = pd.DataFrame(
        [
            ("small", 0.1, 0.2, 0.1),
            ("gone", 5.0, np.nan, np.nan),
            ("come", np.nan, -7.0, np.nan),
            ("large", 1.0, -8.0, -9.0),
            ("none", 1.0, 1.0, 0.0),
            ("also small", 0.3, 0.2, -0.1),
        ],
        columns=["word", "influence", "influence_other", "difference"],
    )
    expected = ["large", "also small", "small", "none", "come", "gone"]
    assert ranked(rows)["word"].tolist() == expected
    assert ranked(rows[::-1])["word"].tolist() == expected


def test_as_many_texts_as_are_asked_for_are_enough():
    before, after = matrix(BEFORE, 0), matrix(AFTER, 1)
    row = before.words.index("flips"), after.words.index("flips")
    least = min(int(before.document_count[row[0]]), int(after.document_count[row[1]]))
    assert changes(before.compare(after, min_documents=least))["flips"] == "flipped"
    assert changes(before.compare(after, min_documents=least + 1)).get("flips") != "flipped"
