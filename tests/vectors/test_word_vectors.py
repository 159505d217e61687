"""Word vectors are centred, turned and scaled as promised, and found for a vocabulary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from hf_attn_attr import InvalidInputError, NonFiniteError
from hf_attn_attr.vectors import WordVectors


def named(vectors):
    words = tuple(f"w{row}" for row in range(len(vectors)))
    return WordVectors(words, np.asarray(vectors, dtype=np.float32), "made here")


def rms(vectors):
    return np.sqrt((vectors.astype(np.float64) ** 2).mean(axis=1))


@st.composite
def clouds(draw):
    """Random vectors of full rank whose variances differ, so that their axes are determined."""
    dimensions = draw(st.integers(2, 12))
    rows = draw(st.integers(4 * dimensions, 80))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    turn = np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0]
    cloud = random.normal(size=(rows, dimensions)) * 2.0 ** np.arange(dimensions) @ turn
    return cloud + draw(st.floats(-5, 5))


@given(clouds(), st.integers(1, 14))
def test_reduction_is_pca_with_a_fixed_sign_and_unit_rms(cloud, size):
    vectors = named(cloud)
    pca = PCA(min(size, cloud.shape[1]), svd_solver="full").fit(vectors.vectors.astype(np.float64))
    largest = np.abs(pca.components_).argmax(axis=1)
    signs = np.sign(pca.components_[range(len(largest)), largest])
    projected = pca.transform(vectors.vectors.astype(np.float64)) * signs
    wanted = projected / np.sqrt((projected**2).mean(axis=1, keepdims=True))
    reduced = vectors.reduced(size)
    assert reduced.words == vectors.words
    assert reduced.source == vectors.source
    assert np.allclose(reduced.vectors, wanted, atol=1e-4)
    assert np.allclose(rms(reduced.vectors), 1, atol=1e-5)


@given(clouds(), st.floats(0.1, 10), st.integers(-8, 8))
def test_reduction_forgets_where_the_vectors_lie_and_how_long_they_are(cloud, scale, shift):
    reduced = named(cloud).reduced(4).vectors
    assert np.allclose(named(scale * cloud + shift).reduced(4).vectors, reduced, atol=1e-2)


def test_reduction_to_no_fewer_dimensions_keeps_angles_about_the_mean():
    cloud = np.random.default_rng(0).normal(size=(20, 6)) + 3
    reduced = named(cloud).reduced(100).vectors
    centred = cloud - cloud.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert np.allclose(reduced @ reduced.T / 6, centred @ centred.T, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7])
def test_vectors_that_equal_their_mean_become_zero(rows):
    assert not named(np.full((rows, 3), 0.1)).reduced(2).vectors.any()


def test_vectors_of_which_no_kept_dimension_says_anything_become_zero():
    reduced = named([[3, 4], [-3, -4], [0.8, -0.6], [-0.8, 0.6]]).reduced(1)
    assert reduced.vectors.round(5).ravel().tolist() == [1, -1, 0, 0]


def test_reduction_needs_a_dimension():
    with pytest.raises(InvalidInputError, match="at least 1"):
        named(np.eye(3)).reduced(0)


def test_table_follows_the_vocabulary_and_falls_back_on_other_cases():
    vectors = WordVectors(
        ("good", "Paris", "US", "us", "bad", "Good"), np.eye(6, dtype=np.float32), "made here"
    )
    vocabulary = [None, "bad", "GOOD", "paris", "US", "Us", "absent", "bad"]
    table, found = vectors.table(vocabulary)
    assert found.tolist() == [False, True, True, True, True, True, False, True]
    assert table.dtype == np.float32
    assert table.argmax(axis=1)[found].tolist() == [4, 0, 1, 2, 3, 4]
    assert (table.sum(axis=1) == found).all()


def test_table_of_an_empty_vocabulary_is_empty():
    table, found = named(np.eye(3)).table([])
    assert table.shape == (0, 3)
    assert found.shape == (0,)


@pytest.mark.parametrize(
    ("words", "vectors"),
    [
        (("a", "a"), np.zeros((2, 2), np.float32)),
        (("a",), np.zeros((2, 2), np.float32)),
        (("a", "b"), np.zeros((2, 2), np.float64)),
        (("a", "b"), np.zeros(2, np.float32)),
        ((), np.zeros((0, 2), np.float32)),
    ],
)
def test_words_and_vectors_that_do_not_fit_are_refused(words, vectors):
    with pytest.raises(InvalidInputError):
        WordVectors(words, vectors, "made here")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_named(bad):
    vectors = np.zeros((3, 2), np.float32)
    vectors[1, 1] = bad
    with pytest.raises(NonFiniteError, match="'w1'"):
        named(vectors)
