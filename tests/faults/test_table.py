"""docs/reliability.md: a row for every test of a fault, a test for every entry."""

import re

from .table import DOCUMENT, ENTRIES, rows

ROW = re.compile(r"\| (\d+) \| (.*) \| `(\S+)` \| ([\d,]*) \| ([\d,]*) \|")
NEEDS_A_DEVICE = {60}


def test_every_entry_has_a_test():
    assert set(ENTRIES) <= {row.entry for row in rows()}


def test_the_page_is_that_of_the_tests():
    found = [ROW.fullmatch(line) for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    found = [row.groups() for row in found if row]
    assert [(int(row[0]), row[1], row[2]) for row in found] == [tuple(row) for row in rows()]
    for entry, _, test, tried, survived in found:
        assert tried == survived, test
        assert tried.strip("0") or int(entry) in NEEDS_A_DEVICE, test
