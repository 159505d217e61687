"""A model and its influence go up as one commit and come back as one commit."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_attn_attr import InfluenceMatrix, load_from_hub, push_folder, push_to_hub
from hf_attn_attr.errors import IncompatibleError, InvalidInputError
from hf_attn_attr.files import sha256_of_file

from .published import CODE, INFLUENCE, MODEL, REPO


def test_one_commit_holds_it_all_and_comes_back(hub, trained):
    published = push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix)
    repository = hub.repository(REPO)
    assert len(repository.history()) == 2
    assert published.commit == repository.resolved("main")
    assert set(published.added) == MODEL | CODE | INFLUENCE | {"README.md"}
    assert repository.files()["model.safetensors"].lfs
    assert not repository.files()["config.json"].lfs

    again = load_from_hub(REPO)
    assert again.commit == published.commit
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    text = "Unforeseen joy"
    assert again.tokenizer(text)["input_ids"] == trained.tokenizer(text)["input_ids"]
    np.testing.assert_array_equal(again.influence.influence, trained.matrix.influence)
    assert again.influence.manifest == trained.matrix.manifest


def test_no_file_names_a_place_on_this_machine(hub, trained, tmp_path):
    push_folder(trained.folder, REPO)
    for name, blob in hub.repository(REPO).files().items():
        assert str(tmp_path.parents[1]).encode() not in blob.data, name


def test_the_tokenizer_is_published_without_padding_of_its_last_call(hub, trained):
    trained.tokenizer(["a", "b c"], padding=True, truncation=True, max_length=2)
    push_to_hub(REPO, trained.model, trained.tokenizer)
    definition = json.loads(hub.repository(REPO).files()["tokenizer.json"].data)
    assert definition["padding"] is None
    assert definition["truncation"] is None


def test_a_folder_goes_up_without_what_is_nobodys_business(hub, trained):
    push_folder(trained.folder, REPO)
    there = set(hub.repository(REPO).files()) - {".gitattributes"}
    assert there == MODEL | CODE | INFLUENCE | {"README.md", "training.json"}
    assert {path.name for path in trained.folder.iterdir()} >= {"columns.parquet"}


def test_evaluation_and_report_go_along(hub, trained, tmp_path):
    report = tmp_path / "page.html"
    report.write_text("<p>report</p>")
    checks = {"checks": [{"name": "stability", "verdict": "supported", "text": "It holds."}]}
    push_to_hub(
        REPO, trained.model, trained.tokenizer, trained.matrix, evaluation=checks, report=report
    )
    files = hub.repository(REPO).files()
    assert files["report.html"].data == b"<p>report</p>"
    assert json.loads(files["evaluation.json"].data) == checks
    assert b"| stability | supported | It holds&#46; |" in files["README.md"].data
    with pytest.raises(InvalidInputError, match="is no file"):
        push_to_hub(REPO, trained.model, trained.tokenizer, report=tmp_path / "nowhere.html")


def test_the_command_line_publishes_and_answers_from_the_hub(hub, trained, command, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    assert command("card", folder, "--picture").status == 0
    done = command("push", folder, REPO, "--license", "mit")
    assert done.status == 0, done.err
    assert f"Published at {hub.url}/{REPO}" in done.out
    files = hub.repository(REPO).files()
    assert b"license: mit" in files["README.md"].data
    assert b"](influence.png)" in files["README.md"].data
    assert files["influence.png"].data.startswith(b"\x89PNG")
    label = trained.matrix.labels[0]
    for name, *arguments in (
        ("top", "--label", label, "--json"),
        ("word", trained.matrix.words[0], "--json"),
        ("top", "--label", label, "--json", "--revision", hub.repository(REPO).resolved("main")),
    ):
        there = command(name, REPO, *arguments)
        here = command(name, trained.folder, *arguments[:3])
        assert there.status == here.status == 0, there.err
        assert there.json == here.json
    explained = command("explain", REPO, "so happy", "--json")
    assert explained.json == command("explain", trained.folder, "so happy", "--json").json
    wrong = command("top", trained.folder, "--label", label, "--revision", "main")
    assert (wrong.status, "has no revision 'main'" in wrong.err) == (1, True)


def test_what_strangers_could_not_use_is_refused_before_anything_goes_up(hub, trained):
    untrained = type(trained.model)(trained.model.config)
    untrained.set_char_ngrams(trained.tokenizer)
    with pytest.raises(InvalidInputError, match=r"gauge.*measure_gauge"):
        push_to_hub(REPO, untrained, trained.tokenizer)
    with pytest.raises(InvalidInputError, match="not a fast tokenizer"):
        push_to_hub(REPO, trained.model, object())
    for name in ("owner/two words", "../model", "owner/model/influence", ""):
        with pytest.raises(InvalidInputError, match="cannot be the name of a repository"):
            push_to_hub(name, trained.model, trained.tokenizer)
    assert not hub.repositories


def changed(matrix, **facts):
    provenance = {**matrix.manifest["provenance"], **facts}
    manifest = {**matrix.manifest, "provenance": {k: v for k, v in provenance.items() if v}}
    return replace(matrix, manifest=manifest)


def relabelled(matrix, labels):
    return replace(matrix, labels=labels, manifest={**matrix.manifest, "labels": list(labels)})


def test_a_matrix_goes_with_the_config_that_it_was_made_with(hub, trained):
    made_before = changed(trained.matrix, config_sha256=None)
    push_to_hub(REPO, trained.model, trained.tokenizer, made_before)
    for name, value, matters in (
        ("hidden_dropout", 0.7, False),
        ("word_vectors", "elsewhere", False),
        ("max_length", 7, True),
        ("rnn_type", "gru", True),
    ):
        model = copy.deepcopy(trained.model)
        setattr(model.config, name, value)
        if matters:
            with pytest.raises(IncompatibleError, match="made with other config"):
                push_to_hub(REPO, model, trained.tokenizer, trained.matrix, dry_run=True)
        else:
            push_to_hub(REPO, model, trained.tokenizer, trained.matrix, dry_run=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: relabelled(m, m.labels[::-1]), r"has the labels .*, the model .*"),
        (lambda m: relabelled(m, ("x", *m.labels[1:])), r"has the labels \['x', .*, the model"),
        (lambda m: changed(m, weights_sha256="0" * 64), "made with other weights"),
        (lambda m: changed(m, tokenizer_sha256="0" * 64), "made with other tokenizer"),
        (lambda m: changed(m, config_sha256="0" * 64), "made with other config"),
        (lambda m: changed(m, weights_sha256=None), "does not say with which weights"),
        (lambda m: changed(m, tokenizer_sha256=None), "does not say with which tokenizer"),
    ],
)
def test_a_matrix_of_another_model_is_refused(hub, trained, change, message):
    other = change(trained.matrix)
    with pytest.raises(IncompatibleError, match=message):
        push_to_hub(REPO, trained.model, trained.tokenizer, other)
    assert not hub.repositories
    # Nor is one loaded that got there on another way.
    push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix)
    other.push_to_hub(REPO)
    with pytest.raises(IncompatibleError, match=message):
        load_from_hub(REPO)
    assert InfluenceMatrix.from_pretrained(REPO).manifest == other.manifest


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"model": {"weights_sha256": "0" * 64}}, "checks are of another weights"),
        ({"model": {"tokenizer_sha256": "0" * 64}}, "checks are of another tokenizer"),
        ({"influence_sha256": "0" * 64}, "checks are of another influence"),
    ],
)
def test_checks_of_something_else_are_refused(hub, trained, about, message):
    checks = {"checks": [{"name": "x", "verdict": "supported"}], **about}
    with pytest.raises(IncompatibleError, match=message):
        push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix, evaluation=checks)
    assert not hub.repositories


def test_checks_of_this_model_and_matrix_are_not(hub, trained):
    origin = trained.matrix.manifest["provenance"]
    table = sha256_of_file(trained.folder / "influence" / "influence.parquet")
    digests = {name: origin[name] for name in ("weights_sha256", "tokenizer_sha256")}
    checks = {"model": digests, "influence_sha256": table, "checks": []}
    push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix, evaluation=checks)
    assert "evaluation.json" in hub.repository(REPO).files()


def test_a_card_rendered_anew_changes_nothing_that_matters(hub, trained, command, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    first = push_folder(folder, REPO)
    assert command("card", folder, "--license", "cc0-1.0", "--language", "en").status == 0
    second = push_folder(folder, REPO)
    assert second.changed == ("README.md",)
    assert second.commit != first.commit
    assert (
        load_from_hub(REPO).influence.manifest
        == load_from_hub(REPO, first.commit).influence.manifest
    )
