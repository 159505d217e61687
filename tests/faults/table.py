"""Write docs/reliability.md from what the tests of this folder counted: `make faults-table`."""

import ast
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "reliability.md"
FUZZ = HERE.parents[1] / "benchmarks" / "results" / "fuzz.json"
ENTRIES = range(1, 63)

_HEAD = """# Reliability

Faults that are made on purpose by the tests in `tests/faults/`: how often each was tried, and how
often what must hold was seen to hold. `make faults-table` writes this page from the tests; `make
test` tries some of the many faults that are alike. A row without numbers needs a device that the
machine which wrote the page lacks. Where the behaviour is a choice, the test says why.

| entry | fault | test | tried | survived |
|--:|---|---|--:|--:|
"""


class Row(NamedTuple):
    """A test of a fault."""

    entry: int
    fault: str
    test: str


def rows() -> list[Row]:
    """The tests of this folder that are named after an entry, by its number."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            named = re.match(r"test_(\d\d)_", getattr(node, "name", ""))
            if isinstance(node, ast.FunctionDef) and named:
                first = (ast.get_docstring(node) or "").split("\n\n")[0]
                fault = " ".join(first.split()).removesuffix(".").replace("|", "\\|")
                found.append(Row(int(named[1]), fault, f"{path.stem}::{node.name}"))
    return sorted(found)


def counts(report: Path) -> dict[str, tuple[int, int]]:
    """Faults tried and survived by each test, over its parameters."""
    found: dict[str, tuple[int, int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        told = {each.get("name"): int(each.get("value")) for each in case.iter("property")}
        if "tried" not in told:
            continue
        module = case.get("classname").rpartition(".")[2]
        test = f"{module}::{case.get('name').partition('[')[0]}"
        tried, survived = found.get(test, (0, 0))
        found[test] = tried + told["tried"], survived + told["survived"]
    return found


def kept() -> dict[str, tuple[int, int]]:
    """What the page says already."""
    if not DOCUMENT.is_file():
        return {}
    page = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"`(\S+)` \| ([\d,]+) \| ([\d,]+) \|", page)
    return {test: tuple(int(n.replace(",", "")) for n in numbers) for test, *numbers in rows}


def fuzzed() -> str:
    """What `make fuzz` found."""
    found = json.loads(FUZZ.read_text(encoding="utf-8"))
    mutants, texts = Counter(found["artifacts"]), found["strings"]
    wrong = sum(number for name, number in texts.items() if name != "strings")
    return (
        f"\n`make fuzz`: {mutants['mutants']:,} mutated artifacts, of which "
        f"{mutants['refused'] + mutants['refused vouched for']:,} were refused, "
        f"{mutants['accepted with other content vouched for']:,} had other content and fitting "
        "digests, "
        f"{mutants['silent accepts']:,} were accepted silently and {mutants['crashes']:,} "
        f"ended in an error that is not ours; {texts['strings']:,} strings through offsets, HTML, "
        f"Markdown, CSV and the terminal, of which {wrong:,} did not come back.\n"
    )


def document(report: Path) -> str:
    """The page; what the report does not have keeps its numbers."""
    tests = {row.test for row in rows()}
    counted = {test: n for test, n in (kept() | counts(report)).items() if test in tests}
    lines = []
    for row in rows():
        tried, survived = counted.get(row.test, (None, None))
        numbers = " | ".join("" if n is None else f"{n:,}" for n in (tried, survived))
        lines.append(f"| {row.entry} | {row.fault} | `{row.test}` | {numbers} |\n")
    tried, survived = (sum(each) for each in zip(*counted.values(), strict=True))
    return _HEAD + "".join(lines) + f"\n{tried:,} faults tried, {survived:,} survived.\n" + fuzzed()


if __name__ == "__main__":
    DOCUMENT.write_text(document(Path(sys.argv[1])), encoding="utf-8")
