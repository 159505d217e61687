"""Data beside model: matched by name, saved with the matrix, and where the two part."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_attn_attr.errors import IncompatibleError, InvalidInputError
from hf_attn_attr.influence import InfluenceMatrix, association
from hf_attn_attr.influence.contrast import spread_beyond_noise

from .texts import LABELS, VOCABULARY, accumulated, random_rows

ROWS = random_rows(0, 200, vocabulary=VOCABULARY[:8])


def table_of(words=None, names=LABELS, **settings):
    words = ROWS["words"] if words is None else words
    gold = np.random.default_rng(0).integers(0, len(names), len(words))
    features = Features(words=List(Value("string")), label=ClassLabel(names=list(names)))
    dataset = Dataset.from_dict({"words": words, "label": gold}, features=features)
    return association(dataset, **settings)


@pytest.fixture(scope="module")
def matrix():
    return accumulated(ROWS).finalize({"corpus": "test"})


def test_what_the_data_say_is_matched_by_word_and_label(matrix):
    seen = [[word for word in text if word.lower() != "hope"] for text in ROWS["words"]]
    seen.append(["elsewhere"])
    table = table_of(seen, LABELS[::-1])
    filled = matrix.with_association(table)
    for w, word in enumerate(matrix.words):
        for c, label in enumerate(LABELS):
            if word == "hope":
                assert np.isnan(filled.log_odds[w, c])
                assert np.isnan(filled.association_q_value[w, c])
                continue
            at = table.words.index(word), table.labels.index(label)
            assert filled.log_odds[w, c] == table.log_odds[at]
            assert filled.log_odds_standard_error[w, c] == table.log_odds_standard_error[at]
            assert filled.association_q_value[w, c] == table.q_value[at]
    assert filled.manifest["checks"]["association"] == table.description
    assert matrix.manifest["checks"] == {}
    assert filled.score("gloom", "fear").log_odds == filled.word("gloom")["log_odds"][1]


def test_what_the_data_say_is_saved_with_the_matrix(matrix, tmp_path):
    filled = matrix.with_association(table_of())
    filled.save_pretrained(tmp_path)
    loaded = InfluenceMatrix.from_pretrained(tmp_path)
    for name in ("log_odds", "log_odds_standard_error", "association_q_value"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(filled, name))
    assert loaded.manifest == filled.manifest
    assert loaded.top_words("joy", by="log_odds")["log_odds"].is_monotonic_decreasing


def test_other_labels_or_another_word_rule_are_refused(matrix):
    with pytest.raises(IncompatibleError, match=r"labels .*'disgust'"):
        matrix.with_association(table_of(names=("joy", "fear", "disgust")))
    with pytest.raises(IncompatibleError, match="word rule"):
        matrix.with_association(table_of(lowercase=False))


def test_disagreements_need_the_data(matrix):
    with pytest.raises(InvalidInputError, match="with_association"):
        matrix.disagreements("joy")
    with pytest.raises(InvalidInputError, match="not a label"):
        matrix.with_association(table_of()).disagreements("grief")


def matrix_of(documents, **columns):
    """A matrix of two classes, the second (fear) with these columns and the first their negative.

    The words are w000, w001, ...; numbers that are not given are undefined.
    """
    empty = accumulated(random_rows(0, 0, LABELS[:2]), labels=LABELS[:2]).finalize()
    numbers = {
        name: np.full((len(documents), 2), np.nan)
        for name, value in vars(empty).items()
        if isinstance(value, np.ndarray) and value.ndim == 2
    }
    for name, values in columns.items():
        errors = name.endswith(("error", "q_value"))
        numbers[name] = np.stack([values if errors else -values, values], axis=1)
    return dataclasses.replace(
        empty,
        words=tuple(f"w{i:03}" for i in range(len(documents))),
        count=documents,
        document_count=documents,
        degrees_of_freedom=documents - 1.0,
        attention_ratio=np.ones(len(documents)),
        **numbers,
    )


def test_words_of_which_model_and_data_differ_are_listed():
    """500 words whose log-odds are twice their influence, but for some."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    mean, log_odds = truth.copy(), 2 * truth
    mean[:5] = 3.0  # shortcuts: the model pushes, the data do not
    log_odds[:5] = 0.0
    mean[5:10] = 0.0  # cues that the model ignores
    log_odds[5:10] = -6.0
    mean[10], log_odds[10], documents = 3.0, 0.0, np.full(500, 50)  # known too badly to say
    error = np.full(500, 0.1)
    error[10] = 3.0
    documents[0] = 2
    mean += rng.normal(size=500) * 0.1
    log_odds += rng.normal(size=500) * 0.2
    matrix = matrix_of(
        documents,
        mean=mean,
        influence=mean,
        standard_error=error,
        log_odds=log_odds,
        log_odds_standard_error=np.full(500, 0.2),
    )
    table = matrix.disagreements("fear", k=8)
    in_model = table[table["stronger_in"] == "model"]
    in_data = table[table["stronger_in"] == "data"]
    assert sorted(in_model["word"][:4]) == ["w001", "w002", "w003", "w004"]  # w000: 2 texts
    assert sorted(in_data["word"][:5]) == ["w005", "w006", "w007", "w008", "w009"]
    assert "w010" not in table["word"].tolist()
    assert len(in_model) <= 8
    assert "w000" in matrix.disagreements("fear", min_documents=1)["word"].tolist()
    assert matrix.disagreements("fear", k=0).empty


@pytest.mark.parametrize(("min_documents", "k"), [(1, 60), (3, 7)])
def test_disagreements_are_computed_word_by_word(min_documents, k):
    rng = np.random.default_rng(1)
    n = 60
    documents = rng.integers(1, 9, n)
    documents[:2] = 3  # the limit itself
    columns = {
        name: rng.normal(size=n) * scale
        for name, scale in (("mean", 2), ("influence", 1), ("low", 1), ("log_odds", 5))
    }
    columns["low"] = columns["mean"] - 0.5
    columns["high"] = columns["mean"] + 0.5
    for name, scale in (("standard_error", 0.3), ("log_odds_standard_error", 0.4)):
        columns[name] = rng.gamma(2.0, scale, n)
    columns["association_q_value"] = rng.random(n)
    for name, row in (("standard_error", 2), ("log_odds", 3), ("log_odds_standard_error", 4)):
        columns[name][row] = np.nan
    matrix = matrix_of(documents, **columns)
    used = [w for w in range(n) if documents[w] >= min_documents and w not in (2, 3, 4)]
    scale, scale_of_data = (
        spread_beyond_noise(columns[value][used], columns[error][used])
        for value, error in (
            ("mean", "standard_error"),
            ("log_odds", "log_odds_standard_error"),
        )
    )
    assert scale != pytest.approx(1)
    expected: dict[str, list[dict]] = {"model": [], "data": []}
    for w in used:
        model, data = columns["mean"][w] / scale, columns["log_odds"][w] / scale_of_data
        error = np.hypot(
            columns["standard_error"][w] / scale,
            columns["log_odds_standard_error"][w] / scale_of_data,
        )
        bound = abs(model - data) - 1.64 * error
        if bound <= 0:
            continue
        side = "model" if abs(model) >= abs(data) else "data"
        expected[side].append(
            {
                "word": f"w{w:03}",
                "documents": documents[w],
                "stronger_in": side,
                "model": model,
                "data": data,
                "difference": model - data,
                "bound": bound,
                "influence": columns["influence"][w],
                "evidence": "consistent" if abs(columns["mean"][w]) > 0.5 else "uncertain",
                "log_odds": columns["log_odds"][w],
                "association_q_value": columns["association_q_value"][w],
            }
        )
    listed = [
        row
        for side in ("model", "data")
        for row in sorted(expected[side], key=lambda row: -row["bound"])[:k]
    ]
    assert len(listed) == 14 if k == 7 else 14 < len(listed) < len(used)
    found = matrix.disagreements("fear", k=k, min_documents=min_documents)
    pd.testing.assert_frame_equal(found, pd.DataFrame(listed), check_dtype=False, rtol=1e-3)


def test_equal_disagreements_are_listed_in_word_order_and_ties_go_to_the_model():
    n = 400
    side = np.arange(n) * 7 % 3 + 1.0
    matrix = matrix_of(
        np.full(n, 3),
        mean=side,
        influence=side,
        standard_error=np.zeros(n),
        log_odds=-side,
        log_odds_standard_error=np.zeros(n),
    )
    table = matrix.disagreements("fear", k=n)
    assert (table["stronger_in"] == "model").all()
    size = dict(zip(matrix.words, side, strict=True))
    assert table["word"].tolist() == sorted(matrix.words, key=lambda word: (-size[word], word))


def test_the_spread_of_true_values_is_found_behind_unequal_noise():
    rng = np.random.default_rng(0)
    errors = rng.gamma(1.0, size=20_000) + 0.01
    values = 0.7 * rng.normal(size=20_000) + errors * rng.normal(size=20_000)
    assert spread_beyond_noise(values, errors) == pytest.approx(0.7, rel=0.05)
    assert spread_beyond_noise(values, np.full(20_000, 1e9)) == np.sqrt((values**2).mean())
    assert spread_beyond_noise(np.array([2.0, -2.0]), np.zeros(2)) == pytest.approx(2)
    assert spread_beyond_noise(np.array([2.0]), np.array([1.5])) == pytest.approx(1.75**0.5)
    values, errors = values[:50], errors[:50]
    found = spread_beyond_noise(values, errors)
    assert np.sum(values**2 / (errors**2 + found**2)) == pytest.approx(50)
    assert spread_beyond_noise(np.zeros(3), np.zeros(3)) == 1
    assert spread_beyond_noise(np.zeros(0), np.zeros(0)) == 1
