"""What each check of `evaluate` costs, for our model and for a fine-tuned encoder.

    python benchmarks/evaluate_cost.py --data DATA [--only ours MiniLM] [--refits 5]

Both were trained on SST (reused where `any_classifier.py` has made them) and folded on its
validation sentences, ours by contribution, MiniLM by occlusion. CPU seconds on one core of every
check, in order, with what it is the first to need; and the same in passes over these sentences,
batched by length, which are timed before and after. `reads`: texts, whole or with words gone, that
erasure gave to the model. Ours is also trained again with so many other seeds. Results go to
`results/evaluate_cost.json`.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import any_classifier
import common
import tasks
from peers import one_thread

from hf_attn_attr import AttributionExtractor
from hf_attn_attr.evaluation import evaluate_folder, matching_extractor
from hf_attn_attr.evaluation.erasure import Eraser
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.workflow import influence_of

TASK = tasks.TASKS["sst"]


def main() -> None:
    """Measure, print a table."""
    options = common.parser(__doc__)
    options.add_argument("--refits", type=int, default=5)
    arguments = options.parse_args()
    texts = tasks.load(TASK, arguments.data)
    tuned, ours = any_classifier.models("sst", texts, arguments.work)
    result = common.load("evaluate_cost") or {}
    with one_thread():
        for name in arguments.only or ("ours", "MiniLM"):
            if name == "ours":
                shutil.rmtree(ours / "refits", ignore_errors=True)
                result[name] = measure(ours, ours, arguments.data, arguments.refits)
            else:
                folder = folded(tuned, texts, arguments.work / "sst_occlusion")
                result[name] = measure(folder, tuned, arguments.data, 0)
            common.save("evaluate_cost", result)
    for name, found in result.items():
        rows = [
            (
                check["name"],
                f"{check['seconds']:.1f}",
                f"{check['passes']:.1f}",
                str(check["reads"]),
            )
            for check in found["checks"]
        ]
        title = f"{name}: {found['texts']}, pass {found['pass_seconds']:.2f} s"
        common.show(title, ("check", "CPU seconds", "passes", "reads"), rows)
        print("in all", f"{found['seconds']:.0f} s", found["seeds"])


def folded(model: Path, texts: tasks.Texts, folder: Path) -> Path:
    """The folder of a matrix folded by occlusion, made where it is missing."""
    if not (folder / "influence").is_dir():
        extractor = AttributionExtractor(*load_classifier(model), "occlusion")
        influence_of(extractor, texts.validation, output_dir=folder)
    return folder


def measure(folder: Path, model: Path, data: Path, refits: int) -> dict[str, Any]:
    """Cost of every check, and of a pass over the texts."""
    extractor = matching_extractor(folder, *load_classifier(model))
    validation = data / f"{TASK.files}_validation.parquet"
    before = pass_seconds(extractor, tasks.load(TASK, data).validation.dataset["text"][:])
    started: list[tuple[str, float]] = []
    reads: dict[str, int] = {}

    def read(count: int) -> None:
        name = started[-1][0]
        reads[name] = reads.get(name, 0) + count

    record = evaluate_folder(
        folder,
        extractor,
        validation,
        seeds=refits,
        train=[data / f"{TASK.files}_train.parquet"] if refits else (),
        read_options={"label_column": TASK.label_column},
        started=lambda check: started.append((check.name, time.process_time())),
        progress=read,
    )
    ended = [at for _, at in started[1:]] + [time.process_time()]
    after = pass_seconds(extractor, tasks.load(TASK, data).validation.dataset["text"][:])
    unit = mean((before, after))
    checks = [
        {
            "name": name,
            "seconds": end - start,
            "passes": (end - start) / unit,
            "reads": reads.get(name, 0),
            "verdict": check["verdict"],
        }
        for (name, start), end, check in zip(started, ended, record["checks"], strict=True)
    ]
    return {
        "texts": {key: record["texts"][key] for key in ("rows", "corpus_sample", "text_sample")},
        "pass_seconds": unit,
        "seconds": sum(check["seconds"] for check in checks),
        "checks": checks,
        "refits": refits,
        "seeds": seeds_of(record["checks"][-1]["figures"]),
    }


def pass_seconds(extractor: AttributionExtractor, texts: Sequence[str]) -> float:
    """CPU seconds of one pass over the texts."""
    started = time.process_time()
    Eraser(extractor, texts)
    return time.process_time() - started


def seeds_of(figures: dict[str, Any]) -> dict[str, Any]:
    """How far refits agree, means over classes; {} where there are none."""
    classes = list(figures.get("classes", {}).values())
    return {
        name: mean(one[name] for one in classes)
        for name in ("refits", "matrix", "same_sign", "listed", "compared")
        if classes
    }


if __name__ == "__main__":
    main()
