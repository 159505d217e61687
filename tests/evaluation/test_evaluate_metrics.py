"""The metrics as parts of Hugging Face's `evaluate`, without a network."""

import evaluate
import numpy as np
import pytest

import hf_attn_attr
from hf_attn_attr import (
    Comprehensiveness,
    DecisionFlip,
    InvalidInputError,
    LeaveOneOutTau,
    RationaleOverlap,
    Sufficiency,
)
from hf_attn_attr.evaluation import auprc, comprehensiveness, leave_one_out_tau

METRICS = [Comprehensiveness, Sufficiency, DecisionFlip, LeaveOneOutTau, RationaleOverlap]
COLUMNS = {
    "full": [0.9, 0.8, 0.7],
    "without": [[0.5, 0.1], [0.5, 0.4], [0.7, 0.6]],
    "alone": [[0.9, 0.9], [0.7, 0.8], [0.1, 0.2]],
    "kept": [[True, False], [True], []],
    "removed": [[0.25, 0.5], [0.5], []],
    "scores": [[0.3, 0.2, 0.1], [1.0, 2.0], [0.0]],
    "losses": [[0.4, 0.0, 0.1], [-0.1, 0.2], [0.0]],
    "rationale": [[True, False, True], [False, True], [False]],
}
WANTED = {
    "comprehensiveness": np.mean([0.6, 0.35, 0.05]),
    "sufficiency": np.mean([0.0, 0.05, 0.55]),
    "flip_fraction": (0.5 + 1 + 1) / 3,
    "never_flips": 2 / 3,
    "leave_one_out_tau": (1 / 3 + 1) / 2,
    # Mean marked share (2/3 + 1/2) / 2: the two first words of three, both of two.
    "token_f1": (0.5 + 2 / 3) / 2,
    # {0, 1} overlaps {0} by half, so P = 1, R = 1/2; {0, 1} overlaps {1} by half, P = R = 1.
    "iou_f1": 2 * 1 * 0.75 / 1.75,
    "auprc": np.nanmean(auprc(COLUMNS["scores"], COLUMNS["rationale"])),
}


def test_all_at_once_and_in_batches():
    combined = evaluate.combine([metric() for metric in METRICS])
    assert combined.compute(**COLUMNS) == pytest.approx(WANTED)
    for rows in (slice(0, 1), slice(1, 3)):
        combined.add_batch(**{name: values[rows] for name, values in COLUMNS.items()})
    assert combined.compute() == pytest.approx(WANTED)


@pytest.mark.parametrize("metric", METRICS)
def test_one_by_one(metric):
    module = metric()
    own = {name: COLUMNS[name] for name in module.columns}
    found = module.compute(**own)
    assert found == pytest.approx({name: WANTED[name] for name in found})
    module.add(**{name: values[0] for name, values in own.items()})
    assert set(module.compute()) == set(found)
    assert metric.__name__ in hf_attn_attr.__all__
    assert module.inputs_description.count("\n") >= len(own)
    assert module.citation


def test_a_single_share_and_options():
    single = Comprehensiveness().compute(full=[0.9, 0.8], without=[0.5, 0.1])
    assert single == pytest.approx({"comprehensiveness": 0.55})
    combined = evaluate.combine([Sufficiency(), RationaleOverlap()])
    combined.add_batch(**{name: COLUMNS[name] for name in ("full", "alone", "scores", "rationale")})
    found = combined.compute(share=0.1, threshold=0.9)
    assert found["token_f1"] == pytest.approx((2 / 3 + 1) / 2)  # the first word alone of each
    assert found["iou_f1"] == pytest.approx(2 * 1 * 0.75 / 1.75)


def test_files_are_used_where_processes_share(tmp_path):
    module = Comprehensiveness(keep_in_memory=False, cache_dir=str(tmp_path))
    module.add_batch(full=COLUMNS["full"], without=COLUMNS["without"])
    assert list(tmp_path.rglob("*.arrow"))
    assert module.compute()["comprehensiveness"] == pytest.approx(WANTED["comprehensiveness"])


def test_numbers_are_those_of_the_functions():
    rng = np.random.default_rng(0)
    full, without = rng.random(20), rng.random((20, 5))
    found = Comprehensiveness().compute(full=full, without=without)["comprehensiveness"]
    assert found == pytest.approx(comprehensiveness(full, without).mean())
    scores, losses = rng.normal(size=(2, 20, 6))
    found = LeaveOneOutTau().compute(scores=scores, losses=losses)["leave_one_out_tau"]
    assert found == pytest.approx(leave_one_out_tau(list(scores), list(losses)).mean())


@pytest.mark.parametrize(
    ("metric", "columns", "error"),
    [
        (RationaleOverlap, {"scores": [[1.0]], "rationale": [[False]]}, "No text has a word"),
        (LeaveOneOutTau, {"scores": [[1.0]], "losses": [[1.0, 2.0]]}, "one number per word"),
    ],
)
def test_bad_input_is_refused(metric, columns, error):
    with pytest.raises((ValueError, KeyError), match=error):
        metric().compute(**columns)


def test_unknown_options_are_refused():
    with pytest.raises(InvalidInputError, match="No metric has a column or option 'sharee'"):
        Sufficiency().compute(full=[0.5], alone=[0.4], sharee=0.2)
