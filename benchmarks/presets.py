"""The presets side by side: quality, time, size, and what their attributions can do.

    python benchmarks/presets.py --data DATA [--seeds 3] [--only default fast ...]

On SST-2 sentences (validation). Figures go to `results/presets.json`, and are not measured again.
"""

import time
from typing import Any

import common
import quality
import tasks
from tasks import TASKS

from hf_attn_attr import TrainingSettings
from hf_attn_attr.models.configuration_self_attentive import PRESETS
from hf_attn_attr.workflow import run

TASK = TASKS["sst"]


def main() -> None:
    """Measure what is missing, print a table."""
    arguments = common.parser(__doc__).parse_args()
    texts = tasks.load(TASK, arguments.data)
    for preset in arguments.only or PRESETS:
        for seed in range(arguments.seeds):
            result = common.load("presets") or {}
            runs = result.setdefault(preset, [])
            if len(runs) <= seed:
                runs.append(measure(preset, texts, seed, arguments))
                common.save("presets", result)
                print(preset, runs[-1], flush=True)
    report()


def measure(preset: str, texts: tasks.Texts, seed: int, arguments: Any) -> dict[str, Any]:
    """Figures of one preset and seed."""
    folder = arguments.work / f"preset_{preset}_{seed}"
    started = time.perf_counter()
    result = run(
        texts.train,
        texts.validation,
        output_dir=folder,
        preset=preset,
        settings=TrainingSettings(seed=seed),
        progress=False,
    )
    return {
        "accuracy": result.training.metrics["accuracy"],
        "train_seconds": time.perf_counter() - started,
        "seconds_per_text": quality.seconds_per_text(folder, texts),
        "bytes": sum((folder / file).stat().st_size for file in quality.SHIPPED),
        "method": result.matrix.manifest["method"],
    }


def report() -> None:
    """Print the table."""
    rows = [
        (
            preset,
            common.spread([one["accuracy"] for one in runs]),
            common.spread([one["train_seconds"] for one in runs], ".0f"),
            common.spread([1000 * one["seconds_per_text"] for one in runs], ".2f"),
            f"{runs[0]['bytes'] / 1e6:.1f}",
            runs[0]["method"],
        )
        for preset, runs in common.load("presets").items()
    ]
    common.show(TASK.title, ("preset", "accuracy", "train s", "ms/text", "MB", "fold"), rows)


if __name__ == "__main__":
    main()
