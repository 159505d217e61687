"""What the sums rest on: no term is larger than its bound says, no sum than what is kept of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr.influence import InfluenceAccumulator, terms
from hf_attn_attr.influence.exact import sum_groups

from .texts import LABELS, accumulated, random_rows

seeds = st.integers(0, 2**32 - 1)


def checked(seen):
    """`sum_groups` that looks at the bound first."""

    def run(values, groups, bits, bound):
        seen.append(np.abs(values).max() <= bound)
        return sum_groups(values, groups, bits, bound)

    return run


@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_bounds_hold_for_the_worst_text(monkeypatch, kind, times):
    """One class against all others in every occurrence: centring makes that as large as it gets."""
    terms_of_word = [3.0, -3.0, -3.0]
    row = {
        "words": [["a"] * times],
        "attention": [[1 / times] * times],
        "attribution": [terms_of_word * times],
        "attribution_context": [terms_of_word * times],
        "probabilities": [[1.0, 0.0, 0.0]],
    }
    seen = []
    monkeypatch.setattr(terms, "sum_groups", checked(seen))
    accumulated(row, problem_type=kind)
    # Attention, both attributions, squares and products.
    assert seen == [True] * 5


@given(seeds)
@settings(max_examples=20)
def test_bounds_hold_for_any_text_and_reach_covers_what_is_summed(seed):
    accumulator, seen = InfluenceAccumulator(LABELS), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "sum_groups", checked(seen))
        for part in range(3):
            rows = random_rows(seed + part, 9)
            rows["attribution"] = [[-abs(n) for n in row] for row in rows["attribution"]]
            accumulator.update(rows)
    assert all(seen)
    sums = accumulator._sums
    sums.carried()
    for name, limbs in sums._sums.items():
        assert sums._reach[name] == np.abs(limbs.high).max()
