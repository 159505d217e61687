"""Where this package is imported, no code of a repository runs, whatever its files ask for."""

import json
from contextlib import suppress

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    pipeline,
)

import hf_attn_attr
from hf_attn_attr import InfluenceMatrix, load_from_hub, push_to_hub
from hf_attn_attr.errors import AttnAttrError, InvalidInputError
from hf_attn_attr.loading import load_classifier

from .published import REPO, TEXTS

EVIL = """
open({sentinel!r}, "w").close()
class Config: pass
class Model: pass
class Tokenizer: pass
class Pipeline: pass
"""
NAMED = {
    "auto_map": {
        "AutoConfig": "evil.Config",
        "AutoModel": "evil.Model",
        "AutoModelForSequenceClassification": "evil.Model",
        "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"],
    },
    "custom_pipelines": {
        task: {"impl": "evil.Pipeline", "pt": ["AutoModelForSequenceClassification"]}
        for task in ("attention-attribution", "text-classification")
    },
    "trust_remote_code": True,
    "_attn_implementation_internal": "owner/evil-kernel",
    "attn_implementation": "owner/evil-kernel",
}
ELSEWHERE = {
    **NAMED,
    "auto_map": {
        name: f"owner/evil--{value}"
        for name, value in NAMED["auto_map"].items()
        if isinstance(value, str)
    },
}
OURS = (
    load_from_hub,
    load_classifier,
    InfluenceMatrix.from_pretrained,
    lambda name: hf_attn_attr.pipeline("attention-attribution", name)(TEXTS),
    lambda name: hf_attn_attr.pipeline("text-classification", name)(TEXTS),
)
THEIRS = (
    AutoConfig.from_pretrained,
    AutoModel.from_pretrained,
    AutoModelForSequenceClassification.from_pretrained,
    AutoTokenizer.from_pretrained,
    lambda name: pipeline("text-classification", model=name)(TEXTS),
    lambda name: pipeline("attention-attribution", model=name)(TEXTS),
)


@pytest.fixture
def sentinel(tmp_path, monkeypatch):
    """A file that hostile code would write."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody asked for trust"))
    return tmp_path / "ran"


def spoil(sentinel, fields, model_type=None):
    """Put hostile code into the repository, and name it in its config files."""
    api = HfApi()
    files = {"evil.py": EVIL.format(sentinel=str(sentinel)).encode()}
    for name in ("config.json", "tokenizer_config.json"):
        path = api.hf_hub_download(REPO, name)
        with open(path, encoding="utf-8") as file:
            content = json.load(file) | fields
        if model_type and name == "config.json":
            content["model_type"] = model_type
        files[name] = json.dumps(content).encode()
    for repo in (REPO, "owner/evil"):
        api.create_repo(repo, exist_ok=True)
        api.create_commit(
            repo,
            [CommitOperationAdd(name, data) for name, data in files.items()],
            commit_message="evil",
        )


@pytest.fixture
def publish(hub, run_result):
    """Publishes a model of a kind."""
    result, _ = run_result

    def make(kind):
        model, matrix = result.training.model, result.matrix
        if kind == "bert":
            model = BertForSequenceClassification(
                BertConfig(
                    vocab_size=len(result.training.tokenizer), hidden_size=8, num_labels=3,
                    num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
                )
            )  # fmt: skip
            matrix = None
        push_to_hub(REPO, model, result.training.tokenizer, matrix)

    return make


@pytest.mark.parametrize("fields", [NAMED, ELSEWHERE], ids=["its own code", "another's code"])
def test_our_model_loads_everywhere_and_nothing_runs(publish, hub, sentinel, fields):
    publish("self_attentive")
    spoil(sentinel, fields)
    hub.asked.clear()
    for load in (*OURS, *THEIRS):
        load(REPO)
    assert not sentinel.exists()
    assert not [request for request in hub.asked if "evil" in request]


@pytest.mark.parametrize("fields", [NAMED, ELSEWHERE], ids=["its own code", "another's code"])
def test_a_known_model_of_another_kind_runs_nothing_either(publish, hub, sentinel, fields):
    publish("bert")
    spoil(sentinel, fields)
    hub.asked.clear()
    assert load_from_hub(REPO).model.config.model_type == "bert"
    assert load_classifier(REPO)[0].config.model_type == "bert"
    assert len(hf_attn_attr.pipeline("text-classification", REPO)(TEXTS[0])) == 1
    assert hf_attn_attr.pipeline("attention-attribution", REPO)(TEXTS[0])["words"]
    for load in THEIRS[-2:]:  # transformers asks for trust here
        with pytest.raises(ValueError, match="trust_remote_code=True"):
            load(REPO)
    assert not sentinel.exists()
    assert not [request for request in hub.asked if "evil" in request]


def test_an_unknown_kind_of_model_is_refused(publish, hub, sentinel):
    publish("bert")
    spoil(sentinel, NAMED, model_type="evil")
    for load in (load_from_hub, load_classifier):
        with pytest.raises(InvalidInputError, match="cannot be loaded as a sequence classifier"):
            load(REPO)
    assert not sentinel.exists()


def test_pickles_are_not_even_fetched(publish, hub, sentinel, tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return open, (str(sentinel), "w")

    publish("self_attentive")
    torch.save(Evil(), tmp_path / "evil.bin")
    data = (tmp_path / "evil.bin").read_bytes()
    names = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "influence/matrix.pkl")
    HfApi().create_commit(
        REPO, [CommitOperationAdd(name, data) for name in names], commit_message="evil"
    )
    hub.asked.clear()
    for load in OURS:
        load(REPO)
    assert not [request for request in hub.asked if request.endswith((".bin", ".pt", ".pkl"))]
    assert not sentinel.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("../../escaped", "influence/../../escaped", "/etc/escaped", "C:\\escaped"),
        *("\\\\host\\escaped", "influence/..\\..\\escaped", "influence/\x00escaped"),
    ],
)
def test_names_that_lead_out_of_the_folder_write_nothing_there(publish, hub, tmp_path, name):
    publish("self_attentive")
    repository = hub.repository(REPO)
    blob = repository.files()["config.json"]
    repository.files()[name] = blob
    repository.files()["influence/" + name] = blob
    before = {path for path in tmp_path.rglob("*") if "hub_cache" not in path.parts}
    for load in OURS[:1] + OURS[2:3]:
        with suppress(AttnAttrError, OSError, ValueError):
            load(REPO)
    after = {path for path in tmp_path.rglob("*") if "hub_cache" not in path.parts}
    assert before == after
    assert not list(tmp_path.rglob("*escaped*"))
