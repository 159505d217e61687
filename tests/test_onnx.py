"""The exported graph says what the model says, without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr import (
    CorruptArtifactError,
    IncompatibleError,
    InvalidInputError,
    OnnxClassifier,
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    export_onnx,
    train_tokenizer,
)
from hf_attn_attr.answering import answers
from hf_attn_attr.onnx_export import OUTPUTS, WordGraph

WORDS = ["so", "happy", "not", "sad", "café", "日本", "[PAD]", "unheardof", "!", "\u200b"]
TEXTS = ["so happy, not sad!", "", "   ", "[PAD] [UNK]", "unheardof café 日本", "so " * 90]


def small(labels, **fields):
    """A model with measured gauge, and its tokenizer."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer([" ".join(WORDS)] * 3, max_length=40, unknown="pieces")
    config = SelfAttentiveConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, embedding_size=8,
        hidden_size=4, attention_size=5, char_ngram_buckets=0, max_length=40, num_labels=labels,
        **fields,
    )  # fmt: skip
    model = SelfAttentiveForSequenceClassification(config).eval()
    ids = torch.arange(12).view(3, 4) % config.vocab_size
    if not config.head_hidden_size:
        model.measure_gauge([{"input_ids": ids, "attention_mask": torch.ones_like(ids)}])
    return model, tokenizer


KINDS = {
    "single label": (3, {}),
    "gated, two hops, two layers": (
        3,
        {"value_source": "both_gated", "num_attention_hops": 2, "num_hidden_layers": 2},
    ),
    "gate": (3, {"value_source": "gate", "rnn_type": "gru"}),
    "multi-label": (
        4,
        {"problem_type": "multi_label_classification", "thresholds": [0.4, 0.5, 0.5, 0.6]},
    ),
    "regression": (1, {}),
}


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model, its tokenizer, and the folder of its graph."""
    labels, fields = KINDS[request.param]
    model, tokenizer = small(labels, **fields)
    folder = tmp_path_factory.mktemp("onnx")
    export_onnx(model, tokenizer, folder)
    return model, tokenizer, folder


def test_answers_are_those_of_the_model(exported):
    model, tokenizer, folder = exported
    found = OnnxClassifier(folder)(TEXTS)
    wanted = answers(model, tokenizer, TEXTS, method="contribution")
    for one, other in zip(found, wanted, strict=True):
        assert one["label"] == other["label"]
        assert one.get("labels") == other.get("labels")
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
        assert [word["word"] for word in one["words"]] == [w["word"] for w in other["words"]]
        for name in ("start", "end", "attention", "attribution"):
            np.testing.assert_allclose(
                [word[name] for word in one["words"]],
                [word[name] for word in other["words"]],
                atol=1e-5,
            )


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_batch_and_length_are_free(free_graph, lengths, seed):
    model, session = free_graph
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(1, *lengths, 1))
    ids = torch.randint(0, model.config.vocab_size, shape, generator=generator)
    mask = (torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1)).long()
    words = torch.where(mask > 0, torch.arange(shape[1]) // 2, -1)
    with torch.no_grad():
        wanted = WordGraph(model)(ids, mask, words)
    inputs = {"input_ids": ids, "attention_mask": mask, "word_ids": words}
    found = session.run(list(OUTPUTS), {name: value.numpy() for name, value in inputs.items()})
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def free_graph(tmp_path_factory):
    """A model and a session of its graph."""
    model, tokenizer = small(3, value_source="both_gated")
    path = export_onnx(model, tokenizer, tmp_path_factory.mktemp("onnx"))
    return model, onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_no_torch_is_loaded(exported):
    *_, folder = exported
    code = (
        "import sys, json, hf_attn_attr\n"
        "answer, = hf_attn_attr.OnnxClassifier(sys.argv[1])(['so happy'])\n"
        "print(json.dumps([answer, sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    answer, loaded = json.loads(done.stdout)
    assert [word["word"] for word in answer["words"]] == ["so", "happy"]
    assert not {"torch", "transformers", "datasets"} & set(loaded)


def test_a_label_can_be_asked_about(exported):
    *_, folder = exported
    ask = OnnxClassifier(folder)
    assert ask(["so happy"], label=ask.labels[-1])[0]["label"] == ask.labels[-1]
    with pytest.raises(InvalidInputError, match="no label 'nonsense'"):
        ask(["so happy"], label="nonsense")
    with pytest.raises(InvalidInputError, match="Row 1: Give a text as a string"):
        ask(["so happy", 3])


def test_what_is_missing_or_damaged_is_named(exported, tmp_path):
    *_, folder = exported
    for name in ("model.onnx", "config.json", "tokenizer.json"):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / name).unlink()
        with pytest.raises(CorruptArtifactError, match=name):
            OnnxClassifier(tmp_path / name)
    shutil.copytree(folder, tmp_path / "cut")
    graph = tmp_path / "cut" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-100])
    shutil.copytree(folder, tmp_path / "nonsense")
    (tmp_path / "nonsense" / "config.json").write_text('{"id2label": 3}')
    with pytest.raises(CorruptArtifactError, match="no sound graph"):
        OnnxClassifier(tmp_path / "nonsense")
    with pytest.raises(CorruptArtifactError, match="no sound graph"):
        OnnxClassifier(tmp_path / "cut")


def test_a_model_without_attributions_is_refused(tmp_path):
    with pytest.raises(IncompatibleError, match="linear head"):
        export_onnx(*small(3, head_hidden_size=4), tmp_path)


def test_the_command_writes_a_graph(run_result, command, tmp_path):
    _, folder = run_result
    done = command("export", folder, "--onnx", tmp_path / "out")
    assert done.status == 0, done.err
    answer = OnnxClassifier(tmp_path / "out")(["so happy"])[0]
    assert answer["label"] in OnnxClassifier(tmp_path / "out").labels
