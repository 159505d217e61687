"""The card of a published model: facts found beside it, and nothing else."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..cards import render
from ..influence import InfluenceMatrix
from ..influence.statistics import Q_LEVEL, supported
from ..markup import Markdown, printable
from . import facts

_ATTENTION = ("attention", "attention_rollout")
_SHOWN, _SHOWN_OF_MANY, _MANY_LABELS = 10, 5, 8  # words per class in the card
_HUB_DATASET = re.compile(r"([\w.\-]+/[\w.\-]+)(:[\w.\-]+)?@[\w.\-]+( \(held out\))?", re.ASCII)


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
    origin = facts.get(manifest, dict, "provenance") or {}
    signed = manifest.get("method") not in _ATTENTION
    self_attentive = config.get("model_type") == "self_attentive"
    name = Path(source).name
    tables = _tables(influence, signed=signed)
    results = facts.results(training)
    settings = facts.get(training, dict, "settings") or {}
    return render(
        "model_card.md",
        _metadata(name, training, self_attentive, license, language),
        name=name,
        source=source,
        on_hub=on_hub,
        config=config,
        self_attentive=self_attentive,
        exact=self_attentive and not config.get("head_hidden_size"),
        labels=facts.labels(config),
        problem=facts.problem_type(config),
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
        corpus=facts.get(origin, str, "corpus", "source"),
        options=sorted((facts.get(origin, dict, "options") or {}).items()),
        folded_on=origin.get("folded_on"),
        word_rule=manifest.get("word_rule"),
        imported={
            key: config.get(key) for key in ("word_vectors", "teacher", "attention_supervision")
        },
        checks=facts.checks(evaluation),
        data=facts.data(training),
        results=results,
        seeds=len(facts.get(training, list, "seeds") or []),
        tuned=bool(results) and "patience" in settings,
        settings=facts.settings(training),
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

    train, validation = (
        facts.get(training, str, "texts", role, "source") for role in ("train", "validation")
    )
    dataset = printable(validation or "unnamed texts")
    on_hub = [_hub_dataset(source) for source in (train, validation)]
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=on_hub[1] or dataset,
            dataset_name=dataset,
            dataset_split="validation",
            metric_type=row["type"],
            metric_name=row["name"],
            metric_value=row["value"],
        )
        for row in facts.results(training)
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
        datasets=list(dict.fromkeys(filter(None, on_hub))) or None,
        model_name=name,
        eval_results=results or None,
    )


def _hub_dataset(source: str | None) -> str | None:
    """The data set on the Hub that a source names, if it is one: "user/name:config@split"."""
    found = _HUB_DATASET.fullmatch(source or "")
    return found[1] if found else None


def _tables(influence: InfluenceMatrix | None, *, signed: bool) -> list[dict[str, Any]]:
    """The top words of every class; of attention alone there are none for a regression."""
    if influence is None:
        return []
    if not signed and influence.manifest.get("problem_type") == "regression":
        return []
    labels = facts.get(influence.manifest, list, "classes") or influence.labels
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
