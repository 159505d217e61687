"""Loading a model folder: complete, of one piece and without running its code, or not at all."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_attn_attr.errors import CorruptArtifactError, InvalidInputError
from hf_attn_attr.loading import load_classifier, load_model

CONFIG, WEIGHTS = "config.json", "model.safetensors"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
FILES = (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)


@pytest.fixture
def folder(run_result, tmp_path):
    """A copy of a trained model's folder to damage."""
    _, trained = run_result
    for name in FILES:
        shutil.copy(trained / name, tmp_path / name)
    return tmp_path


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def weights(change):
    def damage(folder):
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return damage


def flipped(position):
    def damage(folder):
        data = bytearray((folder / WEIGHTS).read_bytes())
        data[position] ^= 1
        (folder / WEIGHTS).write_bytes(data)

    return damage


def larger_vocabulary(folder):
    definition = json.loads((folder / TOKENIZER).read_text())
    definition["model"]["vocab"]["anotherone"] = 10**6
    (folder / TOKENIZER).write_text(json.dumps(definition))


def test_the_saved_model_and_tokenizer_come_back(run_result, folder):
    result, _ = run_result
    model, tokenizer = load_model(folder)
    assert not model.training
    for name, tensor in result.training.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    text = "Unforeseen joy, café 日本"
    assert tokenizer(text)["input_ids"] == result.training.tokenizer(text)["input_ids"]
    assert load_model(str(folder))[0].config.id2label == model.config.id2label


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"nowhere is not a folder"):
        load_model(tmp_path / "nowhere")


def test_a_folder_has_no_revision(folder):
    with pytest.raises(InvalidInputError, match="has no revision 'v1'"):
        load_classifier(folder, revision="v1")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CorruptArtifactError, match=rf"{re.escape(name)} is missing"):
        load_model(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damaged",
    [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"[1]", lambda _: b"\xff" * 50],
    ids=["cut", "empty", "a list", "garbage"],
)
def test_a_damaged_file_is_named(folder, name, damaged):
    (folder / name).write_bytes(damaged((folder / name).read_bytes()))
    with pytest.raises(CorruptArtifactError, match=re.escape(name)):
        load_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (weights(lambda w: w.pop("classifier.bias")), r"missing_keys \['classifier.bias'\]"),
        (weights(lambda w: w.pop("gauge_word")), r"missing_keys \['gauge_word'\]"),
        (weights(lambda w: w.update(extra=torch.ones(2))), r"unexpected_keys \['extra'\]"),
        (
            weights(lambda w: w.update({"classifier.bias": torch.ones(99)})),
            r"mismatched_keys .*classifier.bias.*99",
        ),
        (weights(lambda w: w["classifier.bias"].fill_(torch.nan)), "NaN or infinity in classifier"),
        (weights(lambda w: w["gauge_context"].fill_(torch.inf)), "NaN or infinity in gauge"),
        (flipped(9), r"model.safetensors cannot be loaded \(SafetensorError"),
        (flipped(5), r"model.safetensors cannot be loaded \(SafetensorError"),
        (larger_vocabulary, r"tokens up to number 1000000.*another model"),
        (lambda f: edit(f / CONFIG, hidden_size=-1), r"config.json .*hidden_size is -1"),
        (lambda f: edit(f / CONFIG, hidden_size="wide"), r"config.json .*expected int"),
        (lambda f: edit(f / CONFIG, hidden_size=4), "mismatched_keys"),
        (lambda f: edit(f / CONFIG, head_hidden_size=4), "missing_keys"),
        (lambda f: edit(f / CONFIG, label2id={"joy": 7}), "config.json is inconsistent"),
        (lambda f: edit(f / CONFIG, id2label={"0": "joy", "7": "x"}), "is inconsistent"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(CorruptArtifactError, match=rf"(?s){message}.*Train or fetch it again"):
        load_model(folder)


@pytest.mark.parametrize("found", ["bert", None, ["self_attentive"]])
def test_another_kind_of_model_is_named(folder, found):
    edit(folder / CONFIG, model_type=found)
    with pytest.raises(InvalidInputError, match=rf"of type {re.escape(repr(found))}, not"):
        load_model(folder)


def test_code_in_the_folder_is_never_run(folder, tmp_path):
    sentinel = tmp_path / "ran"
    (folder / "evil.py").write_text(
        f"open({str(sentinel)!r}, 'w').close()\n"
        "class Config: pass\nclass Model: pass\nclass Tokenizer: pass\n"
    )
    edit(
        folder / CONFIG,
        auto_map={
            "AutoConfig": "evil.Config",
            "AutoModelForSequenceClassification": "evil.Model",
            "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"],
        },
    )
    edit(
        folder / TOKENIZER_CONFIG,
        tokenizer_class="Tokenizer",
        auto_map={"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]},
    )
    model, tokenizer = load_model(folder)
    assert type(model).__module__.startswith("hf_attn_attr.")
    assert type(tokenizer).__module__.startswith("transformers.")
    assert tokenizer("happy")["input_ids"]
    assert not sentinel.exists()


def test_the_folder_does_not_choose_the_tokenizer_class(run_result, folder):
    result, _ = run_result
    edit(folder / TOKENIZER_CONFIG, tokenizer_class="BertTokenizer")
    _, tokenizer = load_model(folder)
    text = "So HAPPY, isn't it?"
    assert tokenizer(text)["input_ids"] == result.training.tokenizer(text)["input_ids"]


@pytest.mark.parametrize("padding", range(0, 64, 16))
def test_weights_do_not_stay_where_they_lie_in_the_file(folder, padding):
    # In a trial 1 of 10,000 texts got other last bits from unaligned weights.
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt", "note": "x" * padding})
    model, _ = load_model(folder)
    assert [name for name, p in model.named_parameters() if p.data_ptr() % 64] == []
    assert all(torch.equal(model.state_dict()[name], tensors[name]) for name in tensors)
