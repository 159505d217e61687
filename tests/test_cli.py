"""The command line: what each command reads, writes and prints, and how it fails."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome import Outcome
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import pipeline
from typer.testing import CliRunner

from hf_attn_attr.cli import app
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.errors import AttnAttrError
from hf_attn_attr.influence import InfluenceMatrix, fold
from hf_attn_attr.loading import load_model
from hf_attn_attr.markup import printable
from hf_attn_attr.terminal import influence_table, joint_table

SCRIPT = Path(sys.executable).parent / "hf-attn-attr"
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]
GOOD, BAD = ["good", "lovely", "great", "fine"], ["bad", "awful", "poor", "grim"]
TINY = ["embedding_size=8", "hidden_size=4", "attention_size=4", "char_ngram_buckets=0"]
SMALL = [part for field in TINY for part in ("--set", field)] + ["--epochs", "2"]
HOSTILE = [
    "[red]", "[/bold]", ":smile:", "\x1b[31m", "\x1b]0;title\x07", "\u202eevil", "<script>",
    "a\rb", "\x9b2J", "日本", "\u2028",
]  # fmt: skip


def script(*arguments, **environment):
    """Runs the installed command in a process of its own."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def write_csv(path, rows, header=("text", "label")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def reviews(count, good="pos", bad="neg"):
    rng = np.random.default_rng(count)
    rows = []
    for index in range(count):
        words = rng.choice(GOOD if index % 2 else BAD, 2)
        rows.append((f"a {words[0]} and {words[1]} film", good if index % 2 else bad))
    return rows


def contents(folder):
    """Bytes of every file below a folder."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data)


def unprintable(text):
    """Characters that could drive a terminal."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\n"}


@pytest.fixture
def trained(run_result, tmp_path):
    """A copy of a run folder: model, influence matrix and columns."""
    _, folder = run_result
    return Path(shutil.copytree(folder, tmp_path / "trained"))


@pytest.fixture
def data(tmp_path):
    """A csv of training texts, one of them without a label."""
    return write_csv(tmp_path / "train.csv", [*reviews(40), ("no label here", "")])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Extracted columns whose words, labels and source would drive a terminal."""
    labels = ["[bold]pos", "\x1b[2Jneg"]
    words = [HOSTILE, HOSTILE[::-1], HOSTILE]
    n = len(HOSTILE)
    rng = np.random.default_rng(0)
    columns = Dataset.from_dict(
        {
            "words": words,
            "attention": [[1 / n] * n] * 3,
            "attribution": rng.normal(1, 0.1, (3, 2 * n)).tolist(),
            "attribution_context": [[0.0] * (2 * n)] * 3,
            "probabilities": [[0.75, 0.25]] * 3,
            "prediction": [0, 0, 1],
        },
        features=Features(
            words=List(Value("string")),
            attention=List(Value("float32")),
            attribution=List(Value("float32")),
            attribution_context=List(Value("float32")),
            probabilities=List(Value("float32")),
            prediction=ClassLabel(names=labels),
        ),
    )
    folder = tmp_path_factory.mktemp("hostile")
    facts = {"method": "contribution", "corpus": {"source": "[link=x]\x1b[31mcorpus :bomb:"}}
    save_columns(columns, folder, facts)
    return folder


# Help


def test_every_command_is_here():
    assert {
        *("demo", "run", "train", "evaluate", "extract", "fold", "top", "word", "explain")
    } <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_is_read_and_written_and_gives_an_example(name):
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert re.search(r"\bReads \w+.*; (prints [\w ]+, )?writes \w+", text) or "writes two" in text
    assert f"Example: hf-attn-attr {name}" in text


# Imports


def test_help_top_and_word_load_no_model_library(run_result):
    _, folder = run_result
    code = """
import sys
from hf_attn_attr.cli import main
for arguments in (["--help"], ["top", "--help"], ["explain", "--help"],
                  ["top", sys.argv[1], "--label", "joy"], ["word", sys.argv[1], "happy", "--json"]):
    sys.argv[1:] = arguments if "--help" in arguments else [arguments[0], *arguments[1:]]
    try:
        main()
    except SystemExit as leave:
        assert not leave.code, arguments
    sys.argv[1:] = [FOLDER]
print({m.split(".")[0] for m in sys.modules} & {"torch", "transformers", "datasets", "scipy"})
""".replace("FOLDER", repr(str(folder)))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("set()")
    assert "Words by lower_bound on joy" in done.stdout


# Commands


def test_run_with_every_option_prints_json_alone_and_saves_all(data, tmp_path):
    extra = write_csv(tmp_path / "extra.csv", reviews(10), ("text", "verdict"))
    dev = write_csv(tmp_path / "dev.csv", reviews(12))
    output = tmp_path / "out"
    done = script(
        "run", "--train", data, "--validation", dev, "--extra-train", extra,
        "--extra-label-column", "verdict", "--label-map", "pos=nice,neg=nasty",
        "--problem-type", "single_label_classification", "--output", output, "--columns",
        "-k", 3, "--json", *SMALL,
    )  # fmt: skip
    assert done.status == 0, done.err
    answer = done.json
    assert answer["folder"] == str(output)
    assert answer["texts"]["training"] == {"rows": 50, "dropped": {"null label": 1}}
    assert answer["texts"]["validation"] == {"rows": 12, "dropped": {}}
    assert 0 <= answer["metrics"]["accuracy"] <= 1
    matrix = InfluenceMatrix.from_pretrained(output)
    assert matrix.labels == ("nasty", "nice")
    assert matrix.manifest["provenance"]["corpus"]["source"] == "dev.csv"
    for label in matrix.labels:
        found = [row["word"] for row in answer["top_words"][label]]
        assert found == matrix.top_words(label, 3)["word"].tolist()
    model, _ = load_model(output)
    assert model.config.hidden_size == 4
    columns, _ = load_columns(output)
    assert len(columns) == 12
    assert "columns.parquet" in os.listdir(output)


def test_a_run_from_word_vectors_with_a_teacher_and_seeds_says_so(command, data, tmp_path):
    vectors = tmp_path / "tiny.vec"
    words = [*GOOD, *BAD]
    vectors.write_text(
        f"{len(words)} 3\n" + "".join(f"{word} 1 2 {i}\n" for i, word in enumerate(words))
    )
    more = write_csv(tmp_path / "more.csv", [[text] for text, _ in reviews(6)], ("text",))
    options = ["--train", data, "--seeds", 2, "--epochs", 1, "--init-embeddings", vectors,
               "--unlabelled", more, *SMALL[:-2]]  # fmt: skip
    first = command("train", *options, "-o", tmp_path / "first", "--json")
    assert [one["seed"] for one in first.json["seeds"]] == [0, 1], first.err
    done = command(
        "run", *options, "-o", tmp_path / "second", "--teacher", tmp_path / "first",
        "--embedding-mode", "two_channel", "--teacher-weight", 0.3,
    )  # fmt: skip
    assert done.status == 0, done.err
    assert re.search(r"2 seeds: accuracy \d\.\d+ ± \d", done.out)
    assert "lexical knowledge imported with word vectors read from tiny.vec" in done.out
    assert "Learned from the teacher first too" in done.out
    facts = json.loads((tmp_path / "second" / "training.json").read_text())
    assert facts["settings"]["teacher_weight"] == 0.3


def test_evaluate_repeats_the_metrics_of_training(command, data, tmp_path):
    dev = write_csv(tmp_path / "dev.csv", reviews(12))
    command("train", "--train", data, "--validation", dev, "-o", tmp_path / "m", *SMALL)
    wanted = json.loads((tmp_path / "m" / "training.json").read_text())["metrics"]
    answer = command("evaluate", tmp_path / "m", "--data", dev, "--json").json
    assert answer["checks"][0]["figures"]["metrics"] == pytest.approx(wanted)
    assert answer["texts"]["rows"] == 12
    assert "accuracy" in command("evaluate", tmp_path / "m", "--data", dev).out


def test_run_prints_what_it_dropped_and_both_answers(command, data, tmp_path):
    done = command("run", "--train", data, "--output", tmp_path / "[red]", "--seed", 1, *SMALL)
    assert done.status == 0
    assert re.search(r"Training: 36 texts, 1 dropped \(null label\)\n", done.out)
    assert re.search(r"Validation: 4 texts.*; accuracy \d", done.out)
    assert "Most influential on pos" in done.out
    assert "Most influential on neg" in done.out
    assert f"word {tmp_path / '[red]'} WORD" in done.out
    assert "'loss'" not in done.out
    assert "'eval_loss'" in done.err
    assert not unprintable(done.out)


def test_train_prints_a_summary_or_json_and_writes_no_matrix(command, data, tmp_path):
    done = command("train", "--train", data, "--output", tmp_path / "m", *SMALL)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "Training: 36 texts, 1 dropped (null label)"
    assert lines[-1] == f"Saved in {tmp_path / 'm'}."
    assert not (tmp_path / "m" / "influence").exists()
    again = command("train", "--train", data, "--output", tmp_path / "m", "--json", *SMALL)
    assert (
        again.json["metrics"] == json.loads((tmp_path / "m/training.json").read_text())["metrics"]
    )
    load_model(tmp_path / "m")


def test_a_multi_label_run_answers_per_label(command, tmp_path):
    rows = [(text, json.dumps([label, "film"])) for text, label in reviews(40)]
    rows += [("a plain thing", "[]")] * 4
    source = write_csv(tmp_path / "many.csv", rows)
    done = command(
        "run", "--train", source, "--output", tmp_path / "m", "--thresholds", "per_label",
        "--class-weights", "balanced", "--fold-on", "train", "--json", *SMALL,
    )  # fmt: skip
    assert set(done.json["top_words"]) == {"film", "neg", "pos"}
    model, _ = load_model(tmp_path / "m")
    assert len(model.config.thresholds) == 3
    assert command("word", tmp_path / "m", "film").status == 0


def test_a_regression_run_speaks_of_its_target(command, tmp_path):
    rows = [(text, 0.5 if label == "pos" else -1.25) for text, label in reviews(40)]
    source = write_csv(tmp_path / "stars.csv", rows, ("text", "stars"))
    output = tmp_path / "m"
    options = ("--label-column", "stars", "--output", output, "--columns", *SMALL)
    done = command("run", "--train", source, *options)
    assert "Most influential on stars" in done.out
    assert command("top", output, "--label", "stars").status == 0
    assert command("explain", output, "a good film", "--json").json["label"] == "stars"
    table = command("word", output, "film").out
    assert "nan" not in table
    assert command("fold", output, "-o", tmp_path / "again").status == 0
    assert InfluenceMatrix.from_pretrained(tmp_path / "again").labels == ("stars",)


def test_a_head_with_a_hidden_layer_has_attention_only(command, data, tmp_path):
    output = tmp_path / "m"
    options = ("--set", "head_hidden_size=4", "--output", output, *SMALL)
    done = command("run", "--train", data, *options)
    assert "no exact attributions" in done.out
    assert command("top", output, "--label", "pos", "--by", "joint").status == 0
    refused = command("top", output, "--label", "pos")
    assert refused.status == 1
    assert "Rank by another measure" in refused.err
    assert "nan" not in command("word", output, "film").out
    asked = ("explain", output, "a good film", "--method", "attention")
    answer = command(*asked, "--json").json
    assert [word["attribution"] for word in answer["words"]] == [None] * 3
    assert "-" in command(*asked).out
    answer = command("explain", output, "a good film", "--json").json
    assert answer["method"] == "occlusion"
    assert None not in [word["attribution"] for word in answer["words"]]


def test_folding_saved_columns_gives_the_matrix_of_the_run(command, trained, tmp_path):
    assert command("fold", trained, "--output", tmp_path / "again").status == 0
    for name in ("influence.parquet", "manifest.json"):
        again = tmp_path / "again" / "influence" / name
        assert again.read_bytes() == (trained / "influence" / name).read_bytes()


def test_a_capped_fold_counts_the_words_beyond(command, trained, tmp_path):
    assert command("fold", trained, "-o", tmp_path, "--max-words", 5).status == 0
    whole, capped = map(InfluenceMatrix.from_pretrained, (trained, tmp_path))
    assert len(capped.words) == 6
    assert "[other words]" in capped.words
    assert capped.count.sum() == whole.count.sum()
    assert "max_words is 0" in command("fold", trained, "-o", tmp_path, "--max-words", 0).err


def test_extract_fold_top_and_word_answer_as_the_package_does(command, trained, tmp_path):
    texts = [("I am so happy today", "x"), ("so sad and so alone", "y"), (None, "y")]
    source = tmp_path / "new.csv"
    pd.DataFrame([texts[i % 3] for i in range(12)], columns=["text", "label"]).to_csv(
        source, index=False
    )
    columns, folded = tmp_path / "columns", tmp_path / "folded"
    done = command("extract", trained, source, "--output", columns)
    assert done.status == 0
    assert "8 texts, 4 dropped (null text)" in done.out
    done = command("fold", columns, "-o", folded, "--case-sensitive")
    assert re.search(r"\d+ words x 6 labels", done.out)
    matrix = InfluenceMatrix.from_pretrained(folded)
    assert matrix.manifest["provenance"]["folded_on"] == "other"
    assert "I" in matrix.words
    answer = command("top", folded, "--label", "joy", "-k", 3, "--by", "influence", "--json").json
    wanted = matrix.top_words("joy", 3, by="influence")
    assert (answer["label"], answer["by"]) == ("joy", "influence")
    assert [row["word"] for row in answer["words"]] == wanted["word"].tolist()
    assert [row["influence"] for row in answer["words"]] == wanted["influence"].tolist()
    answer = command("word", folded, "so", "--json").json
    assert [row["label"] for row in answer["labels"]] == list(matrix.labels)
    assert answer["labels"][0]["log_odds"] is None  # undefined, and JSON has no NaN
    against = command("top", folded, "--label", "joy", "--negative").out
    assert "8 texts of new.csv" in against
    assert "against joy" in against
    assert "P(word|class)" in command("top", folded, "--label", "joy", "--by", "lift").out


def test_a_fold_on_training_texts_says_so(command, trained):
    line = command("word", trained, "happy").out.splitlines()[0]
    assert "Folded on the texts the model was trained on" in line


def test_explain_answers_as_the_pipeline_does(command, trained):
    text = "I was so happy, [red]truly[/red]"
    ask = pipeline("attention-attribution", model=str(trained))
    capture = command("explain", trained, text, "--label", "sadness", "--json")
    wanted = ask(text, label="sadness")
    answer = capture.json
    assert answer["label"] == "sadness"
    assert answer["score"] == pytest.approx(wanted["score"], abs=1e-9)
    for found, word in zip(answer["words"], wanted["words"], strict=True):
        assert found == pytest.approx(word, abs=1e-9)
    done = command("explain", trained, text)
    assert text in done.out
    for word in answer["words"]:
        assert word["word"] in done.out
    assert done.err == ""


# Unusual texts


def test_every_text_has_a_defined_result(command, trained, tmp_path):
    texts = ["", "   ", "zzqqx wvvkj", "word " * 200_000, "x" * 1_000_000]
    source = write_csv(tmp_path / "odd.csv", [(text,) for text in texts], ("text",))
    assert command("extract", trained, source, "-o", tmp_path / "columns").status == 0
    columns, _ = load_columns(tmp_path / "columns")
    # csv cannot tell an empty cell from a missing one unless it is quoted, as here.
    assert [len(words) for words in columns["words"][:]] == [0, 0, 2, 2048, 1]
    for text, row in zip(texts, columns, strict=True):
        answer = command("explain", trained, text, "--json").json
        assert len(answer["words"]) == len(row["words"])
        assert answer["score"] == pytest.approx(max(row["probabilities"]), abs=1e-5)
        shown = command("explain", trained, text)
        assert shown.status == 0
        assert ("no words" in shown.out) == (not row["words"])
        cut = "989,761 of 1,000,000 characters were not read"
        assert (cut in shown.out) == ("word " in text)


# Hostile words


def test_hostile_words_are_shown_not_obeyed(command, hostile, tmp_path):
    assert command("fold", hostile, "-o", tmp_path / "m").status == 0
    labels = InfluenceMatrix.from_pretrained(tmp_path / "m").labels
    for label in labels:
        out = command("top", tmp_path / "m", "--label", label).out
        assert not unprintable(out)
        assert "[link=x]\\x1b[31mcorpus :bomb:" in out
        assert printable(label) in out
    everything = command("top", tmp_path / "m", "--label", labels[0], "--by", "count").out
    for word in HOSTILE:
        assert printable(word.lower()) in everything
        out = command("word", tmp_path / "m", word).out
        assert f"Influence of {printable(word)}\n" in re.sub(" +\n", "\n", out)
        assert not unprintable(out)
        answer = command("word", tmp_path / "m", word, "--json")
        assert answer.json["word"] == word
        assert answer.out.isascii()


def test_hostile_names_in_messages_are_shown_not_obeyed(command, trained, tmp_path):
    source = write_csv(tmp_path / "x.csv", [("a", "b")], ("\x1b[31mtext", "\u202elabel"))
    done = command("extract", trained, source, "-o", tmp_path / "c", "--text-column", "\x1b[2J")
    assert done.status == 1
    assert "\\x1b[31mtext" in done.err
    assert not unprintable(done.err)
    assert not unprintable(command("word", trained, "\x1b[2J").err)


def test_a_terminal_of_another_encoding_shows_escapes(hostile, command, tmp_path):
    command("fold", hostile, "-o", tmp_path / "m")
    done = script("word", tmp_path / "m", "日本", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.status == 0, done.err
    assert "Influence of \\u65e5\\u672c" in done.out


@given(text=st.text())
def test_printable_text_drives_no_terminal_and_loses_nothing(text):
    shown = printable(text)
    assert not unprintable(shown) - {"\u200d"}
    assert "\n" not in shown
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("filled", [False, True])
def test_tables_fit_into_80_columns_and_lose_nothing(run_result, filled):
    result, _ = run_result
    matrix = result.matrix if filled else fold(result.columns)
    rows = matrix.top_words("joy", 20, min_documents=1, by="influence")
    rows.loc[0, "word"] = long = "supercalifragilisticexpialidocious" * 2
    data = ("log_odds",) if filled else ("word_part", "context_part")
    for table, numbers in ((influence_table, ("influence", *data)), (joint_table, ("npmi",))):
        lines = shown(table(rows, "word", "Title")).splitlines()
        assert max(map(len, lines)) <= 80
        text = "\n".join(lines)
        first_column = "".join(line.split(" ")[0] for line in lines)
        assert all(word in first_column for word in [long, *rows["word"][1:]])
        assert not re.search(r"[a-z]…", text)
        assert all(f"{value:+.3f}" in text for name in numbers for value in rows[name])


def shown(table):
    console = Console(width=80, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_what_the_data_do_not_support_is_not_shown_as_consistent(run_result):
    result, _ = run_result
    matrix = result.matrix
    row = matrix.top_words("joy", 1)
    assert row["evidence"][0] == "consistent"
    for log_odds, q, evidence in (
        (1.0, 0.04, "consistent"),
        (1.0, 0.06, "model only"),
        (-1.0, 0.01, "model only"),
        (1.0, np.nan, "model only"),  # six texts are too few to test
    ):
        changed = row.assign(log_odds=log_odds, association_q_value=q)
        table = shown(influence_table(changed, "word", "Title"))
        assert evidence in table
        assert f"{q:.2g}" in table or np.isnan(q)
        assert str(row["documents"][0]) in table
    uncertain = row.assign(evidence="uncertain", association_q_value=0.01)
    assert "uncertain" in shown(influence_table(uncertain, "word", "Title"))


def test_top_and_word_say_what_the_data_say(command, run_result):
    result, folder = run_result
    matrix = result.matrix
    for done in (command("top", folder, "--label", "joy"), command("word", folder, "happy")):
        texts = matrix.manifest["checks"]["association"]["texts"]
        assert f"Data: gold labels of {texts} texts" in done.out
        assert "log-odds" in done.out
    row = command("word", folder, "happy", "--json").json["labels"][1]
    assert row["association_q_value"] == matrix.score("happy", "joy").association_q_value


# Errors

FAILING = {
    "no folder": (["top", "{tmp}/nowhere", "--label", "joy"], "nowhere is no folder"),
    "no matrix": (["word", "{tmp}", "joy"], "holds no influence matrix"),
    "no model": (["explain", "{tmp}/nowhere", "x"], "no folder .*nowhere here"),
    "no columns": (["fold", "{tmp}", "-o", "{out}"], "columns.json is missing"),
    "unknown label": (["top", "{out}", "--label", "disgust"], r"'disgust'.*'sadness', 'joy'"),
    "label to explain": (["explain", "{out}", "x", "--label", "disgust"], r"'disgust'.*'joy'"),
    "unknown word": (["word", "{out}", "happpy"], r"'happpy' is not among.*nearest.*'happy'"),
    "unknown measure": (["top", "{out}", "--label", "joy", "--by", "magic"], "by 'magic'; pass"),
    "no such text": (["explain", "{out}", "a\ud800b"], "lone surrogate"),
    "no file": (["extract", "{out}", "{tmp}/none.csv", "-o", "{out}"], "no file or folder .*none"),
    "unknown method": (
        ["extract", "{out}", "{data}", "-o", "{out}", "--method", "magic"],
        r"'magic'.*'contribution'",
    ),
    "missing column": (
        ["extract", "{out}", "{data}", "-o", "{out}", "--text-column", "body"],
        "no column 'body'; it has text, label",
    ),
}
FAILING_RUNS = {
    "preset": (["--preset", "magic"], "no preset 'magic'.*'lin2017'"),
    "set": (["--set", "hidden_size"], "write FIELD=VALUE"),
    "set field": (["--set", "depth=3"], "'depth=3'.*'hidden_size'"),
    "set fixed field": (["--set", "vocab_size=3"], "'vocab_size=3'; write"),
    "set value": (["--set", "hidden_size=wide"], "expected int"),
    "set range": (["--set", "hidden_size=-2"], "must be at least 1"),
    "set nan": (["--set", "attention_penalty=NaN"], "expected float"),
    "label map": (["--label-map", "pos"], "OLD=NEW"),
    "label map key": (["--label-map", "=x"], "OLD=NEW"),
    "one class": (["--label-map", "pos=neg"], "one class only"),
    "label column": (["--label-column", "nope"], "no column 'nope'; it has text, label"),
    "text column": (["--text-column", "nope"], "no column 'nope'"),
    "problem type": (["--problem-type", "magic"], "problem type 'magic'"),
    "fold on": (["--fold-on", "test"], "--fold-on is 'test'"),
    "class weights": (["--class-weights", "x"], "one of none, balanced"),
    "thresholds": (["--thresholds", "x"], "global, per_label, none"),
    "epochs": (["--epochs", "0"], "epochs is 0; it must be at least 1"),
    "batch size": (["--batch-size", "-1"], "batch_size is -1"),
    "seeds": (["--seeds", "0"], "seeds is 0"),
    "embedding mode": (["--embedding-mode", "x"], "project, fine_tune, two_channel, frozen"),
    "vectors": (["--init-embeddings", "{tmp}/none.vec"], r"none\.vec"),
    "teacher": (["--teacher", "{tmp}/none"], "teacher .*none.* cannot be loaded"),
    "teacher weight": (["--teacher-weight", "2"], r"teacher_weight is 2\.0"),
    "learning rate": (["--learning-rate", "nan"], "--learning-rate is nan"),
    "seed": (["--seed", "-1"], "--seed is -1"),
    "resume": (["--resume"], "no checkpoint to resume"),
    "validation": (["--validation", "{tmp}/none.csv"], r"none\.csv"),
    "validation label": (["--validation", "{other}"], "label 'joy', expected one of"),
    "extra label": (["--extra-train", "{other}"], "label 'joy', expected one of"),
}


@pytest.mark.parametrize("case", [*FAILING, *FAILING_RUNS])
def test_a_failing_command_says_why_and_leaves_earlier_results(
    command, trained, data, tmp_path, case
):
    other = write_csv(tmp_path / "other.csv", [*reviews(4), ("so happy", "joy")])
    arguments, message = FAILING.get(case) or FAILING_RUNS[case]
    if case in FAILING_RUNS:
        arguments = ["run", "--train", "{data}", "--output", "{out}", *SMALL, *arguments]
    places = {"tmp": tmp_path, "out": trained, "data": data, "other": other}
    before = contents(tmp_path)
    done = command(*(argument.format(**places) for argument in arguments))
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert re.search(message, done.err, re.DOTALL), done.err
    assert "Traceback" not in done.err
    assert contents(tmp_path) == before


def test_a_run_that_diverges_leaves_earlier_results(command, trained, data):
    before = contents(trained)
    done = command("run", "--train", data, "--output", trained, *SMALL, "--learning-rate", "1e38")
    assert (done.status, done.out) == (1, "")
    assert "Training diverged" in done.err
    after = contents(trained)
    assert {path: after.get(path) for path in before} == before  # checkpoints are there to resume


def nan_weights(path):
    weights = load_file(path)
    weights["classifier.bias"][0] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})


DAMAGE = {
    "matrix byte": (
        "influence/influence.parquet",
        lambda path: flip(path, 1000),
        ["top", "{out}", "--label", "joy"],
        "SHA-256.*damaged or exchanged",
    ),
    "matrix gone": (
        "influence/influence.parquet", Path.unlink, ["word", "{out}", "happy"], "is missing",
    ),
    "manifest gone": (
        "influence/manifest.json", Path.unlink, ["word", "{out}", "happy"], "is missing",
    ),
    "columns byte": (
        "columns.parquet", lambda path: flip(path, 500), ["fold", "{out}", "-o", "{out}"],
        "SHA-256.*damaged or exchanged",
    ),
    "columns facts": (
        "columns.json",
        lambda path: path.write_text(path.read_text().replace('"provenance"', '"qrovenance"')),
        ["fold", "{out}", "-o", "{out}"],
        "does not have the digest that it names",
    ),
    "weights cut": (
        "model.safetensors",
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        ["explain", "{out}", "x"],
        "SafetensorError",
    ),
    "weights nan": (
        "model.safetensors", nan_weights, ["extract", "{out}", "{data}", "-o", "{out}"],
        "NaN or infinity in classifier.bias",
    ),
    "tokenizer gone": (
        "tokenizer.json", Path.unlink, ["explain", "{out}", "x"], "tokenizer.json is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_named(command, trained, data, case):
    name, damage, arguments, message = DAMAGE[case]
    damage(trained / name)
    before = contents(trained)
    done = command(*(argument.format(out=trained, data=data) for argument in arguments))
    assert (done.status, done.out) == (1, "")
    assert Path(name).name in done.err
    assert re.search(message, done.err), done.err
    assert "Traceback" not in done.err
    assert contents(trained) == before


@given(
    name=st.sampled_from(["influence.parquet", "manifest.json"]),
    position=st.integers(0, 10**6),
    bit=st.integers(0, 7),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_a_matrix_is_an_error_or_does_no_harm(trained, name, position, bit):
    path = trained / "influence" / name
    sound = path.read_bytes()
    flip(path, position, bit)
    try:
        result = CliRunner().invoke(app, ["top", str(trained), "--label", "joy"])
    finally:
        path.write_bytes(sound)
    assert result.exit_code == 0 or isinstance(result.exception, AttnAttrError), result.exception
    assert name == "manifest.json" or result.exit_code == 1


def test_the_installed_command_fails_with_status_1_and_its_message_alone(trained):
    done = script("top", trained, "--label", "disgust")
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("Error: 'disgust' is not a label")


def test_a_wrong_call_shows_its_usage(command):
    done = command("top", "folder")
    assert (done.status, done.out) == (2, "")
    assert "Missing option '--label'" in done.err


def test_a_label_map_for_nothing_is_warned_about_in_one_line(command, data, tmp_path):
    options = ("--label-map", "happy=joy", "--output", tmp_path / "m", *SMALL)
    done = command("train", "--train", data, "--json", *options)
    assert done.status == 0
    assert re.search(r"^Warning: label_map names \['happy'\]", done.err, re.MULTILINE)
    assert "cli.py" not in done.err
