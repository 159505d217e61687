"""A short run of `make fuzz`."""

import json

from .fuzz import RESULTS, fuzz_artifacts, fuzz_strings


def test_mutated_artifacts_are_refused(tmp_path):
    counts, wrong = fuzz_artifacts(1_000, 1, tmp_path)
    assert wrong == []
    assert counts["refused"] > 800
    assert counts["refused vouched for"] > 20


def test_strings_come_back(tmp_path):
    counts, wrong = fuzz_strings(500, 1)
    assert wrong == []
    assert counts["strings"] == 500


def test_the_figures_are_of_a_run_without_faults():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert found["artifacts"]["crashes"] == found["artifacts"]["silent accepts"] == 0
    assert sum(found["artifacts"].values()) == 2 * found["artifacts"]["mutants"]
    assert sum(found["strings"].values()) == found["strings"]["strings"]
