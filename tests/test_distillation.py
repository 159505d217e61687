"""Training from pretrained word vectors, from a teacher, and with several seeds."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    CanineConfig,
    CanineForSequenceClassification,
    CanineTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from hf_attn_attr import IncompatibleError, InvalidInputError, TrainingSettings, load_labelled
from hf_attn_attr.files import sha256_of_bytes
from hf_attn_attr.loading import load_model
from hf_attn_attr.tokenization import spans_of, train_tokenizer
from hf_attn_attr.training import fit, train
from hf_attn_attr.training import seed as seed_module
from hf_attn_attr.training.augmenting import random_ngrams
from hf_attn_attr.training.targets import loss_function, soft_targets
from hf_attn_attr.training.teacher import teacher_outputs
from hf_attn_attr.workflow import run

GOOD, BAD = ["good", "lovely", "great", "fine"], ["bad", "awful", "poor", "grim"]
NEVER_TRAINED = {"splendid": 1.0, "dreadful": -1.0}
SMALL = {"embedding_size": 16, "hidden_size": 8, "attention_size": 8, "char_ngram_buckets": 50}
PLAIN = {**SMALL, "char_ngram_buckets": 0}
FAST = TrainingSettings(epochs=4, batch_size=8, learning_rate=2e-2, averaging=0.5)


def reviews(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        good = bool(rng.integers(2))
        words = rng.choice(GOOD if good else BAD, 2)
        rows.append(
            {"text": f"a {words[0]} and {words[1]} film", "label": "pos" if good else "neg"}
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def vector_file(tmp_path_factory):
    """Vectors whose first entry is the sentiment of the word, words never trained on included."""
    rng = np.random.default_rng(0)
    sentiment = {**dict.fromkeys(GOOD, 1.0), **dict.fromkeys(BAD, -1.0), **NEVER_TRAINED}
    lines = [
        " ".join([word, *(f"{x:.4f}" for x in [3 * sentiment.get(word, 0), *rng.normal(size=9)])])
        for word in [*sentiment, "a", "and", "film"]
    ]
    path = tmp_path_factory.mktemp("vectors") / "tiny.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A BERT classifier of reviews, its labels in another order than ours."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    tokenizer = train_tokenizer(reviews(60)["text"].tolist(), max_length=16)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=16,
            id2label={0: "pos", 1: "neg"}, label2id={"pos": 0, "neg": 1},
        )
    )  # fmt: skip
    table = reviews(120)
    inputs = tokenizer(table["text"].tolist(), padding=True, return_tensors="pt")
    gold = torch.tensor((table["label"] == "neg").to_numpy(), dtype=torch.long)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(30):
        optimizer.zero_grad()
        model(**inputs, labels=gold).loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("mode", ["project", "fine_tune", "two_channel", "frozen"])
def test_every_mode_learns_folds_to_one_table_and_says_where_the_vectors_come_from(
    tmp_path, vector_file, mode
):
    unlabelled = pd.DataFrame({"text": ["what a splendid film", "what a dreadful film"]})
    result = run(
        reviews(160), reviews(40, 1), output_dir=tmp_path, config=PLAIN, unlabelled=unlabelled,
        settings=replace(FAST, init_embeddings=str(vector_file), embedding_mode=mode),
        progress=False,
    )  # fmt: skip
    assert result.training.metrics["accuracy"] > 0.95
    model, tokenizer = load_model(tmp_path)
    assert not [name for name in model.state_dict() if "static" in name or "ngram" in name]
    inputs = tokenizer(["a splendid film", "a dreadful film"], return_tensors="pt")
    out = model(**inputs, output_attributions=True)
    rebuilt = out.base_value + out.attributions.sum(1)
    assert (rebuilt - out.logits).abs().max() < 1e-5 * out.logits.abs().max()
    positive = model.config.label2id["pos"]
    # Labels never showed these words: what is known of them came with the vectors.
    assert out.logits[0, positive] > out.logits[1, positive]
    assert model.config.word_vectors == "read from tiny.txt"
    assert result.matrix.manifest["provenance"]["word_vectors"] == "read from tiny.txt"
    assert str(tmp_path) not in json.dumps(result.matrix.manifest)


def test_frozen_vectors_stay_where_they_were(tmp_path, vector_file):
    tables = []
    for epochs in (1, 3):
        result = fit(
            reviews(60), output_dir=tmp_path / str(epochs), config=PLAIN, progress=False,
            settings=replace(
                FAST, epochs=epochs, init_embeddings=str(vector_file), embedding_mode="frozen"
            ),
        )  # fmt: skip
        tables.append(result.model.get_input_embeddings().weight)
    assert torch.equal(*tables)
    assert tables[0].any()


def test_an_interrupted_training_with_vectors_resumes_to_the_same_weights(
    tmp_path, vector_file, monkeypatch
):
    options = {
        "config": SMALL,
        "settings": replace(FAST, epochs=3, init_embeddings=str(vector_file), seeds=2),
        "progress": False,
    }
    whole = train(reviews(60), output_dir=tmp_path / "whole", **options)

    class Cut(seed_module.Trainer):
        def _save_checkpoint(self, *args, **kwargs):
            super()._save_checkpoint(*args, **kwargs)
            if self.args.seed == 1 and self.state.epoch >= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(seed_module, "Trainer", Cut)
    with pytest.raises(KeyboardInterrupt):
        train(reviews(60), output_dir=tmp_path / "cut", **options)
    monkeypatch.undo()
    finished = tmp_path / "cut" / "checkpoints" / "seed_0" / "finished" / "model.safetensors"
    written = finished.stat().st_mtime_ns
    resumed = fit(reviews(60), output_dir=tmp_path / "cut", resume=True, **options)
    assert finished.stat().st_mtime_ns == written  # the first seed was not trained again
    assert resumed.seeds == whole.seeds
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_several_seeds_report_each_and_keep_the_best(tmp_path):
    held_out = reviews(40, 1)
    settings = replace(FAST, epochs=3, averaging=0.0)
    several = train(
        reviews(40), held_out, output_dir=tmp_path / "all", config=SMALL, progress=False,
        settings=replace(settings, seed=4, seeds=3),
    )  # fmt: skip
    assert [one["seed"] for one in several.seeds] == [4, 5, 6]
    accuracies = [one["accuracy"] for one in several.seeds]
    assert several.metrics["accuracy"] == max(accuracies)
    assert len(set(accuracies)) > 1
    best = 4 + int(np.argmax(accuracies))
    alone = train(
        reviews(40), held_out, output_dir=tmp_path / "one", config=SMALL, progress=False,
        settings=replace(settings, seed=best),
    )  # fmt: skip
    for name, tensor in alone.model.state_dict().items():
        assert torch.equal(several.model.state_dict()[name], tensor), name
    facts = json.loads((tmp_path / "all" / "training.json").read_text())
    assert facts["seeds"] == several.seeds


def test_a_teacher_teaches_words_that_no_label_shows(tmp_path, teacher):
    shown = reviews(80)
    shown = shown[~shown["text"].str.contains("lovely|grim")]
    unlabelled = pd.DataFrame({"text": ["a lovely and lovely film", "a grim and grim film"] * 20})
    held_out = pd.DataFrame(
        {"text": ["a lovely and lovely film", "a grim and grim film"], "label": ["pos", "neg"]}
    )
    tokenizer = train_tokenizer([*shown["text"], *unlabelled["text"]])
    options = {
        "config": {**SMALL, "char_ngram_buckets": 0}, "tokenizer": tokenizer, "progress": False,
    }  # fmt: skip
    taught = fit(
        shown, held_out, output_dir=tmp_path / "taught", unlabelled=unlabelled,
        settings=replace(FAST, teacher=str(teacher)), **options,
    )  # fmt: skip
    alone = fit(shown, held_out, output_dir=tmp_path / "alone", settings=FAST, **options)
    assert taught.metrics["accuracy"] == 1.0
    lovely = tokenizer.convert_tokens_to_ids("lovely")
    assert taught.model.get_input_embeddings().weight[lovely].any()
    assert not alone.model.get_input_embeddings().weight[lovely].any()
    assert taught.model.config.teacher == teacher.name
    assert len(taught.train.dataset) == len(shown)  # unlabelled texts are no labelled ones


def test_teacher_outputs_are_in_our_order_and_kept(tmp_path, teacher):
    like = load_labelled(reviews(20))
    texts = ["a good film", "a bad film", ""]
    found = teacher_outputs(str(teacher), texts, like, cache=tmp_path, progress=False)
    model = BertForSequenceClassification.from_pretrained(teacher)
    tokenizer = train_tokenizer(reviews(60)["text"].tolist(), max_length=16)
    with torch.no_grad():
        for text, row in zip(texts[:2], found, strict=False):
            probabilities = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
            assert row[list(like.labels).index("pos")] == pytest.approx(
                float(probabilities[0]), abs=1e-6
            )
    (kept,) = tmp_path.glob("teacher-*.npy")
    np.save(data := io.BytesIO(), np.zeros((3, 2)))
    kept.write_bytes(data.getvalue() + sha256_of_bytes(data.getvalue()).encode())
    again = teacher_outputs(str(teacher), texts, like, cache=tmp_path, progress=False)
    assert not again.any()  # read, not asked again
    kept.write_bytes(data.getvalue()[:-1] + b"\1" + kept.read_bytes()[-64:])
    again = teacher_outputs(str(teacher), texts, like, cache=tmp_path, progress=False)
    np.testing.assert_array_equal(again, found)  # asked again: it was damaged
    other = teacher_outputs(str(teacher), texts[:1], like, cache=tmp_path, progress=False)
    assert other.sum() == pytest.approx(1)


def test_a_kernel_that_the_config_of_a_teacher_names_is_not_asked_for(tmp_path, teacher):
    like, texts = load_labelled(reviews(20)), ["a good film"]
    wanted = teacher_outputs(str(teacher), texts, like, cache=tmp_path, progress=False)
    for field in ("attn_implementation", "_attn_implementation"):
        folder = tmp_path / field
        shutil.copytree(teacher, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {field: "owner/evil-kernel"}))
        found = teacher_outputs(str(folder), texts, like, cache=folder, progress=False)
        np.testing.assert_array_equal(found, wanted)


def test_a_teacher_may_have_a_tokenizer_in_python(tmp_path):
    """Which gives no words, and needs none."""
    torch.manual_seed(0)
    labels = {0: "neg", 1: "pos"}
    config = CanineConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_hash_buckets=64,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
    )
    model, tokenizer = CanineForSequenceClassification(config).eval(), CanineTokenizer()
    model.save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    like, texts = load_labelled(reviews(20)), ["a good film", "bad", "fine"]
    found = teacher_outputs(str(tmp_path / "teacher"), texts, like, cache=tmp_path, progress=False)
    with torch.no_grad():
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        wanted = model(**inputs).logits.softmax(-1)[:, [0, 1]].numpy()
    order = [list(like.labels).index(name) for name in ("neg", "pos")]
    np.testing.assert_allclose(found[:, order], wanted, rtol=0, atol=1e-5)


def test_saved_files_name_sources_without_the_path_of_anybodys_folder(
    tmp_path, vector_file, teacher
):
    train(
        reviews(40), output_dir=tmp_path, config=SMALL, progress=False,
        settings=replace(FAST, epochs=1, init_embeddings=str(vector_file), teacher=str(teacher)),
    )  # fmt: skip
    for path in tmp_path.glob("*.json"):
        assert str(vector_file.parent) not in path.read_text(), path
        assert str(teacher.parent) not in path.read_text(), path
    settings = json.loads((tmp_path / "training.json").read_text())["settings"]
    assert (settings["init_embeddings"], settings["teacher"]) == ("tiny.txt", teacher.name)


def test_another_training_is_not_resumed_and_a_new_one_clears_what_is_left(tmp_path):
    options = {"output_dir": tmp_path, "config": SMALL, "progress": False}
    fit(reviews(40), settings=replace(FAST, epochs=2, seeds=2), **options)
    (old,) = (tmp_path / "checkpoints" / "seed_1").glob("checkpoint-*5")
    for changed in (
        {"settings": replace(FAST, epochs=2, learning_rate=1e-3)},
        {"settings": replace(FAST, epochs=2), "config": {**SMALL, "embedding_size": 12}},
    ):
        with pytest.raises(IncompatibleError, match=r"training with another (settings|config)"):
            fit(reviews(40), resume=True, **{**options, **changed})
    with pytest.raises(IncompatibleError, match="another training texts"):
        fit(reviews(40, 5), settings=replace(FAST, epochs=2), resume=True, **options)
    fit(reviews(40), settings=replace(FAST, epochs=2), **options)
    assert not old.exists()


@pytest.mark.parametrize("where", ["_save_checkpoint", "predict"])
def test_patience_goes_on_where_it_was(tmp_path, monkeypatch, where):
    table = reviews(40)
    table["label"] = np.random.default_rng(0).permutation(table["label"])  # nothing to learn
    options = {
        "config": SMALL,
        "settings": replace(FAST, epochs=12, patience=2, learning_rate=1e-3),
        "progress": False,
    }
    whole = fit(table, table[::2], output_dir=tmp_path / "whole", **options)
    stopped = len(whole.history)
    assert stopped < 12

    class Cut(seed_module.Trainer):
        pass

    def cut(self, *args, **kwargs):
        if where == "_save_checkpoint":
            super(Cut, self)._save_checkpoint(*args, **kwargs)
        if self.state.epoch >= stopped - 1:
            raise KeyboardInterrupt
        return None if where == "_save_checkpoint" else super(Cut, self).predict(*args, **kwargs)

    setattr(Cut, where, cut)
    monkeypatch.setattr(seed_module, "Trainer", Cut)
    with pytest.raises(KeyboardInterrupt):
        fit(table, table[::2], output_dir=tmp_path / "cut", **options)
    monkeypatch.undo()
    resumed = fit(table, table[::2], output_dir=tmp_path / "cut", resume=True, **options)
    assert len(resumed.history) == stopped
    assert resumed.metrics == whole.metrics
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_a_teacher_without_a_trained_head_or_of_another_kind_is_refused(tmp_path, teacher):
    like, texts = load_labelled(reviews(20)), ["a good film"]
    options = {"cache": tmp_path, "progress": False}
    bare = tmp_path / "bare"
    BertForSequenceClassification.from_pretrained(teacher).bert.save_pretrained(bare)
    train_tokenizer(["a good film"]).save_pretrained(bare)
    with pytest.raises(InvalidInputError, match=r"lacks the weights \['classifier"):
        teacher_outputs(str(bare), texts, like, **options)
    model = BertForSequenceClassification.from_pretrained(
        teacher, problem_type="multi_label_classification"
    )
    model.save_pretrained(tmp_path / "multi")
    train_tokenizer(["a good film"]).save_pretrained(tmp_path / "multi")
    with pytest.raises(IncompatibleError, match="is for multi_label_classification"):
        teacher_outputs(str(tmp_path / "multi"), texts, like, **options)


def test_a_roberta_teacher_reads_long_texts_as_far_as_it_can(tmp_path):
    tokenizer = train_tokenizer(["a good film"])
    tokenizer.model_max_length = int(1e30)
    model = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, max_position_embeddings=12, pad_token_id=0,
            id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1},
        )
    )  # fmt: skip
    model.save_pretrained(tmp_path / "roberta")
    tokenizer.save_pretrained(tmp_path / "roberta")
    found = teacher_outputs(
        str(tmp_path / "roberta"), ["good " * 50, "good " * 11], load_labelled(reviews(20)),
        cache=tmp_path, progress=False,
    )  # fmt: skip
    assert np.allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({}, {"unlabelled": pd.DataFrame({"text": ["a"]})}, "Unlabelled texts are of use with"),
        ({}, {"config": {"word_vectors": "x"}}, "follows from the training settings"),
        ({"embedding_mode": "frozen"}, {}, "no vectors to start from"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, settings, options, message):
    with pytest.raises(InvalidInputError, match=message):
        fit(
            reviews(20), output_dir=tmp_path, progress=False,
            settings=TrainingSettings(**settings), **options,
        )  # fmt: skip


def test_a_teacher_with_other_labels_is_refused(tmp_path, teacher):
    table = reviews(20).replace({"pos": "joy", "neg": "anger"})
    with pytest.raises(IncompatibleError, match=r"labels \['pos', 'neg'\]"):
        fit(
            table, output_dir=tmp_path, config=SMALL, progress=False,
            settings=replace(FAST, teacher=str(teacher)),
        )  # fmt: skip


@pytest.mark.parametrize("name", ["teacher", "init_embeddings"])
def test_what_cannot_be_loaded_is_named(tmp_path, name):
    with pytest.raises(InvalidInputError, match="no-such-model"):
        fit(
            reviews(20), output_dir=tmp_path, config=SMALL, progress=False,
            settings=replace(FAST, **{name: str(tmp_path / "no-such-model")}),
        )  # fmt: skip


def test_a_teacher_labels_ngrams_too(tmp_path, teacher, monkeypatch):
    asked = []

    def outputs(name, texts, like, **options):
        asked.extend(texts)
        return teacher_outputs(name, texts, like, **options)

    monkeypatch.setattr("hf_attn_attr.training.fitting.teacher_outputs", outputs)
    table = reviews(20)
    settings = replace(FAST, epochs=1, teacher=str(teacher), teacher_ngrams=6)
    fit(table, reviews(8, 1), output_dir=tmp_path, settings=settings, progress=False, config=PLAIN)
    texts = set(table["text"])
    pieces = [text for text in asked if text not in texts]
    assert len(set(pieces)) == len(pieces)
    assert "and" in pieces
    assert all(any(piece in text for text in texts) for piece in pieces)


@given(
    texts=st.lists(st.text(alphabet="ab é漢😀.'", max_size=30), max_size=5),
    per_text=st.integers(0, 4),
    seed=st.integers(0, 9),
)
def test_random_ngrams_are_words_of_a_text_in_a_row(texts, per_text, seed):
    found = random_ngrams(texts, per_text, seed)
    assert found == random_ngrams(texts, per_text, seed)
    assert len(found) <= per_text * len(texts)
    runs = {
        text[spans[i][0] : spans[j][1]]
        for text in texts
        for spans in [spans_of(text)]
        for i in range(len(spans))
        for j in range(i, min(i + 5, len(spans)))
    }
    assert set(found) <= runs - set(texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher_ngrams": 3}, "there is no teacher"),
        ({"teacher": "x", "teacher_ngrams": -1}, "at least 0"),
    ],
)
def test_ngrams_without_a_teacher_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        TrainingSettings(**options)


def test_soft_targets_mix_labels_teacher_and_smoothing():
    texts = load_labelled(pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}))
    taught = np.array([[0.6, 0.4], [0.2, 0.8]])
    assert np.allclose(soft_targets(texts, None, 0.0, 0.2), [[0.9, 0.1], [0.1, 0.9]])
    assert np.allclose(soft_targets(texts, taught, 0.5, 0.0), [[0.8, 0.2], [0.1, 0.9]])
    several = load_labelled(pd.DataFrame({"text": ["a", "b"], "label": [["x"], ["x", "y"]]}))
    assert np.allclose(soft_targets(several, None, 0.0, 0.2), [[0.9, 0.1], [0.9, 0.9]])
    number = load_labelled(pd.DataFrame({"text": ["a", "b"], "label": [0.5, 2.5]}))
    assert np.allclose(soft_targets(number, np.array([[1.5], [1.5]]), 0.5, 0.0), [[1.0], [2.0]])
    with pytest.raises(InvalidInputError, match="label_smoothing"):
        soft_targets(number, None, 0.0, 0.1)


def test_the_loss_of_one_hot_targets_is_that_of_the_labels():
    torch.manual_seed(0)
    logits, gold = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    texts = load_labelled(pd.DataFrame({"text": list("abc"), "label": list("xyz")}))
    one_hot = torch.nn.functional.one_hot(gold, 3).float()
    loss = loss_function(texts, balanced=False)
    assert loss(gold, logits) == pytest.approx(float(loss(one_hot, logits)))
    assert loss(gold, logits) == pytest.approx(float(torch.nn.CrossEntropyLoss()(logits, gold)))
