"""`pipeline("attention-attribution")` for classifiers of every kind says what the columns say."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from hf_attn_attr import IncompatibleError, InvalidInputError, extract
from hf_attn_attr.attribution import METHODS

from .zoo import LABELS, TEXTS, TOKENIZER_OF, build, tokenizer

ODD = ["", "   ", "[CLS] [SEP]", "</s>"]
# Few steps, and no more of them where one class needs more than another.
OPTIONS = {"integrated_gradients": {"steps": 5, "max_error": 1e9}}
NAMES = ["bert", "roberta", "deberta", "modernbert", "gpt2", "ours"]
REFUSED = {("ours", "attention_rollout"), ("modernbert", "input_x_gradient")} | {
    (name, "contribution") for name in NAMES if name != "ours"
}
CASES = [(name, method) for name in NAMES for method in METHODS if (name, method) not in REFUSED]


def ask(name, problem="single_label_classification", **arguments):
    model, words = build(name, problem), tokenizer(TOKENIZER_OF[name])
    return pipeline("attention-attribution", model=model, tokenizer=words, **arguments)


def column(answer, name):
    return [word[name] for word in answer["words"]]


def close(answer, other, tolerance=1e-6):
    """Whether two answers say the same."""
    assert answer.keys() == other.keys()
    for name, value in answer.items():
        if isinstance(value, float):
            assert value == pytest.approx(other[name], abs=tolerance), name
        elif name != "words":
            assert value == other[name], name
    for name in ("word", "start", "end"):
        assert column(answer, name) == column(other, name)
    for name in ("attention", "attribution"):
        values = np.array([column(answer, name), column(other, name)], float)
        np.testing.assert_allclose(*values, rtol=0, atol=tolerance)


def agrees(answer, row, labels, problem, text):
    """Whether an answer says what a row of the columns of all classes says."""
    index = labels.index(answer["label"])
    single = problem == "single_label_classification"

    def terms(flat):
        table = np.array(flat).reshape(-1, len(labels))
        return (table - table.mean(1, keepdims=True) if single else table)[:, index]

    assert column(answer, "word") == row["words"]
    assert all(word["word"] == text[word["start"] : word["end"]] for word in answer["words"])
    assert (column(answer, "start"), column(answer, "end")) == (row["word_start"], row["word_end"])
    assert answer["truncated"] == row["truncated"]
    for name, wanted in (
        ("attention", row["attention"]),
        ("attribution", None if row["attribution"] is None else terms(row["attribution"])),
    ):
        if wanted is None:
            assert column(answer, name) == [None] * len(row["words"])
        else:
            np.testing.assert_allclose(column(answer, name), wanted, rtol=0, atol=1e-6)
    value = row["prediction"] if problem == "regression" else row["probabilities"][index]
    assert answer["score"] == pytest.approx(value, abs=1e-6)
    if "attention_special" in row:
        assert answer["attention_special"] == pytest.approx(row["attention_special"], abs=1e-6)
    if "attribution_special" in row:
        (special,) = terms(row["attribution_special"])
        assert answer["attribution_special"] == pytest.approx(special, abs=1e-6)
    assert ("completeness_error" in answer) == ("completeness_error" in row)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_answers_are_those_of_the_columns(name, method):
    options = OPTIONS.get(method)
    pipe = ask(name, method=method, options=options)
    texts = [*TEXTS, *ODD]
    columns = extract(
        Dataset.from_dict({"text": texts}), pipe.model, pipe.tokenizer, method=method,
        options=options,
    )  # fmt: skip
    labels = list(LABELS.values())
    for label in (None, "joy"):
        answers = pipe(texts, label=label, batch_size=4)
        for text, answer, row in zip(texts, answers, columns, strict=True):
            assert answer["method"] == method
            assert answer["label"] == (label or labels[row["prediction"]])
            agrees(answer, row, labels, "single_label_classification", text)


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients", "occlusion"])
def test_several_labels_and_values_are_answered_for(problem, method):
    options = OPTIONS.get(method)
    pipe = ask("distilbert", problem, method=method, options=options)
    pipe.model.config.thresholds = [0.0, 1.0, 0.5]
    labels = ["value"] if problem == "regression" else list(LABELS.values())
    columns = extract(
        Dataset.from_dict({"text": TEXTS}), pipe.model, pipe.tokenizer, method=method,
        options=options,
    )  # fmt: skip
    for label in (None, *labels):
        for text, answer, row in zip(TEXTS, pipe(TEXTS, label=label), columns, strict=True):
            agrees(answer, row, labels, problem, text)
            if problem == "regression":
                assert "labels" not in answer
                continue
            assert answer["labels"] == [labels[index] for index in row["prediction"]]
            best = labels[int(np.argmax(row["probabilities"]))]
            assert answer["label"] == (label or best)


@pytest.mark.parametrize("name", NAMES)
def test_auto_is_exact_where_it_can_be(name):
    pipe = ask(name)
    answer = pipe(TEXTS[0])
    assert answer["method"] == ("contribution" if name == "ours" else "occlusion")
    close(answer, pipe(TEXTS[0], method=answer["method"]))


def test_only_the_class_that_is_asked_about_is_attributed(monkeypatch):
    backward, forward = [], []
    grad = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *given, **how: backward.append(1) or grad(*given, **how)
    )
    pipe = ask("bert", method="input_x_gradient")
    hook = pipe.model.register_forward_hook(lambda *_: forward.append(1))
    for label, passes in (("joy", 1), (None, 2)):  # the predicted label is seen before
        backward.clear()
        forward.clear()
        pipe(TEXTS[0], label=label)
        assert (len(backward), len(forward)) == (1, passes)
    hook.remove()


@given(
    rows=st.lists(st.sampled_from([*TEXTS, *ODD]), min_size=1, max_size=6),
    size=st.integers(2, 4),
    case=st.sampled_from(
        [("bert", "input_x_gradient"), ("gpt2", "occlusion"), ("roberta", "attention_rollout")]
    ),
)
@settings(max_examples=15)
def test_a_batch_answers_as_one_by_one(rows, size, case):
    name, method = case
    pipe = ask(name, method=method)
    for text, answer in zip(rows, pipe(rows, batch_size=size), strict=True):
        close(answer, pipe(text))


def test_datasets_and_generators_are_answered_in_order():
    pipe = ask("bert", method="input_x_gradient", batch_size=3)
    wanted = pipe(TEXTS)
    dataset = KeyDataset(Dataset.from_dict({"text": TEXTS}), "text")
    for inputs in (dataset, (text for text in TEXTS)):
        for answer, other in zip(pipe(inputs), wanted, strict=True):
            close(answer, other)


def test_a_folder_is_loaded_in_the_precision_and_on_the_device_asked_for(tmp_path):
    build("bert").float().save_pretrained(tmp_path)
    tokenizer("wordpiece").save_pretrained(tmp_path)
    arguments = {"model": str(tmp_path), "device": "cpu", "method": "integrated_gradients"}
    whole = pipeline("attention-attribution", **arguments)
    half = pipeline("attention-attribution", dtype=torch.bfloat16, **arguments)
    assert (whole.model.dtype, half.model.dtype) == (torch.float32, torch.bfloat16)
    for text in TEXTS:
        answers = whole(text, label="joy"), half(text, label="joy")
        np.testing.assert_allclose(*(column(answer, "attribution") for answer in answers), atol=0.1)


def test_fused_attention_is_put_back_and_training_mode_too():
    pipe = ask("bert", method="attention")
    pipe.model.train()
    assert pipe.model.config._attn_implementation == "sdpa"
    attention = column(pipe(TEXTS[0]), "attention")
    assert sum(attention) == pytest.approx(1, abs=1e-5)
    assert pipe.model.config._attn_implementation == "sdpa"
    assert pipe.model.training


@pytest.mark.parametrize("method", ["occlusion", "input_x_gradient", "attention"])
def test_a_model_that_reads_64_tokens_says_what_it_did_not_read(method):
    model, words = build("bert", max_position_embeddings=64), tokenizer("wordpiece")
    pipe = pipeline("attention-attribution", model=model, tokenizer=words, method=method)
    text = "I love this wonderful film. " * 300
    answer, short = pipe([text, "fine"], batch_size=2)
    assert answer["truncated"] == len(text) - answer["words"][-1]["end"] > 8000
    assert short["truncated"] == 0


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_arguments_of_the_extractor_are_handed_through(method):
    options = {"by": "delete"} if method == "occlusion" else OPTIONS[method]
    given = {"options": options, "window_overlap": 4, "word_rule": "whitespace"}
    model, words = build("bert", max_position_embeddings=64), tokenizer("wordpiece")
    pipe = pipeline(
        "attention-attribution", model=model, tokenizer=words, method=method, batch_tokens=1,
        **given,
    )  # fmt: skip
    text = "I love this wonderful film, truly. What a mess!!! " * 5
    (row,) = extract(Dataset.from_dict({"text": [text]}), model, words, method=method, **given)
    answer = pipe(text)
    assert column(answer, "word") == text.split()
    assert answer["truncated"] == 0
    agrees(answer, row, list(LABELS.values()), "single_label_classification", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, r"no method 'magic'.*'occlusion'"),
        ({"label": "disgust"}, r"no label 'disgust'.*\['anger', 'joy', 'love'\]"),
        ({"options": {"steps": 3}}, r"'occlusion' has no option 'steps'"),
        ({"top_k": 2}, r"Unknown parameter 'top_k'; there are \['label', 'method'"),
        ({"text_column": "body"}, "Unknown parameter 'text_column'"),
    ],
)
def test_a_wrong_argument_is_named_when_the_pipeline_is_built_or_called(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        ask("bert", **arguments)
    with pytest.raises(InvalidInputError, match=message):
        ask("bert")(TEXTS[0], **arguments)


def test_a_method_that_does_not_fit_the_model_is_refused():
    with pytest.raises(IncompatibleError, match="'bert' model has no exact contributions"):
        ask("bert", method="contribution")(TEXTS[0])
    with pytest.raises(IncompatibleError, match="says nothing about this 'modernbert' model"):
        ask("modernbert", method="input_x_gradient")("fine")


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(InvalidInputError, match="ByT5Tokenizer is not a fast tokenizer"):
        pipeline("attention-attribution", model=build("bert"), tokenizer=ByT5Tokenizer())


def test_a_model_of_several_values_is_refused():
    model = build("bert")
    model.config.problem_type = "regression"
    with pytest.raises(IncompatibleError, match="predicts 3 values at once"):
        pipeline("attention-attribution", model=model, tokenizer=tokenizer("wordpiece"))
