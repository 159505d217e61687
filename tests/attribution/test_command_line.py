"""The command line with a classifier of another kind."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertModel, pipeline

from hf_attn_attr import (
    AttributionExtractor,
    CorruptArtifactError,
    InfluenceMatrix,
    InvalidInputError,
)
from hf_attn_attr.cost import estimated_cost
from hf_attn_attr.loading import load_classifier

from .zoo import LABELS, TEXTS, build, tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a BERT classifier and one with texts that have no labels."""
    folder = tmp_path_factory.mktemp("bert")
    build("bert").float().save_pretrained(folder / "model")
    tokenizer("wordpiece").save_pretrained(folder / "model")
    texts = [*TEXTS * 3, "", "fine " * 300]
    pd.DataFrame({"text": texts}).to_csv(folder / "texts.csv", index=False)
    return folder


def test_run_answers_both_questions_without_training(command, saved, tmp_path):
    model, texts = saved / "model", saved / "texts.csv"
    status, out, err = command("run", "--model", model, "--texts", texts, "-o", tmp_path, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["method"] == "occlusion"
    assert found["texts"]["cut"] == 1
    assert list(found["top_words"]) == list(LABELS.values())
    assert "occlusion: " in err
    assert "forward passes for 1" in err
    assert "are longer than 128 tokens and were cut" in err
    matrix = InfluenceMatrix.from_pretrained(tmp_path)
    assert matrix.manifest["provenance"]["model_type"] == "bert"
    assert command("word", tmp_path, "fine")[0] == 0
    status, out, _ = command(
        "run", "--model", model, "--texts", texts, "-o", tmp_path, "--method", "attention_rollout"
    )
    assert status == 0
    assert "attention only" in out
    assert command("top", tmp_path, "--label", "joy", "--by", "joint")[0] == 0


def test_extract_and_fold_take_the_method_along(command, saved, tmp_path):
    arguments = [saved / "model", saved / "texts.csv", "-o", tmp_path]
    assert command("extract", *arguments, "--method", "input_x_gradient")[0] == 0
    assert command("fold", tmp_path, "-o", tmp_path)[0] == 0
    assert InfluenceMatrix.from_pretrained(tmp_path).manifest["method"] == "input_x_gradient"


def test_options_of_the_method_words_and_windows(command, saved, tmp_path):
    status, _, err = command(
        *(
            "run",
            "--model",
            saved / "model",
            "--texts",
            saved / "texts.csv",
            "-o",
            tmp_path / "run",
        ),
        *("--method", "integrated_gradients", "--option", "steps=4", "--option", "baseline=mask"),
        *("--classes", "joy,love", "--word-rule", "whitespace", "--window-overlap", 8, "--json"),
    )
    assert status == 0, err
    assert "were cut" not in err
    matrix = InfluenceMatrix.from_pretrained(tmp_path / "run")
    origin = matrix.manifest["provenance"]
    assert origin["options"] == {"steps": 4, "baseline": "mask", "max_error": 0.01}
    assert (origin["classes"], origin["words"]) == (["joy", "love"], "whitespace")
    assert origin["window"] == {"tokens": 128, "overlap": 8}
    assert "film," in matrix.words

    arguments = ["extract", saved / "model", saved / "texts.csv", "-o", tmp_path / "columns"]
    given = ["--method", "input_x_gradient", "--classes", "predicted"]
    assert command(*arguments, *given)[0] == 0
    status, _, err = command("fold", tmp_path / "columns", "-o", tmp_path / "columns")
    assert (status, "predicted class alone" in err) == (1, True)
    status, _, err = command(*arguments, "--option", "steps")
    assert (status, "write NAME=VALUE" in err) == (1, True)


def test_explain_answers_as_the_pipeline_does(command, saved):
    model, text = str(saved / "model"), "I love this dreadful film"
    ask = pipeline("attention-attribution", model=model)
    for options in ({}, {"method": "input_x_gradient", "label": "anger"}, {"method": "attention"}):
        given = [part for name, value in options.items() for part in (f"--{name}", value)]
        wanted = ask(text, **options)
        found = command("explain", model, text, *given, "--json").json
        assert found.keys() == wanted.keys()
        assert (found["label"], found["method"]) == (wanted["label"], wanted["method"])
        for word, other in zip(found["words"], wanted["words"], strict=True):
            assert word == pytest.approx(other, abs=1e-6)
        status, out, err = command("explain", model, text, *given)
        assert (status, err) == (0, "")
        for shown in (text, found["label"], found["method"], *found["words"][4]["word"]):
            assert shown in out
        missing = [
            name for name in ("attention", "attribution") if wanted["words"][0][name] is None
        ]
        assert out.count(" - ") + out.count(" -\n") == len(missing) * len(wanted["words"])


def test_explain_says_what_it_did_not_read_and_what_it_cannot_do(command, saved):
    model = saved / "model"
    assert "characters were not read" in command("explain", model, "fine " * 300).out
    whole = ("--window-overlap", 8, "--word-rule", "whitespace", "--option", "by=delete", "--json")
    answer = command("explain", model, "fine, " * 300, *whole).json
    assert (answer["truncated"], answer["words"][-1]["word"]) == (0, "fine,")
    assert len(answer["words"]) == 300
    assert "no words" in command("explain", model, "").out
    for arguments, message in (
        (["--label", "hate"], "no label 'hate'. It has ['anger', 'joy', 'love']"),
        (["--method", "magic"], "no method 'magic'"),
        (["--method", "contribution"], "no exact contributions"),
        (["--option", "steps=3"], "no option 'steps'"),
    ):
        status, out, err = command("explain", model, "fine", *arguments)
        assert (status, out, message in err) == (1, "", True), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "x.csv", "--window-overlap", "3"], "(and perhaps --method and its options)"),
        (["--model", "{model}"], "Give the texts to fold with --texts."),
        (["--model", "{model}", "--train", "x.csv"], "and leave out --train."),
        (["--texts", "x.csv"], "Give --train to train a classifier, or --model and --texts"),
        (["--model", "no/such", "--texts", "{texts}"], "no folder no/such here"),
        (["--model", "{model}", "--texts", "{texts}", "--method", "magic"], "no method 'magic'"),
    ],
)
def test_what_does_not_fit_together_is_named(command, saved, tmp_path, arguments, message):
    names = {"model": saved / "model", "texts": saved / "texts.csv"}
    given = [argument.format(**names) for argument in arguments]
    status, _, err = command("run", *given, "-o", tmp_path / "out")
    assert (status, message in err) == (1, True), err
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_trained_head_is_refused(tmp_path):
    BertModel(build("bert").config).save_pretrained(tmp_path)
    tokenizer("wordpiece").save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match=r"lacks the weights .*classifier.*no trained"):
        load_classifier(tmp_path)


def test_the_cost_counts_the_passes_that_are_made(monkeypatch):
    model, words = build("bert"), tokenizer("wordpiece")
    texts = [*TEXTS, ""]
    rows = 0
    forward = model.forward

    def counted(**given):
        nonlocal rows
        rows += len(given["input_ids"])
        return forward(**given)

    monkeypatch.setattr(model, "forward", counted)
    for method, backward in (("occlusion", 0), ("integrated_gradients", 3)):
        options = {"steps": 4, "max_error": 1e9} if backward else None
        extractor = AttributionExtractor(model, words, method, options=options)
        cost = estimated_cost(extractor, texts)
        rows = 0
        extractor.table(texts)
        assert cost.forward_passes == rows + backward * (rows - 2 * len(texts))
        assert cost.texts == len(texts)
        assert cost.seconds > 0
    assert torch.is_grad_enabled()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = build("bert")
    with torch.no_grad():
        model.classifier.bias[1] = torch.inf
    model.save_pretrained(tmp_path)
    tokenizer("wordpiece").save_pretrained(tmp_path)
    with pytest.raises(CorruptArtifactError, match=r"NaN or infinity in classifier\.bias"):
        load_classifier(tmp_path)


def test_weights_in_a_pickle_are_refused(tmp_path):
    build("bert").save_pretrained(tmp_path)
    tokenizer("wordpiece").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(InvalidInputError, match="its weights in safetensors"):
        load_classifier(tmp_path)
