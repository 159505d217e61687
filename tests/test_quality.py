"""Metrics of a saved model on labelled texts, for every kind of problem."""

import numpy as np
import pandas as pd
import pytest

from hf_attn_attr import (
    AttributionExtractor,
    IncompatibleError,
    TrainingSettings,
    load_labelled,
    train,
)
from hf_attn_attr.evaluation.quality import quality
from hf_attn_attr.loading import load_model

SMALL = {"embedding_size": 8, "hidden_size": 4, "attention_size": 4, "char_ngram_buckets": 0}
WORDS = np.array(["good", "bad", "odd", "fine", "grim"])
LABELS = {
    "single": lambda chosen: np.where(chosen[:, 0] == "good", "pos", "neg"),
    "multi": lambda chosen: [sorted({*row} & {"good", "bad"}) for row in chosen],
    "regression": lambda chosen: [float(len(row[0])) / 2 for row in chosen],
}


@pytest.mark.parametrize("problem", LABELS)
def test_quality_of_the_saved_model_is_what_training_reported(tmp_path, problem):
    chosen = np.random.default_rng(0).choice(WORDS, (60, 3))
    table = pd.DataFrame({"text": [" ".join(row) for row in chosen]})
    table["label"] = list(LABELS[problem](chosen))
    result = train(
        table, table[:31], output_dir=tmp_path, config=SMALL, progress=False,
        settings=TrainingSettings(epochs=2, learning_rate=1e-2, thresholds="per_label"),
    )  # fmt: skip
    assert quality(AttributionExtractor(*load_model(tmp_path)), result.validation) == pytest.approx(
        result.metrics, rel=1e-4
    )


def test_texts_with_labels_in_another_order_are_refused(tmp_path):
    table = pd.DataFrame({"text": ["good film", "bad film"] * 20, "label": ["pos", "neg"] * 20})
    result = train(
        table, output_dir=tmp_path, config=SMALL, settings=TrainingSettings(epochs=1),
        progress=False,
    )  # fmt: skip
    other = load_labelled(table, labels=["pos", "neg"])
    with pytest.raises(IncompatibleError, match="labels= of the model"):
        quality(AttributionExtractor(result.model, result.tokenizer), other)
