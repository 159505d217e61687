"""Training: a thin layer over Trainer whose result is whole, repeatable and resumable."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import Trainer, TrainingArguments, pipeline

from hf_attn_attr import (
    IncompatibleError,
    IncompleteCheckpointError,
    InvalidInputError,
    NonFiniteError,
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    TrainingSettings,
    load_labelled,
    measure_gauge,
    train,
    train_tokenizer,
)
from hf_attn_attr.loading import load_model
from hf_attn_attr.metrics import (
    multi_label_metrics,
    regression_metrics,
    single_label_metrics,
    tune_thresholds,
)
from hf_attn_attr.models.configuration_self_attentive import PRESETS
from hf_attn_attr.training import seed as seed_module
from hf_attn_attr.training.averaging import STRIDE, WeightAveraging
from hf_attn_attr.training.denormals import NoDenormals
from hf_attn_attr.training.resuming import drop

GOOD, BAD = ["good", "lovely", "great", "fine"], ["bad", "awful", "poor", "grim"]
SMALL = {
    "embedding_size": 16,
    "hidden_size": 8,
    "attention_size": 8,
    "char_ngram_buckets": 50,
    "embedding_dropout": 0.1,
    "classifier_dropout": 0.1,
}
FAST = TrainingSettings(epochs=4, batch_size=8, learning_rate=2e-2)


def reviews(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words = rng.choice(GOOD if (good := bool(rng.integers(2))) else BAD, 2)
        rows.append(
            {"text": f"a {words[0]} and {words[1]} film", "label": "pos" if good else "neg"}
        )
    return pd.DataFrame(rows)


def test_training_learns_saves_and_reloads(tmp_path):
    result = train(
        reviews(160), reviews(40, 1), output_dir=tmp_path, config=SMALL, settings=FAST,
        progress=False,
    )  # fmt: skip
    assert result.metrics["accuracy"] > 0.95
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "training.json"}
    assert "checkpoints" not in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth"))]
    model, tokenizer = load_model(tmp_path)
    inputs = tokenizer("a lovely film", return_tensors="pt")
    assert torch.equal(model(**inputs).logits, result.model(**inputs).logits)
    assert model.config.id2label == {0: "neg", 1: "pos"}
    assert model.config.label2id == {"neg": 0, "pos": 1}
    assert model.config.char_ngram_buckets == 0
    assert int(model.gauge_texts) == 160
    batch = tokenizer(
        ["a lovely film", "bad", "a grim and awful film"], padding=True, return_tensors="pt"
    )
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        out = model.to(dtype)(**batch, output_attributions=True)
        rebuilt = out.base_value + out.attributions.sum(1)
        assert (rebuilt - out.logits).abs().max() < tolerance * out.logits.abs().max()
        alone = model(**tokenizer("bad", return_tensors="pt")).logits
        assert (alone - out.logits[1]).abs().max() < tolerance / 10 * alone.abs().max()
    facts = json.loads((tmp_path / "training.json").read_text())
    assert facts["metrics"] == result.metrics
    assert facts["texts"]["train"]["rows"] == 160


@pytest.mark.parametrize(
    "preset", [name for name, fields in PRESETS.items() if not fields.get("head_hidden_size")]
)
def test_the_presets_of_a_linear_head_split_exactly(tmp_path, preset):
    settings = TrainingSettings(epochs=2)
    train(reviews(60), output_dir=tmp_path, preset=preset, settings=settings, progress=False)
    model, tokenizer = load_model(tmp_path)
    texts = ["a lovely film", "bad", "a grim and awful film"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    out = model(**batch, output_attributions=True)
    rebuilt = out.base_value + out.attributions.sum(1)
    assert (rebuilt - out.logits).abs().max() < 1e-5 * out.logits.abs().max()


def test_reported_accuracy_is_that_of_the_saved_model(tmp_path):
    held_out = reviews(37, 1)
    held_out["text"] += [" really" * (row % 5) for row in range(37)]  # lengths differ
    result = train(
        reviews(60), held_out, output_dir=tmp_path, config=SMALL,
        settings=replace(FAST, epochs=1), progress=False,
    )  # fmt: skip
    classify = pipeline("text-classification", model=str(tmp_path))
    predicted = [answer["label"] for answer in classify(held_out["text"].tolist())]
    assert result.metrics["accuracy"] == pytest.approx((predicted == held_out["label"]).mean())


def test_the_same_seed_gives_the_same_weights(tmp_path):
    results = [
        train(
            reviews(40), output_dir=tmp_path / str(run), config=SMALL,
            settings=replace(FAST, epochs=1, seed=seed), progress=False,
        )
        for run, seed in enumerate((3, 3, 4))
    ]  # fmt: skip
    first, second, other = (result.model.classifier.weight for result in results)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_without_validation_texts_some_are_held_out_and_never_trained_on(tmp_path):
    result = train(
        reviews(50), output_dir=tmp_path, config=SMALL, settings=replace(FAST, epochs=1),
        progress=False,
    )  # fmt: skip
    assert (len(result.train.dataset), len(result.validation.dataset)) == (45, 5)
    assert result.validation.source.endswith("(held out)")


def test_multi_label_thresholds_are_tuned_and_saved(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(160):
        labels = [name for name in ("joy", "fear") if rng.integers(2)]
        words = [{"joy": "happy", "fear": "scared"}[name] for name in labels]
        rows.append({"text": " ".join(["well", *words]), "labels": labels})
    result = train(
        pd.DataFrame(rows), pd.DataFrame(rows[:60]), output_dir=tmp_path, config=SMALL,
        settings=replace(FAST, thresholds="per_label"), progress=False,
    )  # fmt: skip
    assert result.metrics["macro_f1"] > 0.95
    model, _ = load_model(tmp_path)
    assert len(model.config.thresholds) == 2
    scores = pipeline("text-classification", model=str(tmp_path), top_k=None)(["well scared"])[0]
    assert {score["label"]: score["score"] > 0.5 for score in scores} == {
        "fear": True,
        "joy": False,
    }


def test_regression_learns_a_number(tmp_path):
    table = reviews(160)
    table["label"] = np.where(table["label"] == "pos", 2.5, -1.5)
    result = train(table, table, output_dir=tmp_path, config=SMALL, settings=FAST, progress=False)
    assert result.metrics["r2"] > 0.8
    assert result.model.config.problem_type == "regression"


def test_an_interrupted_training_resumes_to_the_same_weights(tmp_path, monkeypatch):
    options = {"config": SMALL, "settings": replace(FAST, epochs=3), "progress": False}
    whole = train(reviews(60), output_dir=tmp_path / "whole", **options)

    class Cut(seed_module.Trainer):
        def _save_checkpoint(self, *args, **kwargs):
            super()._save_checkpoint(*args, **kwargs)
            if self.state.epoch >= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(seed_module, "Trainer", Cut)
    with pytest.raises(KeyboardInterrupt):
        train(reviews(60), output_dir=tmp_path / "cut", **options)
    monkeypatch.undo()
    resumed = train(reviews(60), output_dir=tmp_path / "cut", resume=True, **options)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_resuming_from_nothing_is_an_error(tmp_path):
    with pytest.raises(IncompleteCheckpointError, match="no checkpoint to resume from"):
        train(reviews(20), output_dir=tmp_path, config=SMALL, resume=True, progress=False)


@pytest.mark.parametrize("problem", ["single", "multi"])
def test_balanced_class_weights_favour_the_rare_class(tmp_path, problem):
    table = pd.concat(
        [reviews(200).query("label == 'neg'"), reviews(40, 2).query("label == 'pos'")]
    )
    table["text"] = "a film"  # nothing to learn but the shares
    if problem == "multi":
        table["label"] = [[label] for label in table["label"]]
    logits = {}
    for weights in ("none", "balanced"):
        result = train(
            table, table, output_dir=tmp_path / weights, config=SMALL,
            settings=replace(FAST, class_weights=weights), progress=False,
        )  # fmt: skip
        inputs = result.tokenizer("a film", return_tensors="pt")
        logits[weights] = result.model(**inputs).logits[0].tolist()
    assert (
        logits["balanced"][1] - logits["balanced"][0] > logits["none"][1] - logits["none"][0] + 0.5
    )


def test_stock_trainer_fine_tunes_and_ignores_attentions(tmp_path):
    tokenizer = train_tokenizer(reviews(60)["text"])
    config = SelfAttentiveConfig(
        vocab_size=len(tokenizer), num_labels=2, output_attentions=True, **SMALL
    )
    model = SelfAttentiveForSequenceClassification(config)
    model.set_char_ngrams(tokenizer)
    rows = [
        {**tokenizer(text), "labels": int(label == "pos")}
        for text, label in reviews(60).itertuples(index=False)
    ]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=4, learning_rate=2e-2, report_to="none",
            per_device_train_batch_size=8, save_strategy="no", disable_tqdm=True,
        ),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    predictions = trainer.predict(rows).predictions
    assert isinstance(predictions, np.ndarray)
    assert (predictions.argmax(1) == [row["labels"] for row in rows]).mean() > 0.9
    measure_gauge(model, tokenizer, reviews(60)["text"].tolist())
    inputs = tokenizer("good film", return_tensors="pt")
    assert model.eval()(**inputs, output_attributions=True).attributions.shape == (1, 2, 2)


def test_gradient_accumulation_does_not_change_the_loss(tmp_path):
    losses = {}
    for steps in (1, 2, 4):
        torch.manual_seed(0)
        config = SelfAttentiveConfig(
            vocab_size=40, num_labels=3, problem_type="multi_label_classification",
            **{**SMALL, "embedding_dropout": 0.0, "classifier_dropout": 0.0},
            word_dropout=0.0, hidden_dropout=0.0,
        )  # fmt: skip
        rows = [
            {"input_ids": [1 + i, 2, 3], "attention_mask": [1, 1, 1], "labels": [1.0, 0.0, 1.0]}
            for i in range(16)
        ]
        trainer = Trainer(
            model=SelfAttentiveForSequenceClassification(config),
            args=TrainingArguments(
                output_dir=str(tmp_path), max_steps=1, gradient_accumulation_steps=steps,
                per_device_train_batch_size=16 // steps, report_to="none", save_strategy="no",
                disable_tqdm=True, logging_steps=1,
            ),
            train_dataset=rows,
        )  # fmt: skip
        trainer.train()
        entry = trainer.state.log_history[0]
        losses[steps] = (float(entry["loss"]), float(entry["grad_norm"]))
    for steps in (2, 4):
        assert losses[steps] == pytest.approx(losses[1], rel=1e-4)


def test_an_unused_token_starts_and_stays_at_zero(tmp_path):
    table = reviews(40)
    tokenizer = train_tokenizer([*table["text"], "never never"])
    result = train(
        table, table, output_dir=tmp_path, tokenizer=tokenizer,
        config={**SMALL, "char_ngram_buckets": 0}, settings=replace(FAST, epochs=1), progress=False,
    )  # fmt: skip
    weight = result.model.get_input_embeddings().weight
    assert not weight[tokenizer.convert_tokens_to_ids("never")].any()
    assert weight[tokenizer.convert_tokens_to_ids("film")].any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"preset": "magic"}, InvalidInputError, "no preset 'magic'"),
        ({"config": {"colour": 1}}, InvalidInputError, "no field 'colour'"),
        ({"config": {"hidden_size": -1}}, InvalidInputError, "hidden_size"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        train(reviews(20), output_dir=tmp_path, progress=False, **options)


def test_a_diverged_training_saves_nothing(tmp_path):
    train(reviews(20), output_dir=tmp_path, config=SMALL, settings=FAST, progress=False)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(NonFiniteError, match="lower learning rate"):
        train(
            reviews(20), output_dir=tmp_path, config=SMALL,
            settings=replace(FAST, learning_rate=1e38), progress=False,
        )  # fmt: skip
    assert (tmp_path / "model.safetensors").read_bytes() == before
    mode = (tmp_path / "model.safetensors").stat().st_mode & 0o777
    (tmp_path / "plain").touch()
    assert mode == (tmp_path / "plain").stat().st_mode & 0o777


def test_texts_with_other_labels_are_refused(tmp_path):
    other = load_labelled(pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}))
    with pytest.raises(IncompatibleError, match="labels"):
        train(reviews(20), other, output_dir=tmp_path, progress=False)


def test_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    logits, gold = rng.normal(size=(50, 4)), rng.integers(4, size=50)
    found = single_label_metrics(logits, gold)
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, logits.argmax(1)))
    macro = f1_score(gold, logits.argmax(1), average="macro")
    assert found["macro_f1"] == pytest.approx(macro)
    probabilities, wanted = rng.random((60, 5)), rng.random((60, 5)) < 0.2
    for per_label in (False, True):
        thresholds = tune_thresholds(probabilities, wanted, per_label=per_label)
        found = multi_label_metrics(probabilities, wanted, thresholds)
        predicted = probabilities >= thresholds
        macro = f1_score(wanted, predicted, average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(macro)
        assert found["micro_f1"] == pytest.approx(f1_score(wanted, predicted, average="micro"))
        assert found["macro_f1"] >= multi_label_metrics(probabilities, wanted, 0.5)["macro_f1"]
    assert regression_metrics(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == {
        "mse": 0.5,
        "r2": -1.0,
    }


@pytest.mark.parametrize("count", [5, 40])
def test_the_average_follows_its_formula_however_few_the_steps(count):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    average = WeightAveraging(0.9)
    state = SimpleNamespace(global_step=0)
    average.on_train_begin(None, state, None, model=model)
    wanted, moved_at = model.weight.detach().clone(), 0
    for step in range(1, count + 1):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        state.global_step = step
        average.on_step_end(None, state, None, model=model)
        if step % STRIDE == 0 or step == count:
            decay = min(0.9, (1 + step) / (10 + step)) ** (step - moved_at)
            wanted, moved_at = decay * wanted + (1 - decay) * model.weight.detach(), step
    average._move(count, model)
    assert torch.allclose(average.average["weight"], wanted, atol=1e-6)


def test_a_training_of_few_steps_is_a_training(tmp_path):
    result = train(
        reviews(60), reviews(40, 1), output_dir=tmp_path, config=SMALL,
        settings=TrainingSettings(epochs=5, batch_size=30, learning_rate=5e-2), progress=False,
    )  # fmt: skip
    assert result.metrics["accuracy"] > 0.9


def test_old_gradients_never_become_denormal():
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    weight.grad = torch.full((4,), 1e-3)
    optimizer.step()
    weight.grad = torch.zeros(4)
    guard, state = NoDenormals(), SimpleNamespace(global_step=1)
    for step in range(2, 1200):
        optimizer.step()
        state.global_step = step
        guard.on_step_end(None, state, None, optimizer=optimizer)
        mean = optimizer.state[weight]["exp_avg"]
        assert not ((mean != 0) & (mean.abs() < torch.finfo(mean.dtype).tiny)).any()
    assert not mean.any()


@pytest.mark.parametrize(
    ("texts", "words", "wanted"),
    [
        (7_000, 19, (10, 32)),
        (43_000, 15, (6, 64)),
        (105_000, 9, (4, 64)),
        (20_000, 300, (2, 32)),
        (1_600, 800, (9, 32)),
        (2_000, 19, (22, 32)),
        (4_400, 10, (19, 32)),
        (4_000, 40, (10, 32)),
        (3, 1, (30, 32)),
    ],
)
def test_epochs_and_batches_follow_from_the_amount_of_text(texts, words, wanted):
    settled = TrainingSettings().settled(["word " * words] * texts)
    assert (settled.epochs, settled.batch_size) == wanted
    assert settled.patience == max(3, settled.epochs // 3)
    given = TrainingSettings(epochs=3, batch_size=7).settled(["word"] * texts)
    assert (given.epochs, given.batch_size) == (3, 7)


def test_what_others_keep_under_that_name_is_neither_taken_nor_deleted(tmp_path):
    theirs = tmp_path / "checkpoints"
    for name in ("best_llm.pt", "seed_7/w.pt"):
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_text("theirs")
        for resume in (False, True):
            if name == "best_llm.pt" or not resume:
                with pytest.raises(InvalidInputError, match=r"holds '.*no training.*Move it away"):
                    train(reviews(20), output_dir=tmp_path, resume=resume)
        assert (theirs / name).read_text() == "theirs"
        (theirs / name).unlink()
    (theirs / "seed_7").rmdir()
    theirs.rmdir()
    (tmp_path / "far").mkdir()
    theirs.symlink_to(tmp_path / "far")
    with pytest.raises(InvalidInputError, match="is a link"):
        train(reviews(20), output_dir=tmp_path)


def test_only_its_own_is_dropped_after_training(tmp_path):
    own = ("run.json", ".run.json.0123abcd-77.x_y.tmp", "teacher-0123456789abcdef.npy", "seed_0/x")
    for name in (*own, "notes.txt", ".theirs.tmp", "seed_a/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    drop(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", ".theirs.tmp", "seed_a"}
    (tmp_path / "notes.txt").unlink()
    (tmp_path / ".theirs.tmp").unlink()
    (tmp_path / "seed_a" / "y").unlink()
    (tmp_path / "seed_a").rmdir()
    drop(tmp_path)
    drop(tmp_path)  # gone already
    assert not tmp_path.exists()
