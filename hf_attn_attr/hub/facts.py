"""What training.json, evaluation.json and config.json say, for a card.

Anybody may have written or changed them: what is missing or of another kind is left out, and
nothing is made up.
"""

import math
from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from ..markup import printable

# Our metrics as the Hub knows them: type and name.
_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1": ("f1", "Micro F1"),
    "exact_match": ("exact_match", "Exact match"),
    "mse": ("mse", "Mean squared error"),
    "r2": ("r_squared", "R squared"),
}


def labels(config: Mapping[str, Any]) -> list[str]:
    """Names of the labels in model order."""
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    return [names[index] for index in sorted(names)]


def problem_type(config: Mapping[str, Any]) -> str:
    """The problem type, as transformers would infer it where the config names none."""
    inferred = "regression" if len(labels(config)) == 1 else "single_label_classification"
    return str(config.get("problem_type") or inferred)


def checks(evaluation: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """What evaluation.json says: of each check its question or name, verdict, and reasons."""
    found = []
    for check in get(evaluation or {}, list, "checks") or []:
        if isinstance(check, Mapping) and check.get("name") and check.get("verdict"):
            reasons = check.get("reasons") or check.get("text") or ""
            text = " ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)
            title = str(check.get("question") or check["name"])
            found.append({"title": title, "verdict": str(check["verdict"]), "text": text})
    return found


def data(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Role, rows and source of training and validation texts."""
    return [
        {"role": role, "rows": rows, "source": source}
        for role in ("train", "validation")
        if (rows := get(training, int, "texts", role, "rows")) is not None
        and (source := get(training, str, "texts", role, "source")) is not None
    ]


def results(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each metric: type and name as on the Hub, value, mean and deviation over seeds."""
    seeds = [seed for seed in get(training, list, "seeds") or [] if isinstance(seed, Mapping)]
    rows = []
    for key, value in (get(training, dict, "metrics") or {}).items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            continue
        kind, name = _METRICS.get(key, (key, key))
        values = [seed[key] for seed in seeds if isinstance(seed.get(key), (int, float))]
        rows.append(
            {
                "type": printable(kind),
                "name": printable(name),
                "value": value,
                "mean": mean(values) if values else None,
                "deviation": stdev(values) if len(values) > 1 else None,
            }
        )
    return rows


def settings(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each setting that is set."""
    preset = get(training, str, "preset")
    told = {"preset": preset, **(get(training, dict, "settings") or {})}
    return [(str(key), str(value)) for key, value in told.items() if value is not None]


def get(facts: Any, kind: type, *path: str) -> Any:
    """What lies at a path of nested mappings, None if it is not there or of another type."""
    for key in path:
        facts = facts.get(key) if isinstance(facts, Mapping) else None
    return facts if isinstance(facts, kind) else None
