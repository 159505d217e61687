"""The whole job in one call: what it leaves in the folder, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_attn_attr import (
    InfluenceMatrix,
    association,
    attention_matrix,
    class_matrix,
    fold,
    workflow,
)
from hf_attn_attr.classifier import weights_digest
from hf_attn_attr.columns import load_columns
from hf_attn_attr.data import load_labelled
from hf_attn_attr.demo.sentences import load_sentences
from hf_attn_attr.loading import load_model
from hf_attn_attr.training import TrainingSettings

SMALL = {"embedding_size": 8, "hidden_size": 4, "attention_size": 4, "char_ngram_buckets": 0}


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def brief_run(folder, **options):
    return workflow.run(
        replace(load_labelled(load_sentences()), source="sentences"),
        output_dir=folder,
        config={**SMALL, **options.pop("config", {})},
        settings=TrainingSettings(epochs=1, batch_size=64),
        progress=False,
        **options,
    )


def test_the_folder_holds_model_matrix_and_columns_that_belong_together(run_result):
    result, folder = run_result
    model, _ = load_model(folder)
    matrix = InfluenceMatrix.from_pretrained(folder)
    facts = matrix.manifest["provenance"]
    assert facts["weights_sha256"] == weights_digest(model)
    assert facts["folded_on"] == "train"
    assert facts["corpus"]["rows"] == len(result.training.train.dataset) == 324
    dataset, columns_facts = load_columns(folder)
    assert columns_facts == facts
    again = fold(dataset, provenance=facts)
    np.testing.assert_array_equal(again.influence, matrix.influence)


def test_the_matrix_finds_what_the_sentences_say(run_result):
    matrix = run_result[0].matrix
    assert matrix.score("happy", "joy").influence > 0
    assert matrix.score("furious", "anger").influence > matrix.score("furious", "joy").influence
    listed = matrix.top_words("fear", 10)["word"].tolist()
    assert {"terrified", "scared", "afraid"} & set(listed)


def test_the_matrix_says_what_the_data_say(run_result):
    result, _ = run_result
    told = association(result.columns)
    np.testing.assert_array_equal(
        result.matrix.association_q_value[[result.matrix.words.index(w) for w in told.words]],
        told.q_value,
    )
    assert result.matrix.manifest["checks"]["association"]["texts"] == told.description["texts"]
    assert result.matrix.manifest["checks"]["association"]["provenance"]["folded_on"] == "train"


def test_joint_mass_is_the_product_of_the_two_literal_matrices(run_result):
    result, _ = run_result
    words, attention = attention_matrix(result.columns)
    probabilities = class_matrix(result.columns)
    texts = np.count_nonzero(attention.sum(0))
    joint = attention @ probabilities.T / texts
    assert words == result.matrix.words
    np.testing.assert_allclose(result.matrix.joint, joint, rtol=1e-12, atol=0)


def test_an_mlp_head_gives_an_attention_matrix(tmp_path):
    result = brief_run(tmp_path, config={"head_hidden_size": 6})
    matrix = InfluenceMatrix.from_pretrained(tmp_path)
    assert matrix.manifest["method"] == "attention"
    assert np.isnan(matrix.influence).all()
    assert len(matrix.top_words("joy", 5, by="joint")) == 5
    assert result.training.model.config.head_hidden_size == 6


def test_a_run_that_fails_leaves_earlier_results_as_they_were(tmp_path, monkeypatch):
    brief_run(tmp_path)
    before = contents(tmp_path)

    def broken(*_args, **_kwargs):
        raise RuntimeError("out of disk")

    monkeypatch.setattr(workflow, "fold", broken)
    with pytest.raises(RuntimeError, match="out of disk"):
        brief_run(tmp_path)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before


def test_the_same_run_gives_the_same_bytes(tmp_path):
    torch.set_num_threads(1)
    for name in ("a", "b"):
        brief_run(tmp_path / name)
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first.keys() == second.keys()
    assert first["influence/influence.parquet"] == second["influence/influence.parquet"]
    assert first["influence/manifest.json"] == second["influence/manifest.json"]
    assert first["model.safetensors"] == second["model.safetensors"]
