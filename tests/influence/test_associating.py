"""Association of a dataset against counting by hand; order and shards; what is refused."""

import math

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from hf_attn_attr.demo import generate_planted_corpus
from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.influence import WordRule, association

from .texts import LABELS, VOCABULARY

MEASURES = ("log_odds", "log_odds_standard_error", "pmi", "p_value", "q_value")
SINGLE, MULTI = ClassLabel(names=list(LABELS)), List(ClassLabel(names=list(LABELS)))


def dataset_of(words, gold, feature=SINGLE):
    features = Features(words=List(Value("string")), gold=feature)
    return Dataset.from_dict({"words": words, "gold": gold}, features=features)


def random_dataset(seed, n_texts=60, multi=False):
    rng = np.random.default_rng(seed)
    words = [rng.choice(VOCABULARY[:8], rng.integers(0, 9)).tolist() for _ in range(n_texts)]
    if multi:
        gold = [np.flatnonzero(rng.random(3) < 0.4).tolist() for _ in words]
        gold[3] = None
    else:
        gold = [int(label) for label in rng.integers(-1, 3, n_texts)]
        gold[3] = None
    return dataset_of(words, gold, MULTI if multi else SINGLE)


def same(left, right):
    names = (*MEASURES, "count", "document_count", "label_documents", "documents_with_label")
    return (
        left.words == right.words
        and left.labels == right.labels
        and left.description == right.description
        and all(getattr(left, n).tobytes() == getattr(right, n).tobytes() for n in names)
    )


@pytest.mark.parametrize("multi", [False, True])
def test_everything_is_counted_by_text_and_by_occurrence(multi):
    dataset = random_dataset(1, multi=multi)
    table = association(dataset, "gold")
    rule = WordRule()
    texts = []
    for words, gold in zip(dataset["words"], dataset["gold"], strict=True):
        if gold is not None and gold != -1 and words:
            texts.append(([rule.key(word) for word in words], np.atleast_1d(gold).tolist()))
    words = sorted({word for text, _ in texts for word in text})
    assert table.words == tuple(words)
    assert table.description["texts"] == len(texts)
    unlabelled = sum(gold is None or gold == -1 for gold in dataset["gold"])
    assert table.description["unlabelled_texts"] == unlabelled > 0
    for w, word in enumerate(words):
        holding = [(text.count(word), gold) for text, gold in texts if word in text]
        assert table.count[w] == sum(n for n, _ in holding)
        assert table.document_count[w] == len(holding)
        for c in range(3):
            both = sum(c in gold for _, gold in holding)
            labelled = sum(c in gold for _, gold in texts)
            assert table.documents_with_label[w, c] == both
            assert table.label_documents[c] == labelled
            cells = [[both, len(holding) - both]]
            cells += [[labelled - both, len(texts) - labelled - len(holding) + both]]
            plain = fisher_exact(cells).pvalue
            if len(holding) < 5:
                assert math.isnan(table.p_value[w, c])
            else:
                assert plain / 2 - 1e-9 <= table.p_value[w, c] <= plain
    inside = [
        [sum(text.count(word) for text, gold in texts if c in gold) for c in range(3)]
        for word in words
    ]
    a, total = 0.01 * table.count[:, None], table.count.sum()
    y, rest = np.array(inside) + a, table.count[:, None] - np.array(inside) + a
    expected = np.log(y / (y.sum(0) - y)) - np.log(rest / (rest.sum(0) - rest))
    np.testing.assert_allclose(table.log_odds, expected)
    assert total == sum(len(text) for text, _ in texts)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 70))
@settings(max_examples=20)
def test_order_shards_and_batches_do_not_matter(seed, multi, batch_size):
    dataset = random_dataset(seed, multi=multi)
    table = association(dataset, "gold")
    assert same(association(dataset, "gold", batch_size=batch_size), table)
    shards = [dataset.shard(3, i) for i in (2, 0, 1)]
    assert same(association(concatenate_datasets(shards), "gold"), table)


def test_classes_may_come_in_any_order():
    dataset = random_dataset(2)
    table = association(dataset, "gold")
    turned = ClassLabel(names=list(LABELS)[::-1])
    gold = [g if g is None or g < 0 else 2 - g for g in dataset["gold"]]
    reversed_ = association(dataset_of(dataset["words"], gold, turned), "gold")
    assert reversed_.labels == LABELS[::-1]
    np.testing.assert_array_equal(reversed_.p_value[:, ::-1], table.p_value)
    np.testing.assert_allclose(reversed_.q_value[:, ::-1], table.q_value)


def test_words_are_one_by_the_rule_of_the_fold():
    dataset = dataset_of([["The", "the", "nai\u0308ve"], ["na\u00efve"]], [0, 1])
    assert association(dataset, "gold").words == ("na\u00efve", "the")
    table = association(dataset, "gold", lowercase=False, normalization=None)
    assert len(table.words) == 4
    assert table.description["word_rule"] == {"lowercase": False, "normalization": None}


def test_what_all_texts_or_none_have_is_not_tested():
    dataset = dataset_of([["the", "hope"]] * 5 + [["the"]] * 5, [0, 1] * 5)
    table = association(dataset, "gold", min_documents=1)
    tested = ~np.isnan(table.p_value)
    assert tested.tolist() == [[True, True, False], [False, False, False]]
    assert table.description["tested"] == 2
    assert not np.isnan(table.q_value[tested]).any()
    assert np.isnan(table.log_odds[:, 2]).all()


def test_as_many_texts_as_are_asked_for_are_enough_and_a_label_of_one_text_is_one():
    words = [["rare", "the"]] * 3 + [["the"]] * 3 + [["other"]] * 4
    table = association(dataset_of(words, [0] + [1] * 9), "gold", min_documents=3)
    tested = dict(zip(table.words, ~np.isnan(table.p_value), strict=True))
    assert tested["rare"].tolist() == [True, True, False]
    assert (
        association(dataset_of(words, [0] + [1] * 9), "gold", min_documents=4).description["tested"]
        == 2 * 2
    )
    assert table.pmi[table.words.index("rare"), 0] == pytest.approx(math.log(1.5 / 0.8))


def test_a_bad_row_is_named_by_its_place_in_the_dataset():
    words = [["a"]] * 25
    words[20] = None
    with pytest.raises(InvalidInputError, match="Row 20 of words is null"):
        association(dataset_of(words, [0] * 25), "gold", batch_size=8)


def test_an_unlabelled_or_empty_dataset_says_nothing():
    for dataset in (dataset_of([["a"]], [None]), dataset_of([], []), dataset_of([[]], [1])):
        table = association(dataset, "gold")
        assert table.words == ()
        assert table.q_value.shape == (0, 3)
        assert table.description["texts"] == 0
        assert table.to_pandas().empty


def test_the_long_form_has_a_row_per_word_and_label():
    table = association(random_dataset(0), "gold")
    frame = table.to_pandas()
    assert frame["word"].tolist() == [word for word in table.words for _ in LABELS]
    assert frame["label"].tolist() == list(LABELS) * len(table.words)
    for name in MEASURES:
        np.testing.assert_array_equal(frame[name], getattr(table, name).ravel())
    assert frame["count"].tolist() == [n for n in table.count for _ in LABELS]
    assert frame["documents"].tolist() == [n for n in table.document_count for _ in LABELS]
    assert frame["label_documents"].tolist() == table.label_documents.tolist() * len(table.words)
    assert frame["documents_with_label"].tolist() == table.documents_with_label.ravel().tolist()
    assert "3 texts" not in repr(table)
    assert f"{table.description['texts']} texts" in repr(table)


def test_bad_labels_are_named():
    with pytest.raises(InvalidInputError, match="no label column 'label'"):
        association(dataset_of([["a"]], [0]))
    with pytest.raises(InvalidInputError, match="ClassLabel"):
        association(dataset_of([["a"]], [1.5], Value("float32")), "gold")
    broken = dataset_of([["a"], ["b"]], [0, 2]).cast_column("gold", Value("int64"))
    broken = broken.map(lambda row: {"gold": row["gold"] + 1})
    broken.info.features["gold"] = SINGLE
    with pytest.raises(InvalidInputError, match="Row 1 has the gold label 3"):
        association(broken, "gold")
    with pytest.raises(InvalidInputError, match="Row 1 has the gold label -1"):
        association(dataset_of([["a"], ["b"]], [[0], [-1]], MULTI), "gold")
    with pytest.raises(InvalidInputError, match="Row 1 has the gold label -1"):
        association(dataset_of([["a"], ["b"]], [[0], [None]], MULTI), "gold")


def test_planted_words_are_found_and_others_are_not():
    corpus = generate_planted_corpus(0, train_texts=0)
    feature = ClassLabel(names=list(corpus.labels))
    texts = [text.split() for text in corpus.validation.texts]
    table = association(dataset_of(texts, corpus.validation.labels, feature), "gold")
    kind = dict(zip(corpus.words, corpus.kind, strict=True))
    found = [kind[table.words[row]] for row, _ in np.argwhere(table.q_value <= 0.05)]
    right = sum(name in ("planted", "confounded") for name in found)
    assert right >= 100
    assert len(found) - right <= 0.05 * len(found)
