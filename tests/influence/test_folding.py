"""Whole datasets against the accumulator, and the joint against its two factors."""

from fractions import Fraction

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr.errors import IncompatibleError, InvalidInputError, NonFiniteError
from hf_attn_attr.influence import attention_matrix, class_matrix, fold

from .test_storage import same
from .texts import LABELS, accumulated, random_rows

PREDICTION = {
    "single_label_classification": ClassLabel(names=list(LABELS)),
    "multi_label_classification": List(ClassLabel(names=list(LABELS))),
    "regression": Value("float32"),
}
ONE_PREDICTION = {
    "single_label_classification": 0,
    "multi_label_classification": [0, 2],
    "regression": 0.5,
}


def dataset_of(rows, problem_type="single_label_classification", kind="float32"):
    n_texts = len(rows["words"])
    floats = List(Value(kind))
    features = Features(
        words=List(Value("string")),
        **{name: floats for name in rows if name != "words"},
        prediction=PREDICTION[problem_type],
    )
    prediction = [ONE_PREDICTION[problem_type]] * n_texts
    return Dataset.from_dict({**rows, "prediction": prediction}, features=features)


@pytest.mark.parametrize("problem_type", sorted(PREDICTION))
def test_a_dataset_folds_to_what_its_rows_accumulate_to(problem_type):
    labels = ("value",) if problem_type == "regression" else LABELS
    rows = random_rows(0, 50, labels, problem_type)
    expected = accumulated(rows, labels=labels, problem_type=problem_type).finalize({"corpus": "x"})
    dataset = dataset_of(rows, problem_type)
    for batch_size in (1, 7, 1000):
        assert same(fold(dataset, provenance={"corpus": "x"}, batch_size=batch_size), expected)


def test_a_stream_folds_to_what_the_dataset_folds_to():
    dataset = dataset_of(random_rows(0, 50))
    assert same(fold(dataset.to_iterable_dataset(num_shards=3), batch_size=7), fold(dataset))
    assert len(fold(dataset.to_iterable_dataset(), max_words=3).words) == 4


def test_selected_shuffled_and_joined_rows_are_the_rows_read():
    rows = random_rows(0, 40)
    dataset = dataset_of(rows)
    expected = fold(dataset)
    assert same(fold(dataset.shuffle(seed=1)), expected)
    halves = [dataset.select(range(15, 40)), dataset.select(range(15))]
    assert same(fold(concatenate_datasets(halves), batch_size=9), expected)
    assert same(fold(dataset_of(rows, kind="float64")), expected)
    assert fold(dataset.select(range(15))).manifest["texts"] < expected.manifest["texts"]


def test_options_reach_the_matrix():
    rows = random_rows(0, 20)
    matrix = fold(
        dataset_of(rows), lowercase=False, normalization=None, provenance={"method": "occlusion"}
    )
    assert matrix.manifest["word_rule"] == {"lowercase": False, "normalization": None}
    assert matrix.manifest["method"] == "occlusion"
    assert "Hope" in matrix.words
    words, attention = attention_matrix(dataset_of(rows), lowercase=False, normalization=None)
    assert words == matrix.words
    assert attention.shape == (len(words), 20)
    regression = random_rows(0, 20, ("value",), "regression")
    assert fold(dataset_of(regression, "regression"), label_names=["stars"]).labels == ("stars",)


def test_a_fold_tells_of_its_progress():
    seen = []
    fold(dataset_of(random_rows(0, 20)), batch_size=8, advance=seen.append)
    assert seen == [8, 8, 4]


def test_without_provenance_the_columns_tell_the_method():
    rows = random_rows(0, 20)
    nothing = [None] * 20
    assert fold(dataset_of(rows)).manifest["method"] == "contribution"
    assert fold(dataset_of(rows).select([])).manifest["method"] == "contribution"
    unsigned = rows | {"attribution": nothing, "attribution_context": nothing}
    assert fold(dataset_of(unsigned)).manifest["method"] == "attention"
    assert fold(dataset_of(rows | {"attention": nothing})).manifest["method"] == "unnamed"


def test_the_provenance_names_the_classes_that_were_attributed():
    rows = random_rows(0, 20)
    for name in ("attribution", "attribution_context"):
        rows[name] = [np.reshape(row, (-1, 3))[:, [0, 2]].ravel().tolist() for row in rows[name]]
    some = fold(dataset_of(rows), provenance={"classes": ["joy", "anger"]})
    assert some.manifest["classes"] == ["joy", "anger"]
    assert np.isnan(some.influence[:, 1]).all()
    assert np.isfinite(some.influence[:, [0, 2]]).all()


def test_attributions_of_predicted_classes_alone_are_refused():
    dataset = dataset_of(random_rows(0, 5)).add_column("attributed_class", [0] * 5)
    with pytest.raises(InvalidInputError, match=r"predicted class alone.*extract with classes="):
        fold(dataset)


def test_without_attention_there_is_no_matrix_of_it():
    rows = random_rows(0, 20)
    dataset = dataset_of(rows | {"attention": [None] * 20})
    with pytest.raises(InvalidInputError, match=r"attention is null.*Extract with"):
        attention_matrix(dataset)
    no_words = dataset.filter(lambda row: not row["words"])
    assert len(no_words) > 0
    assert attention_matrix(no_words)[1].shape == (0, len(no_words))


def test_a_bad_row_of_the_two_matrices_is_named_by_its_place():
    rows = random_rows(0, 30)
    rows["words"][25] = None
    for function in (attention_matrix, class_matrix):
        with pytest.raises(InvalidInputError, match="Row 25 of words is null"):
            function(dataset_of(rows), batch_size=8)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["single_label_classification", "multi_label_classification"]),
)
@settings(max_examples=10)
def test_the_joint_is_the_product_of_the_two_matrices(seed, problem_type):
    rows = random_rows(seed, 15, problem_type=problem_type)
    dataset = dataset_of(rows, problem_type)
    matrix = fold(dataset)
    words, attention = attention_matrix(dataset, batch_size=4)
    classes = class_matrix(dataset, batch_size=6)
    n = matrix.manifest["texts"]
    assert words == matrix.words
    assert attention.shape == (len(words), 15)
    assert classes.shape == (3, 15)
    # Each of at most 15 terms was rounded to the grid once.
    np.testing.assert_allclose(
        matrix.joint, attention @ classes.T / max(n, 1), rtol=1e-12, atol=15 * 2.0**-61
    )
    dense = attention.toarray()
    for w in range(len(words)):
        for c in range(3):
            exact = sum(
                Fraction(a) * Fraction(p) for a, p in zip(dense[w], classes[c], strict=True)
            )
            assert float(exact / n) == pytest.approx(matrix.joint[w, c], rel=1e-12, abs=1e-17)


def test_columns_of_both_matrices_are_texts():
    rows = random_rows(3, 30)
    dataset = dataset_of(rows)
    _, attention = attention_matrix(dataset)
    classes = class_matrix(dataset)
    has_words = np.array([bool(words) for words in rows["words"]])
    assert not has_words.all()
    np.testing.assert_allclose(attention.sum(axis=0), has_words, atol=1e-6)
    np.testing.assert_allclose(classes.sum(axis=0), has_words, atol=1e-6)
    empty = dataset.select(range(0))
    assert attention_matrix(empty)[1].shape == (0, 0)
    assert class_matrix(empty).shape == (3, 0)
    assert fold(empty).words == ()


def test_regression_has_attention_but_no_classes():
    dataset = dataset_of(random_rows(0, 10, ("value",), "regression"), "regression")
    assert attention_matrix(dataset)[1].shape[1] == 10
    with pytest.raises(InvalidInputError, match="no classes"):
        class_matrix(dataset)


def test_a_bad_row_is_named_by_its_place_in_the_dataset():
    rows = random_rows(0, 30)
    bad = next(i for i in range(20, 30) if rows["words"][i])
    rows["attribution"][bad][0] = float("nan")
    with pytest.raises(NonFiniteError, match=f"Row {bad} of attribution"):
        fold(dataset_of(rows), batch_size=8)


def test_a_dataset_without_the_columns_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"attention.*it has \['text'\].*extract"):
        fold(Dataset.from_dict({"text": ["a"]}))
    dataset = dataset_of(random_rows(0, 5))
    with pytest.raises(InvalidInputError, match="ClassLabel"):
        fold(dataset.cast_column("prediction", Value("int64")))
    with pytest.raises(IncompatibleError, match="sorrow"):
        fold(dataset, label_names=["joy", "fear", "sorrow"])
