"""Classifiers of other kinds are published with their influence, and told to be a pair."""

import numpy as np
import pytest
from attribution.zoo import TEXTS, TOKENIZER_OF, build, tokenizer
from datasets import Dataset

from hf_attn_attr import (
    AttributionExtractor,
    extract,
    fold,
    load_from_hub,
    measure_gauge,
    push_to_hub,
)

from .published import REPO


@pytest.mark.parametrize("name", TOKENIZER_OF)
def test_it_comes_back_as_the_pair_it_was(hub, name):
    model, words = build(name), tokenizer(TOKENIZER_OF[name])
    if name == "ours":
        measure_gauge(model, words, TEXTS)
    texts = Dataset.from_dict({"text": TEXTS * 3})
    extractor = AttributionExtractor(model, words, "auto")
    columns = extract(texts, model, words, method="auto")
    matrix = fold(columns, provenance=extractor.provenance)
    first = push_to_hub(REPO, model, words, matrix)
    found = load_from_hub(REPO)
    assert found.model.config.model_type == model.config.model_type
    np.testing.assert_array_equal(found.influence.influence, matrix.influence)
    again = extract(texts, found.model, found.tokenizer, method="auto")
    np.testing.assert_allclose(
        np.concatenate(again["attribution"]), np.concatenate(columns["attribution"]), atol=1e-6
    )
    repeated = push_to_hub(REPO, found.model, found.tokenizer, found.influence)
    assert repeated.commit == first.commit, repeated.changed
