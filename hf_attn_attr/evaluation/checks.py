"""The checks of a model and its influence matrix, each by itself; `CHECKS` lists them.

A check is a question, a function from the subject to plain figures, and a rule in `verdict`. To add
one, add an entry to `CHECKS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ..errors import IncompatibleError, InvalidInputError
from . import verdict
from .corpus_check import influence_figures
from .matrix_checks import association_figures, stability_figures
from .quality import quality
from .seed_check import seed_figures
from .subject import Subject
from .text_checks import attention_figures, attribution_figures
from .verdict import Verdict

Figures = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One question, how its figures are made, and how they are judged.

    Attributes:
        name: For machines.
        question: For people.
        figures: Plain JSON values. It raises InvalidInputError or IncompatibleError where the check
            does not apply to the subject; the message is then the reason given.
        rule: From figures to verdict.
    """

    name: str
    question: str
    figures: Callable[[Subject], Figures]
    rule: Callable[[Figures], Verdict]


@dataclass(frozen=True)
class Finding:
    """What a check found: its figures, {} where it does not apply, and the verdict."""

    check: Check
    figures: Figures
    verdict: Verdict

    def to_json(self) -> Figures:
        """Plain JSON values."""
        return {
            "name": self.check.name,
            "question": self.check.question,
            "verdict": self.verdict.level,
            "reasons": self.verdict.reasons,
            "figures": self.figures,
        }


def quality_figures(subject: Subject) -> Figures:
    """Metrics on all labelled texts; the interval of accuracy where they have one label each.

    Raises:
        InvalidInputError: If the texts have no labels.
    """
    texts = subject.texts
    if not texts.labelled:
        raise InvalidInputError("The texts have no labels.")
    metrics = quality(subject.extractor, texts)
    found: Figures = {
        "texts": len(texts.dataset),
        "trained_on": subject.trained_on,
        "metrics": metrics,
    }
    if texts.problem_type == "single_label_classification":
        gold = np.array(texts.dataset["label"][:])
        right = binomtest(round(metrics["accuracy"] * len(gold)), len(gold))
        interval = right.proportion_ci(method="wilson")
        found["accuracy"] = (metrics["accuracy"], float(interval.low), float(interval.high))
        found["most_frequent"] = float(np.bincount(gold).max() / len(gold))
    return found


CHECKS = (
    Check(
        "quality",
        "Does the model predict well enough for its influences to matter?",
        quality_figures,
        verdict.on_quality,
    ),
    Check(
        "influence",
        "Do the top words of a class drive it, over the whole corpus?",
        influence_figures,
        verdict.on_influence,
    ),
    Check(
        "association",
        "Do the gold labels say, too, that the top words go with their class?",
        association_figures,
        verdict.on_association,
    ),
    Check(
        "stability",
        "Would other texts of this kind rank the words alike?",
        stability_figures,
        verdict.on_stability,
    ),
    Check(
        "attribution",
        "Do attributions name the words that the answer to a text hangs on?",
        attribution_figures,
        verdict.on_attribution,
    ),
    Check(
        "attention",
        "May attention be shown as an explanation?",
        attention_figures,
        verdict.on_attention,
    ),
    Check(
        "seeds",
        "Would the model, trained with other seeds, name the same words?",
        seed_figures,
        verdict.on_seeds,
    ),
)


def run_checks(
    subject: Subject, started: Callable[[Check], None] = lambda _: None
) -> Iterator[Finding]:
    """The findings of all checks, one by one.

    Args:
        subject: What is checked.
        started: Called before each check.
    """
    for check in CHECKS:
        started(check)
        try:
            figures = check.figures(subject)
        except (IncompatibleError, InvalidInputError) as error:
            yield Finding(check, {}, Verdict("not checked", [str(error)]))
        else:
            yield Finding(check, figures, check.rule(figures))
