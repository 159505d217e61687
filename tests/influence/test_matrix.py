"""What a matrix answers, refuses and holds."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.influence import InfluenceMatrix
from hf_attn_attr.influence.storage import COLUMNS, NUMBERS

from .texts import LABELS, accumulated, random_rows


@pytest.fixture(scope="module")
def matrix():
    return accumulated(random_rows(0, 200)).finalize({"corpus": "test"})


def cell(matrix, name, word, label):
    return getattr(matrix, name)[matrix.words.index(word), matrix.labels.index(label)]


@pytest.mark.parametrize("by", ["lower_bound", "influence", "mean", "npmi", "joint", "lift"])
@pytest.mark.parametrize("label", LABELS)
def test_top_words_are_the_largest_of_a_label(matrix, by, label):
    top = matrix.top_words(label, 5, by=by)
    column = getattr(matrix, by)[:, LABELS.index(label)]
    allowed = {
        word: value
        for word, value, d in zip(matrix.words, column, matrix.document_count, strict=True)
        if d >= 3 and (value > 0 or by in ("joint", "lift"))
    }
    expected = sorted(allowed, key=lambda word: (-allowed[word], word))[:5]
    assert top["word"].tolist() == expected
    assert top[by].tolist() == [allowed[word] for word in expected]
    assert tuple(top.columns) == COLUMNS


def test_negative_top_words_speak_against_a_label(matrix):
    top = matrix.top_words("joy", by="influence", negative=True)
    values = matrix.influence[:, 0]
    assert top["influence"].tolist() == sorted(values[(values < 0) & (matrix.document_count >= 3)])
    with pytest.raises(InvalidInputError, match="no sign"):
        matrix.top_words("joy", by="joint", negative=True)


def test_rare_words_are_listed_only_when_asked_for():
    matrix = accumulated(random_rows(7, 2, vocabulary=["rare"])).finalize()
    assert 0 < matrix.document_count[0] < 3
    assert matrix.top_words("joy", by="joint").empty
    assert len(matrix.top_words("joy", by="joint", min_documents=1)) == 1
    assert (matrix.lower_bound == 0).all()
    assert np.isnan(matrix.low).all()
    assert (matrix.evidence == "insufficient").all()
    assert np.isfinite(matrix.influence).all()


def test_as_many_texts_as_are_asked_for_are_enough(matrix):
    fewest = int(np.sort(matrix.document_count)[2])
    for by in ("influence", "joint"):
        listed = matrix.top_words("joy", 1000, by=by, min_documents=fewest)
        enough = (matrix.document_count >= fewest) & (getattr(matrix, by)[:, 0] > 0)
        assert sorted(listed["word"]) == sorted(np.array(matrix.words)[enough])
    assert (
        fewest
        in matrix.top_words("joy", 1000, by="joint", min_documents=fewest)["documents"].tolist()
    )
    assert matrix.top_words("joy", 0).empty
    assert matrix.top_words("joy", -1).empty


def test_numbers_of_a_word_rank_words_too(matrix):
    top = matrix.top_words("joy", 5, by="attention_ratio")
    allowed = matrix.document_count >= 3
    assert top["attention_ratio"].tolist() == sorted(matrix.attention_ratio[allowed])[:-6:-1]
    assert matrix.count.dtype == matrix.document_count.dtype == np.int64


def test_a_label_that_was_not_attributed_is_named_with_those_that_were():
    rows = random_rows(0, 50)
    for name in ("attribution", "attribution_context"):
        rows[name] = [np.reshape(row, (-1, 3))[:, [0, 2]].ravel().tolist() for row in rows[name]]
    matrix = accumulated(rows, classes=["joy", "anger"]).finalize()
    with pytest.raises(
        InvalidInputError, match=r"labels \['joy', 'anger'\] only.*classes='all' or 'fear'"
    ):
        matrix.top_words("fear")
    assert len(matrix.top_words("fear", by="joint")) > 0
    assert matrix._repr_html_().count("<tr>") == 3  # a head and two classes


def test_equal_words_are_listed_in_word_order():
    vocabulary = [f"{i:03}" for i in range(300)]
    matrix = accumulated(random_rows(0, 200, vocabulary=vocabulary)).finalize()
    grade = np.arange(len(matrix.words)) * 7 % 3 + 1.0
    equal = dataclasses.replace(matrix, lower_bound=np.repeat(grade[:, None], 3, axis=1))
    listed = equal.top_words("joy", 1000, min_documents=0)["word"].tolist()
    value = dict(zip(matrix.words, grade, strict=True))
    assert listed == sorted(matrix.words, key=lambda word: (-value[word], word))


def test_a_word_is_found_by_the_rule_of_the_matrix(matrix):
    frame = matrix.word("NAI\u0308VE")
    assert frame["word"].tolist() == ["na\u00efve"] * 3
    assert frame["label"].tolist() == list(LABELS)
    assert (
        frame["influence"].tolist() == matrix.influence[matrix.words.index("na\u00efve")].tolist()
    )


def test_unknown_words_and_labels_are_reported_with_what_there_is(matrix):
    with pytest.raises(InvalidInputError, match="hope"):
        matrix.word("hoppe")
    with pytest.raises(InvalidInputError, match="No word is near"):
        matrix.word("zzzzzzz")
    with pytest.raises(InvalidInputError, match="'joy', 'fear', 'anger'"):
        matrix.top_words("love")
    with pytest.raises(InvalidInputError, match="love"):
        matrix.score("hope", "love")
    with pytest.raises(InvalidInputError, match="beauty"):
        matrix.top_words("joy", by="beauty")
    with pytest.raises(InvalidInputError, match="log_odds"):
        matrix.top_words("joy", by="log_odds")
    for level in (95, 0, 1, 1.5):
        with pytest.raises(InvalidInputError, match="level"):
            matrix.interval(level)


def test_a_record_and_the_long_form_agree_with_the_arrays(matrix):
    frame = matrix.to_pandas().set_index(["word", "label"])
    assert len(frame) == len(matrix.words) * 3
    for word in matrix.words:
        for label in LABELS:
            record = matrix.score(word, label)
            assert record.count == matrix.count[matrix.words.index(word)]
            assert record.evidence == cell(matrix, "evidence", word, label)
            for name in ("influence", "low", "joint", "npmi", "standard_error"):
                value = cell(matrix, name, word, label)
                assert getattr(record, name) == value or np.isnan(value)
                assert frame.loc[(word, label), name] == value or np.isnan(value)


def test_the_parts_add_up_to_the_influence(matrix):
    np.testing.assert_allclose(
        matrix.word_part + matrix.context_part, matrix.influence, rtol=1e-14, atol=1e-15
    )


def test_wider_levels_give_wider_intervals_around_the_raw_mean(matrix):
    low, high = matrix.interval()
    assert low is matrix.low
    lower, higher = matrix.interval(0.99)
    enough = matrix.document_count >= 3
    assert (lower[enough] < low[enough]).all()
    assert (higher[enough] > high[enough]).all()
    np.testing.assert_allclose(((low + high) / 2)[enough], matrix.mean[enough], atol=1e-12)
    assert np.isnan(lower[~enough]).all()


def test_arrays_cannot_be_changed_and_the_caller_keeps_his_own(matrix):
    for name in ("count", "document_count", "influence", "joint", "low", "evidence"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(matrix, name)[0] = 0
    own = np.array(matrix.log_odds)
    filled = dataclasses.replace(matrix, log_odds=own)
    own[:] = 1
    assert np.isnan(filled.log_odds).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrix.joint = own


@pytest.mark.parametrize(
    "change",
    [
        {"words": ("a",)},
        {"labels": ("joy", "joy", "anger")},
        {"labels": ("a", "b", "c")},
        {"joint": np.zeros((1, 3))},
        {"count": np.zeros((3, 3))},
        {"manifest": {}},
        {"manifest": {"labels": list(LABELS), "word_rule": {"lowercase": True}, "x": float("nan")}},
        {"manifest": {"labels": list(LABELS), "word_rule": {"stem": True}}},
        *(
            {"manifest": {"labels": list(LABELS), "word_rule": {"lowercase": True}, **wrong}}
            for wrong in (
                {"texts": "many"},
                {"words": -1},
                {"empty_texts": True},
                {"provenance": [1]},
                {"checks": "good"},
                {"checks": {"verdicts": ["good"]}},
                {"checks": {"association": 1}},
            )
        ),
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_matrix_that_contradicts_itself_cannot_be_made(matrix, change):
    with pytest.raises(InvalidInputError):
        dataclasses.replace(matrix, **change)


def test_arrays_are_copied_unless_nobody_can_write_to_them(matrix, tmp_path):
    own = np.full(matrix.log_odds.shape, 2.0)
    view = own[:]
    view.setflags(write=False)
    np.save(tmp_path / "file.npy", own)
    mapped = np.load(tmp_path / "file.npy", mmap_mode="r")
    for values in (own, view, mapped, mapped[:]):
        assert not np.shares_memory(dataclasses.replace(matrix, log_odds=values).log_odds, values)

    fixed = own.copy()
    fixed.setflags(write=False)
    for values in (fixed, fixed[:]):
        assert np.shares_memory(dataclasses.replace(matrix, log_odds=values).log_odds, values)
    assert dataclasses.replace(matrix, log_odds=own.astype(np.float32)).log_odds.dtype == np.float64


def test_every_nan_is_the_same_nan(matrix):
    other = np.full(matrix.log_odds.shape, -np.nan)
    other[0, 0] = 1
    other.setflags(write=False)
    held = dataclasses.replace(matrix, log_odds=other).log_odds
    assert held[0, 0] == 1
    assert {bits.tobytes() for bits in held.ravel()[1:]} == {np.float64(np.nan).tobytes()}


def test_words_out_of_order_cannot_be_held(matrix):
    with pytest.raises(InvalidInputError, match="sorted"):
        dataclasses.replace(matrix, words=tuple(reversed(matrix.words)))


def test_a_csv_holds_no_formula_and_gives_every_word_back(tmp_path):
    hostile = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''-", "'quote", "a\nb", 'a,"b']
    matrix = accumulated(random_rows(0, 100, vocabulary=hostile)).finalize()
    matrix.to_csv(tmp_path / "influence.csv")
    read = pd.read_csv(tmp_path / "influence.csv", keep_default_na=False, lineterminator="\n")
    assert not any(word[0] in "=+-@\t\r" for word in read["word"])
    restored = {
        word[1:] if word.startswith("'") and word.lstrip("'")[:1] in set("=+-@\t\r") else word
        for word in read["word"]
    }
    assert restored == set(matrix.words)
    assert tuple(read.columns) == COLUMNS


def test_an_empty_matrix_answers_too():
    matrix = accumulated({name: [] for name in random_rows(0)}).finalize()
    assert matrix.top_words("joy").empty
    assert matrix.to_pandas().empty
    assert all(getattr(matrix, n.replace("documents", "document_count")).size == 0 for n in NUMBERS)


def test_a_published_matrix_opens_without_torch_and_scipy(matrix, tmp_path):
    matrix.save_pretrained(tmp_path)
    script = (
        "import sys\n"
        "from hf_attn_attr.influence import InfluenceMatrix\n"
        f"matrix = InfluenceMatrix.from_pretrained({str(tmp_path)!r})\n"
        "matrix.top_words('joy'), matrix.word('hope'), matrix.score('hope', 'joy')\n"
        "heavy = {'torch', 'scipy', 'transformers', 'datasets', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_matrix_says_what_it_is_in_one_line(matrix):
    told = f"method {matrix.manifest['method']!r}, {matrix.manifest['texts']} texts"
    assert "joy" in repr(matrix)
    assert told in repr(matrix)
    assert "\n" not in repr(matrix)
    assert isinstance(matrix, InfluenceMatrix)
