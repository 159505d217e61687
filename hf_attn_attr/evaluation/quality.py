"""How well a trained model predicts labelled texts."""

import numpy as np

from ..classifier import label_thresholds
from ..data import LabelledTexts, label_indicators
from ..errors import IncompatibleError
from ..extraction import AttributionExtractor
from ..metrics import multi_label_metrics, regression_metrics, single_label_metrics
from .erasure import Eraser


def quality(extractor: AttributionExtractor, texts: LabelledTexts) -> dict[str, float]:
    """Metrics of a model on labelled texts; multi-label with the thresholds of its config.

    Args:
        extractor: The model, and how its texts are read.
        texts: Texts with labels.

    Raises:
        IncompatibleError: If the texts have other labels than the model, or another order of them.
    """
    kind = texts.problem_type
    if kind != "regression" and list(texts.labels) != extractor.labels:
        raise IncompatibleError(
            f"{texts.source} has labels {list(texts.labels)}, the model has {extractor.labels}. "
            "Load the texts with labels= of the model."
        )
    outputs = Eraser(extractor, texts.dataset["text"][:]).full
    if kind == "multi_label_classification":
        return multi_label_metrics(
            outputs, label_indicators(texts), label_thresholds(extractor.model)
        )
    gold = np.array(texts.dataset["label"][:])
    if kind == "regression":
        return regression_metrics(outputs[:, 0], gold)
    return single_label_metrics(outputs, gold)
