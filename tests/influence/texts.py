"""Random extracted texts for the tests of this folder."""

from typing import Any

import numpy as np

from hf_attn_attr.influence import InfluenceAccumulator

LABELS = ("joy", "fear", "anger")
# Case variants, two forms of one letter, right-to-left, emoji sequences, formulas, a long word.
VOCABULARY = [
    *("the", "The", "THE", "hope", "Hope", "gloom", "na\u00efve", "nai\u0308ve", "\u0130stanbul"),
    *("\u0634\u0643\u0631\u0627", "\u202eabc", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    *("=cmd|'/c calc'!A1", "@SUM(A1)", "a,b", 'q"q', "x" * 3000),
]

Rows = dict[str, list[Any]]


def random_rows(
    seed: int,
    n_texts: int = 12,
    labels: tuple[str, ...] = LABELS,
    problem_type: str = "single_label_classification",
    vocabulary: list[str] = VOCABULARY,
    longest: int = 9,
) -> Rows:
    """Columns of `n_texts` texts, some of them without words."""
    rng = np.random.default_rng(seed)
    rows: Rows = {
        name: []
        for name in ("words", "attention", "attribution", "attribution_context", "probabilities")
    }
    for _ in range(n_texts):
        length = int(rng.integers(0, longest + 1))
        weights = rng.gamma(0.3, size=length) + 1e-9
        logits = rng.normal(size=len(labels)) * 4
        probabilities = 1 / (1 + np.exp(-logits))
        if problem_type == "single_label_classification":
            probabilities = np.exp(logits) / np.exp(logits).sum()
        rows["words"].append(rng.choice(np.array(vocabulary, object), length).tolist())
        rows["attention"].append((weights / weights.sum()).astype(np.float32).tolist())
        for name in ("attribution", "attribution_context"):
            rows[name].append(rng.normal(size=length * len(labels)).astype(np.float32).tolist())
        rows["probabilities"].append(
            None if problem_type == "regression" else probabilities.astype(np.float32).tolist()
        )
    return rows


def take(rows: Rows, chosen: Any) -> Rows:
    """The rows at the positions `chosen`."""
    return {name: [column[i] for i in chosen] for name, column in rows.items()}


def accumulated(rows: Rows, **settings: Any) -> InfluenceAccumulator:
    """An accumulator that has seen `rows` in one batch."""
    accumulator = InfluenceAccumulator(settings.pop("labels", LABELS), **settings)
    accumulator.update(rows)
    return accumulator
