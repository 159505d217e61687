"""Attention exchanged: each control against its definition, one text at a time."""

import itertools

import numpy as np
import pytest
import torch
from attribution.zoo import TEXTS, build, tokenizer
from scipy.stats import entropy

from hf_attn_attr import IncompatibleError, InvalidInputError, load_labelled
from hf_attn_attr.classifier import class_probabilities
from hf_attn_attr.evaluation import attention_controls, frozen_attention_refit

SHORT = ["fine film", "dreadful mess", "I love film"]
PROBLEMS = ["single_label_classification", "multi_label_classification", "regression"]


def parts(model, words, text):
    """Attention (r, T), values (T, D), states (T, H) of one text."""
    ids = words(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = model.self_attentive(input_ids=ids, output_attentions=True)
        values = model.self_attentive.values(*out.value_parts)
    return (part[0].numpy() for part in (out.attentions[0], values, out.last_hidden_state))


def output(model, attention, values):
    with torch.no_grad():
        logits = model.classifier(torch.tensor((attention @ values).reshape(1, -1))).numpy()
    kind = model.config.problem_type
    return logits[0] if kind == "regression" else class_probabilities(logits, kind)[0]


@pytest.mark.parametrize("head", [0, 6])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_controls_equal_their_definitions(problem, head):
    model, words = build("ours", problem, head_hidden_size=head), tokenizer("words")
    texts = [*TEXTS, ""]
    found = attention_controls(model, words, texts, permutations=5)
    for row, text in enumerate(texts):
        attention, values, states = parts(model, words, text)
        n = attention.shape[1]
        if n < 2:
            assert all(np.isnan(getattr(found, name)[row]) for name in vars(found))
            continue
        wanted = np.mean([entropy(hop) / np.log(n) for hop in attention])
        assert found.entropy[row] == pytest.approx(wanted)
        mean = states.mean(0)
        cosine = states @ mean / (np.linalg.norm(states, axis=1) * np.linalg.norm(mean))
        assert found.conicity[row] == pytest.approx(cosine.mean())
        own, flat = (output(model, a, values) for a in (attention, np.full_like(attention, 1 / n)))
        distance = (
            np.abs(own - flat).sum() / 2 if problem == PROBLEMS[0] else np.abs(own - flat).max()
        )
        assert found.uniform_distance[row] == pytest.approx(distance)
        if problem == PROBLEMS[0]:
            assert found.uniform_flips[row] == (own.argmax() != flat.argmax())
        elif problem == PROBLEMS[1]:
            assert found.uniform_flips[row] == ((own >= 0.5) != (flat >= 0.5)).any()
        else:
            assert np.isnan(found.uniform_flips[row])


def test_permutations_are_all_there_is_for_short_texts():
    """The median over many draws is that over all orders of both hops; so is the share of flips."""
    model, words = build("ours"), tokenizer("words")
    found = attention_controls(model, words, SHORT, permutations=4001)
    for row, text in enumerate(SHORT):
        attention, values, _ = parts(model, words, text)
        own = output(model, attention, values)
        orders = [list(order) for order in itertools.permutations(range(attention.shape[1]))]
        others = [
            output(model, np.stack([attention[0][one], attention[1][other]]), values)
            for one, other in itertools.product(orders, orders)
        ]
        distances = np.sort([np.abs(own - other).sum() / 2 for other in others])
        near = distances[[int(0.42 * len(distances)), int(0.58 * len(distances))]]
        assert near[0] <= found.permuted_distance[row] + 1e-12
        assert found.permuted_distance[row] <= near[1] + 1e-12
        flips = np.mean([own.argmax() != other.argmax() for other in others])
        assert found.permuted_flips[row] == pytest.approx(flips, abs=0.04)


def test_padding_and_company_do_not_matter():
    model, words = build("ours"), tokenizer("words")
    together = attention_controls(model, words, TEXTS, permutations=200, seed=3)
    for row, text in enumerate(TEXTS):
        alone = attention_controls(model, words, [text], permutations=200, seed=4)
        for name in ("entropy", "conicity", "uniform_distance"):
            np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name)[0])
        # Other draws of the same.
        np.testing.assert_allclose(
            together.permuted_distance[row], alone.permuted_distance[0], atol=0.1
        )


def test_a_head_fitted_again_is_the_same_where_attention_is_uniform(run_result):
    result, _ = run_result
    training = result.training
    model, words = training.model, training.tokenizer
    found = frozen_attention_refit(model, words, training.train)
    gold = training.train.dataset["label"][:]
    assert found.learned > np.bincount(gold).max() / len(gold)
    assert found.gain.mean == pytest.approx(found.learned - found.uniform)
    assert found.gain.low < found.gain.mean < found.gain.high
    with torch.no_grad():
        kept = model.self_attentive.attention.hops.weight.clone()
        model.self_attentive.attention.hops.weight.zero_()  # now its attention is uniform
    try:
        flat = frozen_attention_refit(model, words, training.train)
        same = attention_controls(model, words, TEXTS)
    finally:
        with torch.no_grad():
            model.self_attentive.attention.hops.weight.copy_(kept)
    assert flat.gain.mean == 0
    several = ~np.isnan(same.entropy)
    assert several.sum() == 4
    np.testing.assert_allclose(same.entropy[several], 1.0, rtol=1e-6)
    np.testing.assert_allclose(same.permuted_distance[several], 0.0, atol=1e-6)


def test_other_models_and_labels_are_refused():
    with pytest.raises(IncompatibleError, match="'bert' model has many layers of attention"):
        attention_controls(build("bert"), tokenizer("wordpiece"), TEXTS)
    import pandas as pd

    model, words = build("ours"), tokenizer("words")
    no_labels = load_labelled(pd.DataFrame({"text": TEXTS}), require_labels=False)
    with pytest.raises(InvalidInputError, match="these have none"):
        frozen_attention_refit(model, words, no_labels)
    few = load_labelled(pd.DataFrame({"text": TEXTS, "label": list("ababa")}))
    with pytest.raises(InvalidInputError, match="5 texts with 2 different labels are too few"):
        frozen_attention_refit(model, words, few)
