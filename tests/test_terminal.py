"""The terminal: bars where there is room, CSV, completion, exit statuses."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hf_attn_attr.cli.completion import MEASURES, METHODS
from hf_attn_attr.influence import InfluenceMatrix
from hf_attn_attr.terminal import influence_table
from hf_attn_attr.terminal_bars import Bars

PARTS = ("influence", "low", "high", "word_part", "context_part")
SCRIPT = Path(sys.executable).parent / "hf-attn-attr"


def bars(*values, width=20):
    records = [dict(zip(PARTS, row, strict=True)) for row in values]
    made = Bars(pd.DataFrame(records, columns=PARTS, dtype=float), width)
    return made, [made.bar(row) for row in records]


def printed(table, width, encoding="utf-8"):
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, errors="strict", write_through=True)
    Console(width=width, file=file).print(table)
    return buffer.getvalue().decode(encoding)


# Bars


def test_bars_share_a_scale_and_show_parts_and_interval():
    _, (one, two) = bars((1, 0.5, 2, 0.4, 0.6), (0.5, np.nan, np.nan, 0.25, 0.25))
    assert one.plain == "████▒▒▒▒▒▒▒─────────"
    assert two.plain == "██▒▒▒▒              "


def test_bars_grow_from_zero_to_either_side_in_their_colour():
    _, (left, both) = bars((-1, -2, 0.5, -0.5, -0.5), (0.1, 0, 0.2, 0.6, -0.5))
    zero = left.plain.index("│")
    assert both.plain.index("│") == zero
    assert set(left.plain[:zero]) == {"─", "▒", "█"}
    assert "▒" in both.plain[:zero]
    assert set(both.plain[zero + 1 :]) == {"█"}
    styles = {both.plain[span.start]: span.style for span in both.spans if span.style}
    assert styles["█"] == "red"
    assert styles["▒"] == "blue"


def test_bars_without_parts_or_without_numbers():
    made, (whole, nothing) = bars((1, 0.5, 2, np.nan, np.nan), (np.nan,) * 5)
    assert whole.plain == "███████████─────────"
    assert nothing.plain == " " * 20
    assert made.legend.startswith("█ influence")
    assert bars()[1] == []


@pytest.mark.parametrize("width", [80, 99])
def test_narrow_terminals_have_no_bars(run_result, width):
    rows = run_result[0].matrix.word("happy")
    assert "█" not in printed(influence_table(rows, "label", "Title"), width)


def test_wide_terminals_have_bars_that_fit(run_result):
    rows = run_result[0].matrix.word("happy")
    text = printed(influence_table(rows, "label", "Title"), 100)
    assert max(map(len, text.splitlines())) <= 100
    assert "word part, ▒ context part" in text
    for label in rows["label"]:
        line = next(line for line in text.splitlines() if line.startswith(label))
        assert "█" in line or "▒" in line or "─" in line


def test_terminals_that_lack_the_letters_have_no_bars(run_result):
    rows = run_result[0].matrix.word("happy")
    text = printed(influence_table(rows, "label", "Title"), 120, "cp1252")
    assert "consistent" in text or "uncertain" in text


# Commands


@pytest.mark.parametrize(
    "arguments",
    [("top", "--label", "joy", "-k", "5"), ("word", "happy"), ("top", "--label", "joy", "-k", "0")],
)
def test_csv_holds_what_json_holds(command, run_result, arguments):
    name, *rest = arguments
    folder = run_result[1]
    done = command(name, folder, *rest, "--csv")
    assert done.status == 0
    found = list(csv.DictReader(io.StringIO(done.out)))
    answer = command(name, folder, *rest, "--json").json
    wanted = answer["words" if name == "top" else "labels"]
    assert len(found) == len(wanted)
    for row, record in zip(found, wanted, strict=True):
        assert row["word"] == record["word"]
        assert float(row["influence"]) == pytest.approx(record["influence"])
        assert (row["log_odds"] == "") == (record["log_odds"] is None)


def test_csv_of_a_text_runs_no_formula(command, run_result):
    done = command("explain", run_result[1], "so =1+1 happy", "--csv")
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert "'=" in [row["word"] for row in found]
    assert not any(row["word"].startswith("=") for row in found)
    assert {row["label"] for row in found} == {found[0]["label"]}


def test_piped_output_has_no_colour(run_result):
    for arguments in (("top", "--label", "joy"), ("word", "happy")):
        name, *rest = arguments
        done = subprocess.run(
            [SCRIPT, name, run_result[1], *rest], capture_output=True, env=utf_8(), timeout=120
        )
        assert done.returncode == 0
        assert b"\x1b" not in done.stdout
        assert "█" in done.stdout.decode() or "▒" in done.stdout.decode()


def utf_8(**more):
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**kept, "PYTHONIOENCODING": "utf-8", **more}


def test_exit_statuses_are_those_that_help_tells(command, run_result, tmp_path):
    told = " ".join(command("--help").out.split())
    assert "Exit status: 0 done; 1 something is wrong with input or files" in told
    folder = run_result[1]
    assert command("word", folder, "happy").status == 0
    mistyped = command("word", folder, "hapy")
    assert mistyped.status == 1
    assert "The nearest words are ['happy'" in mistyped.err
    label = command("top", folder, "--label", "joi")
    assert label.status == 1
    assert "'joy'" in label.err
    assert command("top", tmp_path, "--label", "joy").status == 1
    usage = command("tpo")
    assert usage.status == 2
    assert "Did you mean 'top'?" in usage.err
    assert command("top", folder).status == 2


def test_an_interrupted_command_ends_with_130(command, run_result, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(InfluenceMatrix, "from_pretrained", interrupted)
    assert command("word", run_result[1], "happy").status == 130


# Completion


def completed(*words):
    """What bash would be offered for the last word."""
    done = subprocess.run(
        [SCRIPT],
        capture_output=True,
        text=True,
        timeout=120,
        env=utf_8(
            _HF_ATTN_ATTR_COMPLETE="complete_bash",
            COMP_WORDS="\n".join(["hf-attn-attr", *map(str, words)]),
            COMP_CWORD=str(len(words)),
        ),
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_commands_labels_and_measures(run_result, tmp_path):
    folder = run_result[1]
    assert completed("wo") == ["word"]
    assert completed("top", folder, "--label", "j") == ["joy"]
    assert len(completed("top", folder, "--label", "")) == len(run_result[0].matrix.labels)
    assert completed("top", tmp_path, "--label", "") == []
    assert completed("top", folder, "--by", "low") == ["lower_bound"]
    (tmp_path / "influence").mkdir()
    (tmp_path / "influence" / "manifest.json").write_text("{")
    assert completed("top", tmp_path, "--label", "") == []


def test_what_is_completed_is_accepted(command, run_result):
    matrix = run_result[0].matrix
    for measure in MEASURES:
        undefined = np.isnan(getattr(matrix, measure, np.zeros(1))).all()
        if not undefined:
            assert command("top", run_result[1], "--label", "joy", "--by", measure).status == 0
    for method in METHODS:
        assert command("explain", run_result[1], "so happy", "--method", method).status in (0, 1)
    unknown = command("explain", run_result[1], "so happy", "--method", "magic")
    assert all(f"'{method}'" in unknown.err or method in unknown.err for method in METHODS[1:])
