"""Data beside model: matched by name, saved with the matrix, and where the two part."""

import dataclasses

import numpy as np
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


def test_words_of_which_model_and_data_differ_are_listed():
    """500 words whose log-odds are twice their influence, but for some."""
    rng = np.random.default_rng(0)
    words = tuple(f"w{i:03}" for i in range(500))
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

    def column(values):
        return np.stack([values, -values], axis=1)

    noisy = mean + rng.normal(size=500) * 0.1, log_odds + rng.normal(size=500) * 0.2
    empty = accumulated(random_rows(0, 0, LABELS[:2]), labels=LABELS[:2]).finalize()
    nothing = np.full((500, 2), np.nan)
    numbers = {
        name: nothing
        for name, value in vars(empty).items()
        if isinstance(value, np.ndarray) and value.ndim == 2
    }
    matrix = dataclasses.replace(
        empty,
        **numbers
        | {
            "words": words,
            "count": documents,
            "document_count": documents,
            "degrees_of_freedom": documents - 1.0,
            "attention_ratio": np.ones(500),
            "mean": column(noisy[0]),
            "influence": column(noisy[0]),
            "standard_error": np.abs(column(error)),
            "log_odds": column(noisy[1]),
            "log_odds_standard_error": np.full((500, 2), 0.2),
        },
    )
    table = matrix.disagreements("fear", k=8)
    in_model = table[table["stronger_in"] == "model"]
    in_data = table[table["stronger_in"] == "data"]
    assert sorted(in_model["word"][:4]) == ["w001", "w002", "w003", "w004"]  # w000: 2 texts
    assert sorted(in_data["word"][:5]) == ["w005", "w006", "w007", "w008", "w009"]
    assert "w010" not in table["word"].tolist()
    assert len(in_model) <= 8
    assert (table["bound"] > 0).all()
    for part in (in_model, in_data):
        assert part["bound"].is_monotonic_decreasing
        np.testing.assert_allclose(part["model"] - part["data"], part["difference"])
    assert (in_model["model"].abs() >= in_model["data"].abs()).all()
    assert "w000" in matrix.disagreements("fear", min_documents=1)["word"].tolist()
    assert matrix.disagreements("fear", k=0).empty


def test_the_spread_of_true_values_is_found_behind_unequal_noise():
    rng = np.random.default_rng(0)
    errors = rng.gamma(1.0, size=20_000) + 0.01
    values = 0.7 * rng.normal(size=20_000) + errors * rng.normal(size=20_000)
    assert spread_beyond_noise(values, errors) == pytest.approx(0.7, rel=0.05)
    assert spread_beyond_noise(values, np.full(20_000, 1e9)) == np.sqrt((values**2).mean())
    assert spread_beyond_noise(np.array([2.0, -2.0]), np.zeros(2)) == pytest.approx(2)
    assert spread_beyond_noise(np.zeros(3), np.zeros(3)) == 1
    assert spread_beyond_noise(np.zeros(0), np.zeros(0)) == 1
