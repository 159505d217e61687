"""Words taken out of texts: the model runs on what a careful person would have run it on."""

import numpy as np
import pytest
import torch
from attribution.zoo import TEXTS, TOKENIZER_OF, build, tokenizer
from datasets import Dataset
from scipy.stats import kendalltau

from hf_attn_attr import AttributionExtractor, IncompatibleError, extract
from hf_attn_attr.classifier import class_probabilities, problem_type
from hf_attn_attr.evaluation.corpus_erasure import CorpusErasure, removals
from hf_attn_attr.evaluation.erasure import Eraser
from hf_attn_attr.evaluation.faithfulness import BINS
from hf_attn_attr.evaluation.rankings import MOST_STEPS
from hf_attn_attr.evaluation.text_erasure import (
    ErasureTest,
    attention_scores,
    attribution_scores,
)
from hf_attn_attr.influence import WordRule

RNG = np.random.default_rng(0)


def eraser_of(model, words, texts, progress=lambda _: None, **arguments):
    return Eraser(AttributionExtractor(model, words, "auto", **arguments), texts, progress=progress)


def by_hand(model, words, text, gone, way):
    """Outputs for one text without the words at `gone`, token by token, alone in its batch."""
    batch = words(text, return_offsets_mapping=True, return_tensors="pt")
    encoded = eraser_of(model, words, [text]).encoded[0]
    ids = batch["input_ids"][0].tolist()
    taken = [owner >= 0 and bool(gone[owner]) for owner in encoded.owner]
    mask = words.mask_token_id if words.mask_token_id is not None else words.unk_token_id
    if way == "mask":
        ids = [mask if one else token for one, token in zip(taken, ids, strict=True)]
    else:
        ids = [token for one, token in zip(taken, ids, strict=True) if not one]
    with torch.no_grad():
        logits = model(
            input_ids=torch.tensor([ids], dtype=torch.int64),
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        ).logits.numpy()
    kind = problem_type(model)
    return logits[0] if kind == "regression" else class_probabilities(logits, kind)[0]


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta", "gpt2", "ours"])
@pytest.mark.parametrize("problem", ["single_label_classification", "regression"])
def test_outputs_are_those_of_each_text_alone(name, problem):
    model, words = build(name, problem), tokenizer(TOKENIZER_OF[name])
    eraser = eraser_of(model, words, TEXTS, batch_tokens=64)
    texts = RNG.integers(0, len(TEXTS), 30).tolist()
    gone = [RNG.random(eraser.word_counts[text]) < 0.4 for text in texts]
    for way in eraser.ways:
        found = eraser.outputs(texts, gone, way)
        for row, (text, mask) in enumerate(zip(texts, gone, strict=True)):
            if way == "delete" and mask.all() and name == "ours":
                continue  # an empty text, which no tokenizer gives
            wanted = by_hand(model, words, TEXTS[text], mask, way)
            np.testing.assert_allclose(found[row], wanted, rtol=1e-6, atol=1e-9)
    whole = [np.zeros(count, dtype=bool) for count in eraser.word_counts]
    np.testing.assert_allclose(eraser.outputs(range(len(TEXTS)), whole, "delete"), eraser.full)


def test_what_is_asked_twice_is_run_once():
    model, words = build("bert"), tokenizer("wordpiece")
    read = []
    eraser = eraser_of(model, words, TEXTS, progress=read.append)
    assert sum(read) == len(TEXTS)
    mask = np.arange(eraser.word_counts[0]) == 1
    found = eraser.outputs([0, 0, 0], [mask, ~mask, mask], "mask")
    assert sum(read) == len(TEXTS) + 2
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.allclose(found[0], found[1])


def test_every_word_of_our_model_can_go():
    eraser = eraser_of(build("ours"), tokenizer("words"), TEXTS)
    nothing = eraser.outputs(
        range(5), [np.ones(n, dtype=bool) for n in eraser.word_counts], "delete"
    )
    assert np.isfinite(nothing).all()
    np.testing.assert_allclose(nothing, nothing[:1].repeat(5, axis=0))  # the bias alone


def test_padding_does_not_stand_for_a_word_where_it_ends_a_text():
    model, words = build("gpt2"), tokenizer("bytes")
    kept = words.mask_token, words.unk_token
    words.mask_token = words.unk_token = None
    try:
        eraser = eraser_of(model, words, TEXTS)
    finally:
        words.mask_token, words.unk_token = kept
    assert eraser.ways == ("delete",)
    with pytest.raises(IncompatibleError, match="'gpt2' model's texts cannot go by 'mask'"):
        eraser.outputs([0], [np.ones(eraser.word_counts[0], dtype=bool)], "mask")


def test_long_texts_are_read_in_windows_or_cut():
    model, words = build("bert"), tokenizer("wordpiece")
    text = "fine dull film love mess truly " * 40
    few = np.arange(240) % 7 == 0
    shorter = " ".join(word for word, gone in zip(text.split(), few, strict=True) if not gone)
    texts = Dataset.from_dict({"text": [text, shorter]})
    whole = eraser_of(model, words, [text], window_overlap=20)
    assert whole.word_counts == [240]
    columns = extract(texts, model, words, method="attention", window_overlap=20)
    wanted = columns["probabilities"][:]
    np.testing.assert_allclose(whole.full[0], wanted[0], atol=1e-6)
    np.testing.assert_allclose(whole.outputs([0], [few], "delete")[0], wanted[1], atol=1e-6)
    assert 0 < eraser_of(model, words, [text]).word_counts[0] < 128


def brute_force(model, words, text, scores, way, thresholds=None):
    """The tests of one text as the papers define them, one forward pass after another."""
    n = len(scores)

    def run(gone):
        return by_hand(model, words, text, np.isin(np.arange(n), gone), way)

    whole = run([])
    target = int(whole.argmax())
    order = sorted(range(n), key=lambda place: (-scores[place], place))
    comp, suff = [], []
    for share in BINS:
        k = next(size for size in range(1, n + 1) if size >= share * n - 1e-9)
        comp.append(whole[target] - run(order[:k])[target])
        suff.append(whole[target] - run(order[k:])[target])
    assert n <= MOST_STEPS
    flip, never = 1.0, 1.0
    for k in range(1, n):
        left = run(order[:k])
        same = left.argmax() == target if thresholds is None else left[target] >= thresholds[target]
        if not same:
            flip, never = k / n, 0.0
            break
    losses = [whole[target] - run([place])[target] for place in range(n)]
    return np.mean(comp), np.mean(suff), flip, never, losses


@pytest.mark.parametrize("way", ["delete", "mask"])
@pytest.mark.parametrize("name", ["ours", "bert"])
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_the_tests_of_a_ranking_equal_brute_force(name, problem, way):
    model, words = build(name, problem), tokenizer(TOKENIZER_OF[name])
    eraser = eraser_of(model, words, [*TEXTS, ""])
    limits = np.array([0.55, 0.35, 0.3]) if problem.startswith("multi") else None
    test = ErasureTest(eraser, problem, limits)
    assert len(test.texts) >= 3
    assert (eraser.word_counts[test.texts] >= 2).all()
    if limits is not None:
        assert (eraser.full[test.texts, test.target] >= limits[test.target]).all()
    scores = [RNG.normal(size=eraser.word_counts[text]) for text in test.texts]
    found, unsigned = test.test(scores, way), test.test(scores, way, signed=False)
    for row, text in enumerate(test.texts):
        wanted = brute_force(model, words, TEXTS[text], scores[row], way, limits)
        numbers = [
            getattr(found, field)[row]
            for field in ("comprehensiveness", "sufficiency", "flip_fraction", "never_flips")
        ]
        np.testing.assert_allclose(numbers, wanted[:4], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(test.losses(way)[row], wanted[4], rtol=1e-6, atol=1e-9)
        for one, losses in ((found, wanted[4]), (unsigned, np.abs(wanted[4]))):
            assert one.tau[row] == pytest.approx(kendalltau(scores[row], losses).statistic)


def test_leaving_words_out_ranks_best_by_its_own_tau():
    eraser = eraser_of(build("ours"), tokenizer("words"), TEXTS)
    test = ErasureTest(eraser, "single_label_classification")
    found = test.test(test.losses("delete"), "delete")
    np.testing.assert_allclose(found.tau, 1.0)
    worst = test.test([-one for one in test.losses("delete")], "delete")
    assert worst.comprehensiveness.mean() < found.comprehensiveness.mean()
    np.testing.assert_allclose(worst.tau, -1.0)


def test_a_regression_model_decides_nothing():
    eraser = eraser_of(build("ours", "regression"), tokenizer("words"), TEXTS)
    test = ErasureTest(eraser, "regression")
    losses = test.losses("mask")
    found = test.test(losses, "mask").means()
    assert found["flip_fraction"] is None
    assert found["never_flips"] is None
    reversed_ = test.test([-one for one in losses], "mask").means()
    assert found["comprehensiveness"] > reversed_["comprehensiveness"]


def test_scores_are_read_from_the_columns():
    model, words = build("ours"), tokenizer("words")
    columns = extract(Dataset.from_dict({"text": TEXTS}), model, words)
    target = np.array([0, 1, 2, 0, 1])
    terms = [np.array(one).reshape(-1, 3) for one in columns["attribution"][:]]
    for centred in (True, False):
        found = attribution_scores(columns, target, 3, centred=centred)
        for one, row, label in zip(found, terms, target, strict=True):
            wanted = row[:, label] - (row.sum(1) / 3 if centred else 0)
            np.testing.assert_allclose(one, wanted, rtol=1e-6)
    for one, row in zip(attention_scores(columns), columns["attention"][:], strict=True):
        np.testing.assert_allclose(one, row)


@pytest.fixture(scope="module")
def corpus():
    model, words = build("ours"), tokenizer("words")
    texts = [*TEXTS, "Dreadful film", "fine, fine FINE mess"]
    return model, words, texts, CorpusErasure(eraser_of(model, words, texts), texts, WordRule())


def test_the_corpus_counts_texts_that_hold_a_word(corpus):
    *_, erasure = corpus
    frequency = dict(zip(erasure.words, erasure.frequency.tolist(), strict=True))
    assert frequency["fine"] == 2
    assert frequency["dreadful"] == 2
    assert frequency["film"] == 2
    assert frequency["love"] == 1
    assert list(erasure.words) == sorted(erasure.words)
    assert [erasure.words[code] for code in erasure.codes(5)] == ["dreadful", "film"]
    counts = erasure.counts.toarray()
    assert counts[6, erasure.words.index("fine")] == 3
    np.testing.assert_array_equal((counts > 0).sum(0), erasure.frequency)
    np.testing.assert_array_equal(counts.sum(1), erasure.eraser.word_counts)


@pytest.mark.parametrize("way", ["delete", "mask"])
def test_erasing_words_everywhere_equals_brute_force(corpus, way):
    model, words, texts, erasure = corpus
    sets = [["dreadful", "mess"], ["fine"], []]
    chosen = [np.array([erasure.words.index(w) for w in some], dtype=int) for some in sets]
    for label in range(3):
        found = erasure.effects(chosen, label, way)
        for effect, some in zip(found, sets, strict=True):
            losses, touched = [], []
            for row, text in enumerate(texts):
                spans = erasure.eraser.encoded[row].spans
                gone = np.array([text[a:b].lower() in some for a, b in spans])
                whole = by_hand(model, words, text, np.zeros(len(spans)), way)[label]
                if gone.all() and way == "delete":
                    left = erasure.eraser.outputs([row], [gone], way)[0, label]
                else:
                    left = by_hand(model, words, text, gone, way)[label]
                losses.append(whole - left)
                touched.append(gone.any())
            assert effect.drop == pytest.approx(np.mean(losses), abs=1e-9)
            assert effect.touched == pytest.approx(np.mean(touched))
            some_losses = [one for one, held in zip(losses, touched, strict=True) if held]
            assert effect.drop_touched == pytest.approx(np.mean(some_losses or [0.0]), abs=1e-9)


def test_the_words_that_raise_a_class_most_lower_it_most_when_they_go(corpus):
    *_, erasure = corpus
    every = [np.array([word]) for word in range(len(erasure.words))]
    drops = np.array([one.drop for one in erasure.effects(every, 1, "delete")])
    measures = {"true": drops, "false": -drops, "some": np.where(drops > 0, drops, np.nan)}
    few, many = removals(
        erasure, measures, 1, "delete", (1, 3), controls=["true"], draws=15,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert (few.k, many.k) == (1, 3)
    assert few.effects["true"].drop == pytest.approx(drops.max())
    assert many.effects["true"].drop > many.effects["false"].drop
    assert few.words == {"true": 1, "false": 1, "some": 1}
    assert len(many.matched["true"]) == 15
    assert all(one.drop < few.effects["true"].drop for one in few.matched["true"])


def test_values_of_other_words_are_aligned(corpus):
    *_, erasure = corpus
    values = erasure.aligned(["film", "unknown"], np.array([2.0, 3.0]))
    assert values[erasure.words.index("film")] == 2.0
    assert np.isnan(np.delete(values, erasure.words.index("film"))).all()
    assert erasure.top(values, 5).tolist() == [erasure.words.index("film")]
