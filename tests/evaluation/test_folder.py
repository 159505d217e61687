"""A model folder evaluated, from Python and from the command line."""

import json
import os
import shutil

import pandas as pd
import pytest
from attribution.zoo import build, tokenizer

from evaluation.reviews import FILLER, GOOD, TINY, extractor, reviews
from hf_attn_attr import (
    CorruptArtifactError,
    IncompatibleError,
    InfluenceMatrix,
    InvalidInputError,
    TrainingSettings,
)
from hf_attn_attr.data import load_labelled
from hf_attn_attr.evaluation import evaluate_folder, load_evaluation, matching_extractor, subject
from hf_attn_attr.evaluation.checks import CHECKS
from hf_attn_attr.loading import load_model
from hf_attn_attr.workflow import influence_of, run

NAMES = ["quality", "influence", "association", "stability", "attribution", "attention", "seeds"]


def test_the_main_job_of_the_command(command, home, model, monkeypatch):
    monkeypatch.chdir(home)
    before = (model / "influence" / "influence.parquet").read_bytes()
    done = command("evaluate", model, "--sample", 40)
    assert done.status == 0, done.err
    record = load_evaluation(model)
    verdicts = {check["name"]: check["verdict"] for check in record["checks"]}
    assert list(verdicts) == NAMES
    # What decides the labels is known, and the model has found it.
    assert verdicts["quality"] == "supported"
    assert verdicts["influence"] == "supported"
    assert verdicts["association"] == "supported"
    assert verdicts["stability"] in ("supported", "not supported")
    assert verdicts["attribution"] in ("supported", "partly supported")
    assert record["texts"]["source"] == "dev.csv"
    assert record["texts"]["rows"] == 120
    assert record["texts"]["corpus_sample"] == 120
    assert record["texts"]["text_sample"] == 40
    assert record["texts"]["folded_on"] is True
    assert record["texts"]["trained_on"] is False
    for check in record["checks"]:
        assert f"{check['name']}: {check['verdict']}" in done.out
        assert check["question"] in done.err  # progress
        for reason in check["reasons"]:
            assert " ".join(reason.split()) in " ".join(done.out.split())
    assert "The matrix was folded on the same texts." in done.out
    assert "--sample takes more" not in done.out  # all texts are in it
    matrix = InfluenceMatrix.from_pretrained(model)
    assert matrix.manifest["checks"]["verdicts"] == verdicts
    assert "texts" in matrix.manifest["checks"]["association"]  # what was there stays
    assert (model / "influence" / "influence.parquet").read_bytes() == before
    told = command("top", model, "--label", "pos").out
    assert f"attention {verdicts['attention']}" in " ".join(told.split())
    top = matrix.top_words("pos", 6)["word"].tolist()
    assert set(top) == set(GOOD)


def test_samples_are_of_fewer_texts_where_a_pass_costs_more(command, home, model, monkeypatch):
    assert (subject.SAMPLE, subject.SAMPLE_OF_OTHERS) == (300, 100)
    monkeypatch.setattr(subject, "SAMPLE_OF_OTHERS", 10)
    monkeypatch.setattr(subject, "SAMPLE", 20)
    monkeypatch.setattr("hf_attn_attr.evaluation.folder.HALVED", 80)
    source, folder = model.parent / "bert", model.parent / "answers"
    build("bert").float().save_pretrained(source)
    tokenizer("wordpiece").save_pretrained(source)
    texts = home / "dev.csv"
    made = command("run", "--model", source, "--texts", texts, "-o", folder)
    assert made.status == 0, made.err
    ask = ("evaluate", "--data", texts, "--label-column", "")
    for place, options, corpus, single in (
        (folder, ["--model", source], 30, 10),
        (model, [], 60, 20),
    ):
        done = command(*ask, place, *options)
        assert done.status == 0, done.err
        record = load_evaluation(place)
        halves = record["checks"][3]
        assert halves["figures"]["texts"] == 80
        assert "The matrix is of 120 texts" in halves["reasons"][1]
        told = record["texts"]
        assert (told["corpus_sample"], told["text_sample"]) == (corpus, single)
        assert f"{corpus} of them" in done.out
        assert "--sample takes more" in done.out


def test_the_figures_of_the_corpus_check(home, model):
    record = evaluate_folder(model, extractor(model), home / "dev.csv", sample=20)
    assert record["checks"][3]["figures"]["texts"] == 60  # three times the sample
    figures = record["checks"][1]["figures"]
    assert figures["texts"] == 60
    assert set(figures["classes"]) == {"pos", "neg"}
    for ways in [*figures["classes"].values(), figures["overall"]]:
        assert set(ways) == {"delete", "mask"}
        for rows in ways.values():
            assert [row["k"] for row in rows] == [5, 10, 20, 50]
            for row in rows:
                low, high = row["matched"]["drop"][1:]
                assert row["drop"] > high >= low
                assert {
                    "influence", "influence_times_count", "joint", "lift", "npmi", "log_odds",
                    "logistic_regression",
                } == set(row["measures"])  # fmt: skip
    one, other = (figures["classes"][label]["mask"][1] for label in ("pos", "neg"))
    overall = figures["overall"]["mask"][1]
    assert overall["drop"] == pytest.approx((one["drop"] + other["drop"]) / 2)
    assert overall["measures"]["joint"]["drop"] == pytest.approx(
        (one["measures"]["joint"]["drop"] + other["measures"]["joint"]["drop"]) / 2
    )


def test_the_same_seed_gives_the_same_file(home, model):
    files = []
    for seed in (3, 3, 4):
        evaluate_folder(model, extractor(model), home / "dev.csv", sample=20, seed=seed)
        files.append((model / "evaluation.json").read_bytes())
    assert files[0] == files[1] != files[2]


def test_other_texts_and_json(command, home, model):
    done = command("evaluate", model, "--data", home / "plain.csv", "--sample", 10, "--json")
    record = done.json
    assert record == load_evaluation(model)
    assert record["texts"]["labelled"] is False
    assert record["texts"]["folded_on"] is False
    quality, influence = record["checks"][:2]
    assert (quality["verdict"], quality["reasons"]) == (
        "not checked",
        ["The texts have no labels."],
    )
    assert "logistic_regression" not in influence["figures"]["overall"]["mask"][0]["measures"]
    labelled = command(
        "evaluate", model, "--data", home / "dev.csv", "--sample", 40, "--json"
    ).json["checks"]
    assert labelled[0]["figures"]["metrics"]["accuracy"] > 0.9
    assert labelled[4]["verdict"] in ("supported", "partly supported")


def test_training_texts_are_no_evidence_of_quality(command, home, model):
    record = command("evaluate", model, "--data", home / "train.csv", "--sample", 10, "--json").json
    assert record["texts"]["trained_on"] is True
    assert record["checks"][0]["verdict"] == "not checked"


def test_held_out_texts_are_found_again(command, home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    folder = tmp_path / "m"
    settings = TrainingSettings(epochs=1, holdout=0.25, seed=5)
    run(home / "train.csv", output_dir=folder, config=TINY, settings=settings, progress=False)
    record = command("evaluate", folder, "--sample", 10, "--json").json
    assert record["texts"]["source"] == "train.csv (held out)"
    assert record["texts"]["rows"] == 100
    assert record["texts"]["trained_on"] is False


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda home: os.remove(home / "dev.csv"), "There is no file or folder 'dev.csv'"),
        (lambda home: reviews(120, 9).to_csv(home / "dev.csv", index=False), "has other texts"),
        (lambda home: (home / "dev.csv").write_text("text,stars\na,1\nb,2\n"), "dev.csv"),
        (lambda home: os.remove(home / "model" / "training.json"), "There is no file or folder"),
    ],
)
def test_texts_that_cannot_be_found_again_are_asked_for(
    command, home, model, monkeypatch, spoil, message
):
    shutil.copy(home / "dev.csv", model.parent)
    monkeypatch.chdir(model.parent)
    spoil(model.parent)
    if not (model / "training.json").is_file():
        os.remove("dev.csv")
    done = command("evaluate", model, "--sample", 10)
    assert done.status == 1
    assert message in done.err
    assert "--data" in done.err
    assert not (model / "evaluation.json").exists()


def test_a_folder_without_records_asks_for_texts(home, model):
    os.remove(model / "training.json")
    shutil.rmtree(model / "influence")
    with pytest.raises(InvalidInputError, match="does not say which texts were held out"):
        evaluate_folder(model, extractor(model))
    record = evaluate_folder(model, extractor(model), home / "dev.csv", sample=10)
    assert record["influence_sha256"] is None
    assert record["checks"][1]["verdict"] == "not checked"
    assert "no influence matrix" in record["checks"][1]["reasons"][0]
    assert load_evaluation(model) == record


def test_a_matrix_of_another_model_is_refused(home, model, tmp_path):
    other = tmp_path / "other"
    run(
        home / "train.csv", home / "dev.csv", output_dir=other, config=TINY,
        settings=TrainingSettings(epochs=1, seed=1), progress=False,
    )  # fmt: skip
    shutil.rmtree(model / "influence")
    shutil.copytree(other / "influence", model / "influence")
    with pytest.raises(IncompatibleError, match=r"of another model.* weights_sha256"):
        evaluate_folder(model, extractor(model), home / "dev.csv")
    with pytest.raises(IncompatibleError, match="its words is 'pre_tokens', here it is 'whitesp"):
        evaluate_folder(other, extractor(other, word_rule="whitespace"), home / "dev.csv")


def test_an_evaluation_of_another_matrix_is_stale(home, model):
    evaluate_folder(model, extractor(model), home / "dev.csv", sample=10)
    influence_of(extractor(model), load_labelled(home / "train.csv"), output_dir=model)
    with pytest.raises(IncompatibleError, match="about another influence matrix"):
        load_evaluation(model)
    (model / "evaluation.json").write_text('{"format_version": 99}')
    with pytest.raises(IncompatibleError, match="format version 99"):
        load_evaluation(model)
    os.remove(model / "evaluation.json")
    with pytest.raises(CorruptArtifactError, match="is missing"):
        load_evaluation(model)


def test_any_classifier_with_the_settings_of_its_matrix(command, tmp_path):
    source, folder = tmp_path / "bert", tmp_path / "answers"
    build("bert").float().save_pretrained(source)
    tokenizer("wordpiece").save_pretrained(source)
    table = pd.DataFrame({"text": [f"fine film {word} love dull mess" for word in FILLER]})
    table.to_csv(tmp_path / "texts.csv", index=False)
    made = command(
        "run", "--model", source, "--texts", tmp_path / "texts.csv", "-o", folder,
        "--method", "input_x_gradient", "--json",
    )  # fmt: skip
    assert made.status == 0, made.err
    found = command(
        "evaluate", folder, "--model", source, "--data", tmp_path / "texts.csv", "--sample", 35,
        "--json",
    )  # fmt: skip
    assert found.status == 0, found.err
    checks = {check["name"]: check for check in found.json["checks"]}
    assert checks["attribution"]["figures"]["method"] == "input_x_gradient"
    assert set(checks["attribution"]["figures"]["ways"]) == {"delete", "mask"}
    assert "controls" not in checks["attention"]["figures"]
    assert checks["quality"]["verdict"] == "not checked"
    assert "--data" in command("evaluate", folder, "--model", source).err
    assert "is missing" in command("evaluate", folder).err or "cannot be loaded" in (
        command("evaluate", folder).err
    )


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (lambda row: [row.label, "any"], "multi_label_classification"),
        (lambda row: {"pos": 1.5, "neg": -1.25}[row.label], "regression"),
    ],
)
def test_other_kinds_of_labels(tmp_path, label, kind):
    table = pd.concat([reviews(300, 4), reviews(100, 5)], ignore_index=True)
    table["label"] = [label(row) for row in table.itertuples()]
    run(
        table[:300], table[300:], output_dir=tmp_path, config=TINY,
        settings=TrainingSettings(epochs=6, learning_rate=1e-2), progress=False,
    )  # fmt: skip
    record = evaluate_folder(tmp_path, extractor(tmp_path), table[300:], sample=40)
    checks = {check["name"]: check for check in record["checks"]}
    assert checks["quality"]["verdict"] == "not checked"
    assert "no rule for this kind" in checks["quality"]["reasons"][-1]
    if kind == "regression":
        assert checks["influence"]["verdict"] == "supported"
        assert checks["attribution"]["figures"]["ways"]["mask"]["random"]["never_flips"] is None
    else:
        assert checks["influence"]["verdict"] in ("partly supported", "supported")
    assert checks["attention"]["figures"]["controls"]["entropy"] <= 1
    assert "refit_not_measured" in checks["attention"]["figures"]


def test_a_matrix_of_attention_alone_has_no_influence_to_check(home, tmp_path):
    run(
        home / "train.csv", home / "dev.csv", output_dir=tmp_path,
        config={**TINY, "head_hidden_size": 4}, settings=TrainingSettings(epochs=2), progress=False,
    )  # fmt: skip
    with_matrix = matching_extractor(tmp_path, *load_model(tmp_path))
    assert with_matrix.method == "attention"
    record = evaluate_folder(tmp_path, with_matrix, home / "dev.csv", sample=10)
    reasons = {check["name"]: check["reasons"][0] for check in record["checks"]}
    assert "no word with positive influence (method 'attention')" in reasons["influence"]
    assert "'attention' gives no signed attributions" in reasons["attribution"]


def test_texts_of_single_words_cannot_be_tested(model):
    table = pd.DataFrame({"text": ["good", "bad", ""] * 20, "label": ["pos", "neg", "neg"] * 20})
    record = evaluate_folder(model, extractor(model), table, sample=10)
    assert "No text of the sample can be tested" in record["checks"][4]["reasons"][0]
    assert json.loads((model / "evaluation.json").read_text()) == record


def test_every_check_has_a_question_of_its_own():
    assert [check.name for check in CHECKS] == NAMES
    assert len({check.question for check in CHECKS}) == len(NAMES)
