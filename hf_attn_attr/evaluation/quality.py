"""How well a trained model predicts labelled texts."""

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..data import LabelledTexts, label_indicators
from ..errors import IncompatibleError
from ..extraction import extract
from ..metrics import multi_label_metrics, regression_metrics, single_label_metrics


def quality(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTexts
) -> dict[str, float]:
    """Metrics of a model on labelled texts; multi-label with the thresholds of its config.

    Raises:
        IncompatibleError: If the texts have other labels than the model, or another order of them.
    """
    config = model.config
    labels = [config.id2label[index] for index in range(config.num_labels)]
    kind = texts.problem_type
    if kind != "regression" and list(texts.labels) != labels:
        raise IncompatibleError(
            f"{texts.source} has labels {list(texts.labels)}, the model has {labels}. Load the "
            "texts with labels= of the model."
        )
    columns = extract(texts.dataset, model, tokenizer, method="attention", context=False)
    if kind == "multi_label_classification":
        thresholds = np.array(config.thresholds or [0.5] * len(labels))
        probabilities = np.array(columns["probabilities"][:])
        return multi_label_metrics(probabilities, label_indicators(texts), thresholds)
    gold = np.array(texts.dataset["label"][:])
    if kind == "regression":
        return regression_metrics(np.array(columns["prediction"][:]), gold)
    return single_label_metrics(np.array(columns["probabilities"][:]), gold)
