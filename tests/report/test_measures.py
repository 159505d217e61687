"""What the page works out from its packed numbers is what the matrix says."""

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.errors import IncompatibleError
from hf_attn_attr.influence import fold
from hf_attn_attr.influence.statistics import BOUND
from hf_attn_attr.report.numbers import LEVELS, MARGIN_OCTAVE, OCTAVE, numbers_of, page_words
from hf_attn_attr.report.packing import LARGEST, pack, round_step, signed_steps

from .conftest import example_columns, standing

SCRIPTS = ("unpack", "matrix")
UNPACKED = """async () => {
  const {header, arrays} = await unpack("data");
  return Object.fromEntries(Object.entries(arrays).map(([name, a]) => [name, Array.from(a)]));
}"""
COLUMNS = """async names => {
  const matrix = new Matrix(await unpack("data"));
  const plain = values => Array.from(values, value => Number.isNaN(value) ? null : value);
  return {
    words: matrix.words,
    columns: Object.fromEntries(names.map(name => [name, matrix.has(name)
      ? matrix.labels.map((_, label) => plain(matrix.column(name, label))) : null])),
    evidence: matrix.labels.map((_, label) =>
      matrix.words.map((_, w) => matrix.evidence(w, label))),
    intervals: matrix.labels.map((_, label) =>
      matrix.words.slice(0, matrix.numbered).map((_, w) => plain(matrix.interval(w, label)))),
    nearest: matrix.nearest("hapy").map(word => matrix.words[word]),
  };
}"""
MEASURES = [
    *("influence", "lower_bound", "word_part", "context_part", "joint", "p_word_given_class"),
    *("p_class_given_word", "lift", "npmi", "log_odds", "q_value", "other_influence", "z"),
]


@pytest.fixture
def evaluate(browser):
    """Runs JavaScript with the page's own unpacking at hand."""
    context = browser.new_context()
    opened = context.new_page()

    def run(data, code, argument=None):
        opened.set_content(f'<script type="text/plain" id="data">{data}</script>')
        place = files("hf_attn_attr.report") / "page"
        for name in SCRIPTS:
            opened.add_script_tag(content=(place / f"{name}.js").read_text("utf-8"))
        return opened.evaluate(code, argument)

    yield run
    context.close()


@pytest.fixture
def told(evaluate, matrix):
    other = fold(example_columns(texts=90), provenance={"method": "contribution"})
    numbers = numbers_of(matrix, other)
    answer = evaluate(pack(numbers.header, numbers.arrays), COLUMNS, MEASURES)
    rows = [matrix.words.index(word) for word in answer["words"]][: numbers.header["numbered"]]
    columns = {
        name: None if found is None else np.array(found, float).T
        for name, found in answer["columns"].items()
    }
    return answer, rows, columns, numbers.header["steps"], other


def test_numbers_of_words_with_enough_texts_come_first(told, matrix):
    answer, rows, _, _, _ = told
    assert sorted(answer["words"]) == list(matrix.words)
    documents = matrix.document_count[rows]
    assert (documents[:-1] >= documents[1:]).all()
    assert len(rows) == (matrix.document_count >= 3).sum()


@pytest.mark.parametrize("name", ["influence", "word_part", "context_part", "log_odds"])
def test_influences_are_right_to_the_step(told, matrix, name):
    _, rows, columns, steps, _ = told
    step = steps["log_odds" if name == "log_odds" else "influence"]
    wanted = getattr(matrix, name)[rows]
    np.testing.assert_allclose(columns[name], wanted, atol=1.01 * step, rtol=1e-6)
    assert np.abs(wanted).max() / step > 30


@pytest.mark.parametrize("name", ["joint", "p_word_given_class", "p_class_given_word", "lift"])
def test_shares_are_right_to_a_few_percent(told, matrix, name):
    _, rows, columns, _, _ = told
    bound = 2 ** (1.01 * OCTAVE) - 1  # of lift and of P(word), half a step each
    np.testing.assert_allclose(columns[name], getattr(matrix, name)[rows], rtol=bound)


def test_npmi_and_q_values_are_right(told, matrix):
    _, rows, columns, _, _ = told
    np.testing.assert_allclose(columns["npmi"], matrix.npmi[rows], atol=0.02)
    q_value = matrix.association_q_value[rows]
    assert (columns["q_value"] >= q_value * (1 - 1e-6)).all()
    np.testing.assert_allclose(
        columns["q_value"], np.array(LEVELS)[np.searchsorted(LEVELS, q_value)]
    )


def test_the_evidence_is_exactly_that_of_the_matrix(told, matrix):
    answer, _, _, _, _ = told
    order = [matrix.words.index(word) for word in answer["words"]]
    wanted = standing(matrix)[order]
    assert (wanted == np.array(answer["evidence"]).T).all()
    assert {"consistent", "unsupported", "uncertain"} <= set(wanted.reshape(-1))


def test_intervals_and_bounds_are_right_to_step_and_width(told, matrix):
    answer, rows, columns, steps, _ = told
    low, high = (np.array(answer["intervals"], float)[:, :, end].T for end in (0, 1))
    width = (matrix.high - matrix.low)[rows] / 2
    room = steps["influence"] / 2 + width * (2 ** (MARGIN_OCTAVE / 2) - 1) + 1e-6
    assert (np.abs(low - matrix.low[rows]) <= room).all()
    assert (np.abs(high - matrix.high[rows]) <= room).all()
    bound = np.abs(columns["lower_bound"] - matrix.lower_bound[rows])
    assert (bound <= room * BOUND + steps["influence"]).all()


def test_a_second_matrix_is_matched_by_word_and_label(told, matrix):
    answer, rows, columns, steps, other = told
    compared = matrix.compare(other, min_documents=3).dropna(subset="difference")
    compared = compared.set_index(["word", "label"])
    assert len(compared) > 30
    for (word, label), found in compared.iterrows():
        cell = answer["words"].index(word), matrix.labels.index(label)
        assert columns["other_influence"][cell] == pytest.approx(
            found["influence_other"], abs=1.01 * steps["influence"]
        )
        error = np.hypot(
            matrix.standard_error[matrix.words.index(word), cell[1]],
            other.standard_error[other.words.index(word), other.labels.index(label)],
        )
        z = found["difference"] / error
        assert columns["z"][cell] == pytest.approx(z, abs=0.3 + 0.1 * abs(z))
    absent = [word not in other.words for word in answer["words"][: len(rows)]]
    assert np.isnan(columns["other_influence"][absent]).all()


def test_a_mistyped_word_finds_its_neighbours(told):
    assert told[0]["nearest"][0] == "happy"


def test_matrices_of_other_labels_are_not_compared(matrix):
    other = fold(example_columns(labels=["a", "b", "c"], texts=20))
    with pytest.raises(IncompatibleError, match="labels"):
        numbers_of(matrix, other)


def test_words_beyond_the_budget_keep_their_names_alone(matrix):
    numbers = numbers_of(matrix, most=5)
    assert numbers.header["numbered"] == 5
    assert numbers.header["words"] == page_words(matrix)
    assert sorted(page_words(matrix)) == list(matrix.words)
    assert numbers.arrays["mean"].shape == (3, 5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_step_is_round_and_small_enough(values):
    array = np.array(values)
    step = round_step(array)
    digits = f"{step:.0e}"
    assert digits[0] in "125"
    assert float(digits) == pytest.approx(step, rel=1e-12)
    assert np.abs(array).max() / step <= LARGEST


@given(st.lists(st.one_of(st.floats(-1e4, 1e4), st.just(np.nan)), min_size=1))
def test_signed_steps_keep_values_to_half_a_step(values):
    array = np.array(values)
    step = round_step(array)
    codes = signed_steps(array, step).astype(int)
    back = np.where(codes & 1, -(codes + 1) // 2, codes // 2) * step
    missing = codes == 0xFFFF
    assert (missing == np.isnan(array)).all()
    assert (np.abs(back - array)[~missing] <= step * 0.5001).all()


def test_arrays_of_every_width_survive(evaluate):
    rng = np.random.default_rng(0)
    arrays = {
        "one": rng.integers(0, 256, 7).astype(np.uint8),
        "two": rng.integers(0, 2**16, (3, 5)).astype(np.uint16),
        "four": rng.integers(0, 2**32, 11).astype(np.uint32),
        "none": np.zeros(0, np.uint16),
    }
    answer = evaluate(pack({"text": "</script>\u2028"}, arrays), UNPACKED)
    assert answer == {name: array.reshape(-1).tolist() for name, array in arrays.items()}
