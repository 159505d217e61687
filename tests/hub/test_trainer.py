"""Publishing from a stock Trainer, and training on with what was published."""

import json

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    pipeline,
)

from hf_attn_attr import (
    InfluenceMatrix,
    PublishCallback,
    load_from_hub,
    measure_gauge,
    push_to_hub,
)
from hf_attn_attr.demo import load_sentences
from hf_attn_attr.errors import IncompatibleError, InvalidInputError

from .published import CODE, INFLUENCE, MODEL, REPO

TUNED = "owner/tuned"


def accuracy(found):
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


@pytest.fixture
def trainer(hub, trained, tmp_path):
    """Makes a Trainer of a model on the sentences that come with the package."""
    sentences = load_sentences().select(range(48))

    def make(model, tokenizer, callback=None, labels=None, **arguments):
        data = sentences.map(
            lambda row: {
                **tokenizer(row["text"]),
                "label": row["label"] % (labels or model.config.num_labels),
            }
        )
        return Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=str(tmp_path / "trainer"),
                num_train_epochs=2,
                learning_rate=1e-2,
                eval_strategy="epoch",
                save_strategy="epoch",
                report_to="none",
                use_cpu=True,
                **arguments,
            ),
            train_dataset=data,
            eval_dataset=data.select(range(16)),
            processing_class=tokenizer,
            compute_metrics=accuracy,
            callbacks=[callback] if callback else None,
        )

    return make


def callback(repo=TUNED, **options):
    return PublishCallback(repo, load_sentences().select(range(48)), **options)


def test_when_training_ends_everything_is_published(hub, trained, trainer):
    publish = callback(license="mit")
    run = trainer(trained.model.__class__(trained.model.config), trained.tokenizer, publish)
    run.model.set_char_ngrams(trained.tokenizer)
    run.train()
    files = hub.repository(TUNED).files()
    everything = MODEL | CODE | INFLUENCE | {"README.md", "training.json"}
    assert set(files) - {".gitattributes"} == everything
    found = load_from_hub(TUNED)
    assert found.commit == publish.publication.commit
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor.cpu(), found.model.state_dict()[name]), name
    assert found.influence.manifest == publish.influence.manifest
    assert found.influence.manifest["method"] == "contribution"
    told = json.loads(files["training.json"].data)
    assert told["settings"]["num_train_epochs"] == 2
    assert told["metrics"] == {"accuracy": run.state.log_history[-2]["eval_accuracy"]}
    assert b"| Accuracy |" in files["README.md"].data
    # Its gauge is that of the training texts: the mean over them of every pooled term.
    explain = pipeline("attention-attribution", model=found.model, tokenizer=found.tokenizer)
    texts, label = load_sentences()["text"][:48], found.influence.labels[0]
    totals = [
        sum(w["attribution"] for w in answer["words"]) for answer in explain(texts, label=label)
    ]
    assert abs(np.mean(totals)) < 1e-4


def test_the_best_model_is_published_where_the_trainer_loads_it(hub, trained, trainer):
    publish = callback()
    run = trainer(
        trained.model.__class__(trained.model.config), trained.tokenizer, publish,
        load_best_model_at_end=True, metric_for_best_model="accuracy",
    )  # fmt: skip
    run.model.set_char_ngrams(trained.tokenizer)
    run.train()
    told = json.loads(hub.repository(TUNED).files()["training.json"].data)
    assert told["metrics"]["accuracy"] == pytest.approx(run.state.best_metric)


def test_what_could_not_be_published_is_refused_before_training(hub, trained, trainer):
    with pytest.raises(InvalidInputError, match="cannot be the name"):
        callback("two words")
    run = trainer(
        trained.model, trained.tokenizer, callback(), push_to_hub=True, hub_model_id=TUNED
    )
    with pytest.raises(InvalidInputError, match="would publish to owner/tuned too"):
        run.train()
    run = trainer(trained.model, trained.tokenizer, callback())
    run.processing_class = run.callback_handler.processing_class = None
    with pytest.raises(InvalidInputError, match="no fast tokenizer"):
        run.train()


def test_a_hub_that_refuses_does_not_lose_the_training(hub, trained, trainer):
    publish = callback()
    run = trainer(load_copy(trained), trained.tokenizer, publish)
    hub.fail("POST .*/commit/", 403, times=9)
    with pytest.warns(UserWarning, match=r"Not published to owner/tuned: .*403.*trainer\.model"):
        run.train()
    assert publish.publication is None
    hub.actions.clear()
    done = push_to_hub(TUNED, run.model, trained.tokenizer, publish.influence)
    assert set(done.added) >= INFLUENCE


def test_a_trainers_own_push_loads_with_the_package(hub, trained, trainer):
    run = trainer(load_copy(trained), trained.tokenizer, push_to_hub=True, hub_model_id=TUNED)
    run.train()
    run.push_to_hub()
    files = hub.repository(TUNED).files()
    assert "training_args.bin" in files  # a pickle, which nothing here reads
    assert not {"auto_map", "custom_pipelines"} & json.loads(files["config.json"].data).keys()
    assert load_from_hub(TUNED).influence is None
    AutoModelForSequenceClassification.from_pretrained(TUNED)
    # Published again by us it has our card and code; the trainer's pickle stays, and is told.
    found = load_from_hub(TUNED)
    measure_gauge(found.model, found.tokenizer, load_sentences()["text"][:48])
    done = push_to_hub(TUNED, found.model, found.tokenizer)
    assert "training_args.bin" in done.kept
    assert "README.md" in done.changed


def load_copy(trained):
    model = trained.model.__class__(trained.model.config)
    model.load_state_dict(trained.model.state_dict())
    return model


@pytest.fixture
def published(hub, trained):
    return push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix)


def test_a_published_model_is_trained_on(published, trained, trainer):
    model = AutoModelForSequenceClassification.from_pretrained(REPO)
    tokenizer = AutoTokenizer.from_pretrained(REPO)
    publish = callback()
    run = trainer(model, tokenizer, publish)
    before = run.evaluate()["eval_loss"]
    run.train()
    assert run.evaluate()["eval_loss"] < before
    # The old matrix is of the old weights, and says so; the new one is published.
    old = InfluenceMatrix.from_pretrained(REPO)
    with pytest.raises(IncompatibleError, match=r"other weights.*was changed since"):
        push_to_hub(REPO, run.model, tokenizer, old)
    changes = old.compare(load_from_hub(TUNED).influence)
    assert set(changes["label"]) == set(old.labels)


def test_a_published_model_is_trained_for_other_labels(published, trained, trainer):
    labels = {0: "good", 1: "bad", 2: "neither"}
    model = AutoModelForSequenceClassification.from_pretrained(
        REPO, id2label=labels, label2id={v: k for k, v in labels.items()}, num_labels=3,
        ignore_mismatched_sizes=True,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(REPO)
    torch.testing.assert_close(
        model.self_attentive.state_dict(), trained.model.self_attentive.state_dict()
    )
    run = trainer(model, tokenizer, callback())
    run.train()
    found = load_from_hub(TUNED)
    assert found.influence.labels == ("good", "bad", "neither")
    old = InfluenceMatrix.from_pretrained(REPO)
    with pytest.raises(IncompatibleError, match=r"has the labels \['.*, the model \['good'"):
        push_to_hub(REPO, run.model, tokenizer, old)
    with pytest.raises(IncompatibleError, match="same classes"):
        old.compare(found.influence)
