"""Do the numbers of single texts, attributions or attention, name the words the answer hangs on?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from ..attribution import attribution_method
from ..errors import InvalidInputError
from ..extraction import extract
from .attention import attention_controls, frozen_attention_refit
from .rankings import frequency_matched_scores
from .statistics import mean_interval
from .subject import Subject
from .text_erasure import TextFaithfulness, attention_scores, attribution_scores, mean_or_none

Floats = NDArray[np.float64]
Figures = dict[str, Any]
PERMUTATIONS = 25
"""Of each text's attention."""


def attribution_figures(subject: Subject) -> Figures:
    """Erasure tests of the attributions behind the matrix; without one, of the method "auto".

    Raises:
        InvalidInputError: If they have no sign.
    """
    manifest = subject.matrix.manifest if subject.matrix else {}
    options = manifest.get("provenance", {}).get("options")
    method = attribution_method(manifest.get("method", "auto"), subject.model, options)
    columns = extracted(subject, method.name, method.options)
    if columns["attribution"][0] is None:
        raise InvalidInputError(f"The method {method.name!r} gives no signed attributions.")
    scores = attribution_scores(
        columns,
        subject.text_test.target,
        len(subject.labels),
        centred=subject.problem_type == "single_label_classification",
    )
    return erasure_figures(subject, method.name, scores, signed=True)


def attention_figures(subject: Subject) -> Figures:
    """Erasure tests of attention; of a self-attentive model also whether its answers hang on it.

    Raises:
        IncompatibleError: If the model gives no attention.
    """
    scores = attention_scores(extracted(subject, "attention"))
    found = erasure_figures(subject, "attention", scores, signed=False)
    if subject.model.config.model_type != "self_attentive":
        return found
    texts = subject.corpus_texts.dataset["text"][:]
    controls = attention_controls(
        subject.model,
        subject.tokenizer,
        [texts[row] for row in subject.text_test.texts],
        permutations=PERMUTATIONS,
        thresholds=subject.thresholds,
        seed=subject.seed,
    )
    found["controls"] = {
        field.name: mean_or_none(getattr(controls, field.name)) for field in fields(controls)
    }
    try:
        refit = frozen_attention_refit(
            subject.model, subject.tokenizer, subject.texts, seed=subject.seed
        )
        found["refit"] = asdict(refit)
    except InvalidInputError as error:  # other labels, or too few
        found["refit_not_measured"] = str(error)
    return found


def extracted(subject: Subject, method: str, options: Mapping[str, Any] | None = None) -> Dataset:
    """The columns of the texts tested.

    Raises:
        InvalidInputError: If there are none.
    """
    if not len(subject.text_test.texts):
        raise InvalidInputError(
            "No text of the sample can be tested: each has fewer than two words, or no label."
        )
    texts = subject.corpus_texts.dataset.select(subject.text_test.texts)
    return extract(
        texts, subject.model, subject.tokenizer, method=method, options=options, context=False
    )


def erasure_figures(
    subject: Subject, name: str, scores: Sequence[Floats], *, signed: bool
) -> Figures:
    """Means of the erasure tests of a ranking, of chance and of the best, by every way.

    `gain` is the ranking's number less that of one that knows only the words' frequency, mean over
    texts with its 95% interval.
    """
    test = subject.text_test
    rng = np.random.default_rng(subject.seed)
    frequency = [subject.corpus.frequency[subject.corpus.codes(text)] for text in test.texts]
    matched = frequency_matched_scores(scores, frequency, rng)
    ways: dict[str, Figures] = {}
    for way, references in subject.references.items():
        found = {
            name: test.test(scores, way, signed=signed),
            "matched": test.test(matched, way, signed=signed),
            **references,
        }
        ways[way] = {
            **{one: tested.means() for one, tested in found.items()},
            "gain": {
                number: gain(found[name], found["matched"], number)
                for number in ("comprehensiveness", "sufficiency")
            },
        }
    return {"method": name, "texts": len(test.texts), "ways": ways}


def gain(one: TextFaithfulness, other: TextFaithfulness, number: str) -> tuple[float, ...]:
    """Mean over texts of the difference of a number, and its 95% interval."""
    return tuple(mean_interval(getattr(one, number) - getattr(other, number)))
