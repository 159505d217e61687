"""How long a question to a published matrix takes: CPU seconds of whole processes.

Compared with importing what any reader of the table needs. Runs of all commands are interleaved, so
that a busy machine slows all of them alike.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from common import save, show

from hf_attn_attr.influence import InfluenceMatrix

TABLE_READER = "python -c 'import pandas, pyarrow'"
# Times that of the table reader, or seconds.
TARGETS = {"hf-attn-attr --help": 0.5, "hf-attn-attr top": 2.0, "hf-attn-attr word": 2.0}
ON_HUB = "hf-attn-attr top user/model (cached)"
TARGETS[ON_HUB] = 2.5


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", help="a folder with influence/")
    options.add_argument("--repeats", type=int, default=7)
    given = options.parse_args()
    with TemporaryDirectory() as temporary:
        folder = given.folder or train_small(Path(temporary) / "model")
        cache(folder, Path(temporary) / "hub")
        matrix = InfluenceMatrix.from_pretrained(folder)
        seconds = measure(commands(folder, matrix), given.repeats)
    report(seconds, len(matrix.words), len(matrix.labels))


def train_small(folder: Path) -> Path:
    """A folder with the matrix of a briefly trained model."""
    from hf_attn_attr.demo.sentences import load_sentences
    from hf_attn_attr.training import TrainingSettings
    from hf_attn_attr.workflow import run

    run(
        load_sentences(),
        output_dir=folder,
        fold_on="train",
        settings=TrainingSettings(epochs=2),
        progress=False,
    )
    return folder


def cache(folder: Path, place: Path) -> None:
    """Make the cache of the Hub look as after a first download of the matrix, and be offline."""
    commit = "0" * 40
    repository = place / "models--user--model"
    shutil.copytree(folder / "influence", repository / "snapshots" / commit / "influence")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    os.environ.update(HF_HUB_CACHE=str(place), HF_HUB_OFFLINE="1")


def commands(folder: Path, matrix: InfluenceMatrix) -> dict[str, list[str]]:
    """The command lines to compare, by name."""
    script = str(Path(sys.executable).parent / "hf-attn-attr")
    place, label, word = str(folder), matrix.labels[0], matrix.words[0]
    return {
        TABLE_READER: [sys.executable, "-c", "import pandas, pyarrow"],
        "hf-attn-attr --help": [script, "--help"],
        "hf-attn-attr top": [script, "top", place, "--label", label],
        ON_HUB: [script, "top", "user/model", "--label", label],
        "hf-attn-attr word": [script, "word", place, "--", word],
    }


def measure(commands: dict[str, list[str]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each command, after one run that fills caches."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            seconds[name].append(cpu_seconds(command))
    return {name: median(values[1:]) for name, values in seconds.items()}


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def report(seconds: dict[str, float], words: int, labels: int) -> None:
    """Print and save the table."""
    reader = seconds[TABLE_READER]
    rows = []
    for name, spent in seconds.items():
        target = TARGETS.get(name)
        unit = " s" if "--help" in name else "x"
        wanted = "" if target is None else f"<= {target}{unit}"
        rows.append((name, f"{spent:.2f}", f"{spent / reader:.2f}", wanted))
    show(
        f"CPU seconds of a process; matrix of {words:,} words x {labels} labels",
        ("command", "seconds", "times the table reader", "target"),
        rows,
    )
    save("startup", {"words": words, "labels": labels, "seconds": seconds})


if __name__ == "__main__":
    main()
