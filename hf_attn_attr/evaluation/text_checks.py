"""Do the numbers of single texts, attributions or attention, name the words the answer hangs on?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..extraction import extract_with
from .attention import attention_controls, frozen_attention_refit
from .rankings import frequency_matched_scores
from .statistics import mean_interval
from .subject import Subject
from .text_erasure import TextFaithfulness, attention_scores, attribution_scores, mean_or_none

Floats = NDArray[np.float64]
Figures = dict[str, Any]
CLASS_BY_CLASS = ("input_x_gradient", "integrated_gradients")
PERMUTATIONS = 25
"""Of each text's attention."""


def attribution_figures(subject: Subject) -> Figures:
    """Erasure tests of the attributions of the subject's method.

    Raises:
        InvalidInputError: If they have no sign.
    """
    method, options = subject.extractor.method, subject.extractor.attribute.options
    scores = attributed_scores(subject, method, options)
    return erasure_figures(subject, method, scores, signed=True)


def attention_figures(subject: Subject) -> Figures:
    """Erasure tests of attention; of a self-attentive model also whether its answers hang on it.

    Raises:
        IncompatibleError: If the model gives no attention.
    """
    scores = attention_scores(extract_with(subject.attributing("attention"), subject.tested_texts))
    found = erasure_figures(subject, "attention", scores, signed=False)
    if subject.model.config.model_type != "self_attentive":
        return found
    controls = attention_controls(
        subject.model,
        subject.extractor.tokenizer,
        subject.tested_texts["text"][:],
        permutations=PERMUTATIONS,
        thresholds=subject.thresholds,
        seed=subject.seed,
    )
    found["controls"] = {
        field.name: mean_or_none(getattr(controls, field.name)) for field in fields(controls)
    }
    try:
        refit = frozen_attention_refit(
            subject.model, subject.extractor.tokenizer, subject.texts, seed=subject.seed
        )
        found["refit"] = asdict(refit)
    except InvalidInputError as error:  # other labels, or too few
        found["refit_not_measured"] = str(error)
    return found


def attributed_scores(
    subject: Subject, method: str, options: Mapping[str, Any] | None = None
) -> list[Floats]:
    """Signed scores of the words of the texts tested, for the class each is tested for.

    Raises:
        InvalidInputError: If the method has no signed attributions.
    """
    single = subject.problem_type == "single_label_classification"
    # A backward pass for each class is spared where the class tested is the predicted one.
    classes = "predicted" if single and method in CLASS_BY_CLASS else "all"
    extractor = subject.attributing(method, options=options, classes=classes)
    columns = extract_with(extractor, subject.tested_texts)
    if columns["attribution"][0] is None:
        raise InvalidInputError(f"The method {method!r} gives no signed attributions.")
    if classes == "predicted":
        return [np.array(terms, dtype=np.float64) for terms in columns["attribution"][:]]
    target = subject.text_test.target
    return attribution_scores(columns, target, len(subject.labels), centred=single)


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
