"""What a report says first, in plain words."""

import math
from typing import Any

from .material import Material

_METHODS = {
    "contribution": "The exact part of each logit that belongs to a word.",
    "occlusion": "How far the logit falls when the word is left out.",
    "integrated_gradients": "The gradient averaged on the way from an empty text to the text.",
    "input_x_gradient": "The first-order share of each word in the logit.",
    "attention": "Shares of attention alone: no sign, and no class of their own.",
    "attention_rollout": "Shares of attention through all layers: no sign, no class of their own.",
}
_RELATION = {"validation": "new to the model", "train": "those it was trained on"}


def overview_of(material: Material) -> dict[str, Any]:
    """The facts of the first view, plain JSON values: title, facts, cautions, quality, checks."""
    manifest = material.matrix.manifest
    return {
        "title": material.name,
        "kind": manifest.get("problem_type"),
        "facts": _facts(manifest),
        "cautions": _cautions(manifest, outdated=material.outdated),
        "quality": _quality(material.training),
        "checks": material.checks,
    }


def _facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    provenance = manifest.get("provenance", {})
    corpus = provenance.get("corpus", {})
    method = str(manifest.get("method"))
    rule = manifest["word_rule"]
    source = str(corpus.get("source", "not named"))
    if revision := corpus.get("revision"):
        source += f" at {revision}"
    facts = [
        ("Corpus", source),
        ("Texts", _texts(manifest, _RELATION.get(str(provenance.get("folded_on")), ""))),
        ("Words", f"{manifest.get('words', 0):,}, {manifest.get('distinct_words', 0):,} different"),
        ("Method", f"{method}. {_METHODS.get(method, '')}".strip()),
        ("Case", "ignored" if rule.get("lowercase") else "kept apart"),
    ]
    if model_type := provenance.get("model_type"):
        facts.insert(0, ("Model type", str(model_type)))
    return facts


def _texts(manifest: dict[str, Any], relation: str) -> str:
    empty = manifest.get("empty_texts", 0)
    parts = [
        f"{manifest.get('texts', 0):,}",
        *([relation] if relation else []),
        *([f"and {empty:,} without words"] if empty else []),
    ]
    return ", ".join(parts)


def _cautions(manifest: dict[str, Any], *, outdated: bool) -> list[str]:
    provenance = manifest.get("provenance", {})
    cautions = []
    if outdated:
        cautions.append(
            "This matrix has changed since the model was evaluated, so those checks are left out. "
            "Evaluate again."
        )
    if provenance.get("folded_on") == "train":
        cautions.append(
            "Folded on the texts the model was trained on: what it learned by heart counts too."
        )
    if vectors := provenance.get("word_vectors"):
        cautions.append(f"Influence includes lexical knowledge imported with {vectors}.")
    if teacher := provenance.get("teacher"):
        cautions.append(f"The model also learned from the teacher {teacher}.")
    if provenance.get("attention_supervision"):
        cautions.append(
            "Attention was trained to follow human rationales: that it agrees with people is no "
            "finding."
        )
    if classes := manifest.get("classes"):
        cautions.append(f"Only these classes have attributions: {', '.join(map(str, classes))}.")
    return cautions


def _quality(training: dict[str, Any]) -> list[tuple[str, float]]:
    """Metrics on the validation texts of the training."""
    metrics = training.get("metrics")
    if not isinstance(metrics, dict):
        return []
    return [
        (str(name), float(value))
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
