"""The card of a published model: facts found beside it, and nothing else."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from ..cards import render
from ..influence import InfluenceMatrix
from ..influence.statistics import Q_LEVEL, supported
from ..markup import Markdown, printable

_ATTENTION = ("attention", "attention_rollout")
_SHOWN, _SHOWN_OF_MANY, _MANY_LABELS = 10, 5, 8  # words per class in the card
# Our metrics as the Hub knows them: type and name.
_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1": ("f1", "Micro F1"),
    "exact_match": ("exact_match", "Exact match"),
    "mse": ("mse", "Mean squared error"),
    "r2": ("r_squared", "R squared"),
}
_HUB_DATASET = re.compile(r"([\w.\-]+/[\w.\-]+)(:[\w.\-]+)?@[\w.\-]+", re.ASCII)


def model_card(
    source: str,
    config: Mapping[str, Any],
    influence: InfluenceMatrix | None = None,
    *,
    on_hub: bool = True,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    code: bool = False,
    report: bool = False,
    picture: str | None = None,
    license: str | None = None,
    language: str | None = None,
) -> str:
    """README.md of a model's folder or repository.

    Args:
        source: What loads the model: "user/name", or its folder.
        config: Content of its config.json.
        influence: Its matrix, if there is one.
        on_hub: Whether `source` is a repository.
        training: Content of training.json. What is missing there is not mentioned here.
        evaluation: Content of evaluation.json, likewise.
        code: Whether the model's code is published, too.
        report: Whether report.html is.
        picture: Name of the picture of its words, if that is.
        license: Identifier of the model's licence, as on the Hub: "mit".
        language: Language of its texts, as on the Hub: "en".
    """
    training = training or {}
    manifest = influence.manifest if influence else {}
    origin = _get(manifest, dict, "provenance") or {}
    signed = manifest.get("method") not in _ATTENTION
    labels = _labels(config)
    self_attentive = config.get("model_type") == "self_attentive"
    name = Path(source).name
    tables = _tables(influence, signed=signed)
    results = _results(training)
    settings = _get(training, dict, "settings") or {}
    return render(
        "model_card.md",
        _metadata(name, training, self_attentive, license, language),
        name=name,
        source=source,
        on_hub=on_hub,
        config=config,
        self_attentive=self_attentive,
        exact=self_attentive and not config.get("head_hidden_size"),
        labels=labels,
        problem=_problem_type(config, labels),
        code=code,
        report=report,
        picture=picture,
        influence=influence,
        manifest=manifest,
        method=manifest.get("method"),
        signed=signed,
        associated=influence is not None and bool(np.isfinite(influence.association_q_value).any()),
        q_level=Q_LEVEL,
        tables=tables,
        example=_example(source, tables),
        corpus=_get(origin, str, "corpus", "source"),
        options=sorted((_get(origin, dict, "options") or {}).items()),
        folded_on=origin.get("folded_on"),
        word_rule=manifest.get("word_rule"),
        imported={key: config.get(key) for key in ("word_vectors", "teacher")},
        checks=_checks(evaluation),
        data=_data(training),
        results=results,
        seeds=len(_get(training, list, "seeds") or []),
        tuned=bool(results) and "patience" in settings,
        settings=_settings(training),
        license=license,
    )


def _metadata(
    name: str,
    training: Mapping[str, Any],
    self_attentive: bool,
    license: str | None,
    language: str | None,
) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    texts = _get(training, dict, "texts", "validation") or {}
    dataset = printable(str(texts.get("source") or "unnamed texts"))
    on_hub = [
        found[1]
        for role in ("train", "validation")
        if (found := _HUB_DATASET.fullmatch(str(_get(training, str, "texts", role, "source"))))
    ]
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=on_hub[-1] if on_hub else dataset,
            dataset_name=dataset,
            dataset_split="validation",
            metric_type=row["type"],
            metric_name=row["name"],
            metric_value=row["value"],
        )
        for row in _results(training)
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=[
            "hf_attn_attr",
            "interpretability",
            *(["attention-attribution", "self-attention"] if self_attentive else []),
        ],
        license=license,
        language=language,
        datasets=list(dict.fromkeys(on_hub)) or None,
        model_name=name,
        eval_results=results or None,
    )


def _labels(config: Mapping[str, Any]) -> list[str]:
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    return [names[index] for index in sorted(names)]


def _problem_type(config: Mapping[str, Any], labels: list[str]) -> str:
    inferred = "regression" if len(labels) == 1 else "single_label_classification"
    return str(config.get("problem_type") or inferred)


def _tables(influence: InfluenceMatrix | None, *, signed: bool) -> list[dict[str, Any]]:
    """The top words of every class; of attention alone there are none for a regression."""
    if influence is None:
        return []
    if not signed and influence.manifest.get("problem_type") == "regression":
        return []
    labels = _get(influence.manifest, list, "classes") or influence.labels
    shown = _SHOWN if len(labels) <= _MANY_LABELS else _SHOWN_OF_MANY
    by = "lower_bound" if signed else "npmi"
    if not len(influence.words):
        return [{"label": label, "rows": []} for label in labels]
    associated = bool(np.isfinite(influence.association_q_value).any())
    return [
        {
            "label": label,
            "rows": [
                {**row, "evidence": _evidence(row, associated=associated)}
                for row in influence.top_words(label, shown, by=by).to_dict("records")
            ],
        }
        for label in labels
    ]


def _evidence(row: dict[Any, Any], *, associated: bool) -> str:
    """How far a row is attested; "model only" if the model alone says so, and not the data."""
    found = str(row["evidence"])
    return "model only" if associated and found == "consistent" and not supported(row) else found


def _example(source: str, tables: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first class with a word to ask about, and that word; for a shell if it takes them."""
    for table in tables:
        if table["rows"]:
            asked = {
                "source": source,
                "label": table["label"],
                "word": table["rows"][0]["word"],
            }
            typed = {name: Markdown(shlex.quote(text)) for name, text in asked.items()}
            return {**asked, "shell": typed if "".join(asked.values()).isprintable() else None}
    return None


def _checks(evaluation: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """What evaluation.json says: of each check its question or name, verdict, and reasons."""
    found = []
    for check in _get(evaluation or {}, list, "checks") or []:
        if isinstance(check, Mapping) and check.get("name") and check.get("verdict"):
            reasons = check.get("reasons") or check.get("text") or ""
            text = " ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)
            title = str(check.get("question") or check["name"])
            found.append({"title": title, "verdict": str(check["verdict"]), "text": text})
    return found


def _data(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"role": role, "rows": rows, "source": source}
        for role in ("train", "validation")
        if (rows := _get(training, int, "texts", role, "rows")) is not None
        and (source := _get(training, str, "texts", role, "source")) is not None
    ]


def _results(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    seeds = [seed for seed in _get(training, list, "seeds") or [] if isinstance(seed, Mapping)]
    rows = []
    for key, value in (_get(training, dict, "metrics") or {}).items():
        if not isinstance(value, (int, float)):
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


def _settings(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    preset = _get(training, str, "preset")
    settings = _get(training, dict, "settings") or {}
    told = [("preset", preset)] if preset else []
    return told + [(key, str(value)) for key, value in settings.items() if value is not None]


def _get(facts: Any, kind: type, *path: str) -> Any:
    """What lies at a path of nested mappings, None if it is not there or of another type."""
    for key in path:
        facts = facts.get(key) if isinstance(facts, Mapping) else None
    return facts if isinstance(facts, kind) else None
