"""A model and its influence go up as one commit and come back as one commit."""

import numpy as np
import pytest
import torch

from hf_attn_attr import load_from_hub, push_to_hub

REPO = "owner/model"
CODE = {
    *("configuration_self_attentive.py", "modeling_self_attentive.py"),
    *("pipeline_attention_attribution.py", "words.py"),
}
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
INFLUENCE = {"influence/influence.parquet", "influence/manifest.json"}


@pytest.fixture
def trained(run_result):
    return run_result[0].training, run_result[0].matrix, run_result[1]


def test_one_commit_holds_it_all_and_comes_back(hub, trained):
    training, matrix, _ = trained
    published = push_to_hub(REPO, training.model, training.tokenizer, matrix)
    repository = hub.repository(REPO)
    assert len(repository.history()) == 2
    assert published.commit == repository.resolved("main")
    assert set(published.added) == MODEL | CODE | INFLUENCE

    again = load_from_hub(REPO)
    assert again.commit == published.commit
    for name, tensor in training.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    text = "Unforeseen joy"
    assert again.tokenizer(text)["input_ids"] == training.tokenizer(text)["input_ids"]
    np.testing.assert_array_equal(again.influence.influence, matrix.influence)
    assert again.influence.manifest == matrix.manifest


def test_the_command_line_publishes_and_answers_from_the_hub(hub, trained, command):
    _, matrix, folder = trained
    done = command("push", folder, REPO)
    assert done.status == 0, done.err
    assert f"Published at {hub.url}/{REPO}" in done.out
    assert "training.json" in hub.repository(REPO).files()
    assert not any(
        name.startswith(("columns", "checkpoints")) for name in hub.repository(REPO).files()
    )
    label = matrix.labels[0]
    for arguments in (("top", "--label", label, "--json"), ("word", matrix.words[0], "--json")):
        there = command(arguments[0], REPO, *arguments[1:])
        here = command(arguments[0], folder, *arguments[1:])
        assert there.status == here.status == 0, there.err
        assert there.json == here.json
