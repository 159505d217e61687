"""Pipelines: the stock one agrees with the model, ours say what each word did.

Ours are two: that of the package, and that which travels with self-attentive models to where the
package is not installed. What one says of such a model, the other says too.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification, pipeline
from transformers.pipelines.pt_utils import KeyDataset

import hf_attn_attr
from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    extract,
    measure_gauge,
    train_tokenizer,
)
from hf_attn_attr.models import pipeline_attention_attribution as travelling
from hf_attn_attr.tokenization import save_tokenizer

UNSEEN = "Unseenwordshere"
TEXTS = [
    "I love this wonderful film, truly.",
    "",
    "What a dreadful, dreadful mess!!!",
    "   ",
    f"{UNSEEN} are spelled in pieces.",
    "日本 cafe\u0301 👍🏽",
    "love",
    "\u202e[PAD] <script> [red]",
]
LABELS = {0: "anger", 1: "joy", 2: "love"}
PROBLEMS = ["single_label_classification", "multi_label_classification", "regression"]
SCORES = {
    "single_label_classification": lambda logits: logits.softmax(-1),
    "multi_label_classification": lambda logits: logits.sigmoid(),
    "regression": lambda logits: logits,
}


@pytest.fixture(scope="module")
def tokenizer():
    known = [text for text in TEXTS if UNSEEN not in text]
    tokenizer = train_tokenizer(known * 2, unknown="pieces")
    assert len(tokenizer(UNSEEN)["input_ids"]) > 2
    return tokenizer


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """Folder of a model of each kind, by name; "mlp" has a hidden layer in its head."""

    def save(name, problem, **fields):
        labels = {0: "value"} if problem == "regression" else LABELS
        torch.manual_seed(0)
        model = SelfAttentiveForSequenceClassification(
            SelfAttentiveConfig(
                vocab_size=len(tokenizer),
                problem_type=problem,
                id2label=labels,
                label2id={label: index for index, label in labels.items()},
                embedding_size=12,
                hidden_size=8,
                num_attention_hops=2,
                char_ngram_buckets=0,
                **fields,
            )
        )
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.4)
        if not model.config.head_hidden_size:
            measure_gauge(model, tokenizer, TEXTS)
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        save_tokenizer(tokenizer, str(folder))
        return str(folder)

    kinds = {problem: save(problem, problem) for problem in PROBLEMS}
    return {**kinds, "mlp": save("mlp", PROBLEMS[0], head_hidden_size=4)}


CLASSES = {
    "of the package": hf_attn_attr.AttentionAttributionPipeline,
    "travelling": travelling.AttentionAttributionPipeline,
}


@pytest.fixture(scope="module", params=CLASSES)
def asked(saved, request):
    """The attention-attribution pipeline of each folder."""
    chosen = CLASSES[request.param]
    return {
        name: pipeline("attention-attribution", model=path, pipeline_class=chosen)
        for name, path in saved.items()
    }


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return request.param


def forward(pipe, text):
    """The model's own output for one text."""
    inputs = pipe.tokenizer(text, return_tensors="pt")
    inputs = {name: value.long() for name, value in inputs.items()}
    with torch.no_grad():
        return pipe.model.eval()(**inputs, output_attributions=True)


def close(answer, other):
    """Whether two answers say the same, within 1e-6."""
    assert answer["label"] == other["label"]
    assert answer["score"] == pytest.approx(other["score"], abs=1e-6)
    assert [(w["word"], w["start"], w["end"]) for w in answer["words"]] == [
        (w["word"], w["start"], w["end"]) for w in other["words"]
    ]
    for name in ("attention", "attribution"):
        values = [[word[name] for word in some["words"]] for some in (answer, other)]
        np.testing.assert_allclose(*np.array(values, float), rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_text_classification_gives_the_models_own_scores(saved, asked, problem, batch_size):
    pipe = pipeline("text-classification", model=saved[problem])
    columns = extract(Dataset.from_dict({"text": TEXTS}), pipe.model, pipe.tokenizer)
    answers = pipe(TEXTS, top_k=None, batch_size=batch_size)
    for text, answer, row in zip(TEXTS, answers, columns, strict=True):
        wanted = SCORES[problem](forward(asked[problem], text).logits[0]).tolist()
        found = {entry["label"]: entry["score"] for entry in answer}
        labels = [pipe.model.config.id2label[index] for index in range(len(wanted))]
        np.testing.assert_allclose([found[label] for label in labels], wanted, rtol=0, atol=1e-6)
        columned = [row["prediction"]] if problem == "regression" else row["probabilities"]
        np.testing.assert_allclose(columned, wanted, rtol=0, atol=1e-6)


def test_words_are_slices_whose_attention_is_1_and_whose_terms_make_the_logit(asked, problem):
    pipe = asked[problem]
    for text in TEXTS:
        output = forward(pipe, text)
        logits, base = output.logits[0].double(), output.base_value.double()
        if problem == "single_label_classification":
            logits, base = logits - logits.mean(), base - base.mean()
        for label, index in pipe.model.config.label2id.items():
            answer = pipe(text, label=label)
            words = answer["words"]
            assert answer["label"] == label
            scores = SCORES[problem](output.logits[0])
            assert answer["score"] == pytest.approx(scores[index].item(), abs=1e-6)
            assert all(word["word"] == text[word["start"] : word["end"]] for word in words)
            assert "".join(word["word"] for word in words) == "".join(text.split())
            if not words:
                continue
            assert sum(word["attention"] for word in words) == pytest.approx(1, abs=1e-6)
            assert min(word["attention"] for word in words) >= 0
            total = base[index].item() + sum(word["attribution"] for word in words)
            assert total == pytest.approx(logits[index].item(), abs=1e-5)


def test_the_answers_are_those_of_the_extracted_columns(asked, problem):
    pipe = asked[problem]
    labels = len(pipe.model.config.id2label)
    columns = extract(Dataset.from_dict({"text": TEXTS}), pipe.model, pipe.tokenizer)
    for row in columns:
        terms = np.array(row["attribution"]).reshape(-1, labels)
        if problem == "single_label_classification":
            terms = terms - terms.mean(1, keepdims=True)
            assert pipe(row["text"])["label"] == LABELS[row["prediction"]]
        for label, index in pipe.model.config.label2id.items():
            words = pipe(row["text"], label=label)["words"]
            assert [word["word"] for word in words] == row["words"]
            for name, wanted in (("attention", row["attention"]), ("attribution", terms[:, index])):
                found = [word[name] for word in words]
                np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_without_a_label_the_likeliest_one_is_answered_for(asked):
    for problem in PROBLEMS[:2]:
        for text in TEXTS:
            best = int(forward(asked[problem], text).logits[0].argmax())
            answer = asked[problem](text)
            assert answer["label"] == LABELS[best]
            close(answer, asked[problem](text, label=LABELS[best]))


def test_multi_label_answers_name_the_labels_above_their_thresholds(asked, monkeypatch):
    pipe = asked["multi_label_classification"]
    scores = forward(pipe, TEXTS[0]).logits[0].sigmoid().tolist()
    lowest = min(scores)
    for thresholds, wanted in (
        ([score + 0.01 for score in scores], []),
        ([score - 0.01 for score in scores], list(LABELS.values())),
        (
            [lowest + 1e-4] * len(scores),
            [x for x, s in zip(LABELS.values(), scores, strict=True) if s > lowest],
        ),
    ):
        monkeypatch.setattr(pipe.model.config, "thresholds", thresholds)
        assert pipe(TEXTS[0])["labels"] == list(wanted)


@given(rows=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=9), size=st.integers(2, 5))
@settings(max_examples=10)
def test_a_batch_answers_as_one_by_one(asked, rows, size):
    for pipe in (asked[problem] for problem in PROBLEMS):
        for text, answer in zip(rows, pipe(rows, batch_size=size), strict=True):
            close(answer, pipe(text))


def test_the_side_of_the_padding_does_not_matter(asked, monkeypatch):
    pipe = asked["single_label_classification"]
    texts = [text for text in TEXTS if text.strip()]
    wanted = pipe(texts)
    monkeypatch.setattr(pipe.tokenizer, "padding_side", "left")
    for answer, other in zip(pipe(texts, batch_size=len(texts)), wanted, strict=True):
        close(answer, other)


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000"])
def test_a_text_without_words_has_an_answer_without_words(asked, problem, text):
    answer = asked[problem](text)
    assert answer["words"] == []
    assert np.isfinite(answer["score"])


def test_datasets_and_generators_are_read_lazily_in_order(asked):
    pipe = asked["single_label_classification"]
    wanted = pipe(TEXTS)
    dataset = KeyDataset(Dataset.from_dict({"text": TEXTS}), "text")
    for inputs in (dataset, (text for text in TEXTS)):
        answers = pipe(inputs, batch_size=4)
        for answer, other in zip(answers, wanted, strict=True):
            close(answer, other)


def test_a_head_with_a_hidden_layer_has_attention_but_no_exact_attribution(saved):
    for chosen, options in zip(CLASSES.values(), ({"method": "attention"}, {}), strict=True):
        pipe = pipeline(
            "attention-attribution", model=saved["mlp"], pipeline_class=chosen, **options
        )
        for batch_size in (1, 3):
            for text, answer in zip(TEXTS, pipe(TEXTS, batch_size=batch_size), strict=True):
                assert all(word["attribution"] is None for word in answer["words"])
                if text.strip():
                    attention = [word["attention"] for word in answer["words"]]
                    assert sum(attention) == pytest.approx(1, abs=1e-6)


def test_long_texts_are_cut_at_the_models_length(asked):
    pipe = asked["single_label_classification"]
    answer = pipe("love " * 200_000)
    assert len(answer["words"]) == pipe.model.config.max_length
    assert sum(word["attention"] for word in answer["words"]) == pytest.approx(1, abs=1e-5)
    (word,) = pipe("x" * 1_000_000)["words"]
    assert (word["start"], word["end"]) == (0, 1_000_000)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ("love", {"label": "disgust"}, r"no label 'disgust'.*\['anger', 'joy', 'love'\]"),
        ("love", {"top_k": 2}, "Unknown parameter 'top_k'"),
        (None, {}, "not NoneType: None"),
        (["love", 7], {}, "not int: 7"),
        ("lo\ud800ve", {}, "lone surrogate"),
    ],
)
def test_what_cannot_be_asked_is_named(asked, inputs, options, message):
    with pytest.raises(ValueError, match=message):
        asked["single_label_classification"](inputs, **options)


def test_both_pipelines_answer_alike(saved, problem):
    pipes = [
        pipeline("attention-attribution", model=saved[problem], pipeline_class=chosen)
        for chosen in CLASSES.values()
    ]
    for text in TEXTS:
        close(*(pipe(text) for pipe in pipes))


def test_the_travelling_pipeline_refuses_a_model_of_another_kind(tokenizer):
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with pytest.raises(ValueError, match="for self_attentive models; this one is 'bert'"):
        CLASSES["travelling"](model=model, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def published(saved, tmp_path_factory):
    """A folder as it lies on the Hub: the code beside the weights, and the config names it."""
    folder = tmp_path_factory.mktemp("published") / "model"
    shutil.copytree(saved["single_label_classification"], folder)
    for source in Path(travelling.__file__).parent.glob("*.py"):
        shutil.copy(source, folder)
    config = json.loads((folder / "config.json").read_text())
    modeling = "modeling_self_attentive.SelfAttentiveForSequenceClassification"
    config["auto_map"] = {
        "AutoConfig": "configuration_self_attentive.SelfAttentiveConfig",
        "AutoModelForSequenceClassification": modeling,
    }
    config["custom_pipelines"] = {
        "attention-attribution": {
            "impl": "pipeline_attention_attribution.AttentionAttributionPipeline",
            "pt": ["AutoModelForSequenceClassification"],
            "type": "text",
        }
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_travelling_pipeline_works_where_the_package_is_not(published, saved, tmp_path):
    code = (
        "import sys, json\n"
        "sys.modules['hf_attn_attr'] = None  # importing it fails\n"
        "from transformers import pipeline\n"
        "ask = pipeline('attention-attribution', model=sys.argv[1], trust_remote_code=True)\n"
        "print(json.dumps(ask(json.loads(sys.argv[2]), batch_size=2)))\n"
    )
    texts = [TEXTS[0], TEXTS[2], ""]
    done = subprocess.run(
        [sys.executable, "-c", code, published, json.dumps(texts)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    wanted = pipeline("attention-attribution", model=saved["single_label_classification"])
    for text, answer in zip(texts, json.loads(done.stdout), strict=True):
        close(answer, wanted(text))


def test_with_the_package_a_published_folder_needs_no_trust(published):
    pipe = pipeline(
        "attention-attribution",
        model=str(published),
        pipeline_class=hf_attn_attr.AttentionAttributionPipeline,
    )
    assert pipe(TEXTS[0], method="occlusion")["method"] == "occlusion"


def test_a_saved_pipeline_is_model_and_tokenizer_and_runs_no_code(asked, saved, tmp_path):
    pipe = pipeline("attention-attribution", model=saved["multi_label_classification"])
    pipe.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py"))
    again = pipeline("attention-attribution", model=str(tmp_path))
    for text in TEXTS:
        close(again(text), asked["multi_label_classification"](text))
