"""Adapters, which transformers adds to a model where peft is installed: refused everywhere."""

import json
import shutil

import numpy as np
import pytest
from attribution.zoo import TEXTS, TOKENIZER_OF, build, tokenizer
from datasets import Dataset
from huggingface_hub import HfApi
from peft import LoraConfig, get_peft_model

from hf_attn_attr import extract, load_from_hub, pipeline, push_to_hub
from hf_attn_attr.errors import HubError, InvalidInputError
from hf_attn_attr.loading import ADAPTER, load_classifier, load_model
from hf_attn_attr.vectors.encoder import distill

from .published import REPO

LOADERS = {
    "load_classifier": load_classifier,
    "load_from_hub": load_from_hub,
    "pipeline": lambda name: pipeline("text-classification", name),
    "encoder": lambda name: distill(name, ["good"], progress=False),
}


@pytest.fixture(params=["ours", "bert"])
def folder(request, tmp_path):
    """A whole model, and beside it what makes it the adapter of another one."""
    folder = tmp_path / "model"
    build(request.param).save_pretrained(folder)
    tokenizer(TOKENIZER_OF[request.param]).save_pretrained(folder)
    named = {"peft_type": "LORA", "base_model_name_or_path": "owner/other"}
    (folder / ADAPTER).write_text(json.dumps(named))
    return folder


def upload(folder):
    HfApi().create_repo(REPO, exist_ok=True)
    HfApi().upload_folder(repo_id=REPO, folder_path=folder)


@pytest.mark.parametrize("how", LOADERS)
def test_a_repository_with_an_adapter_is_refused_before_any_weight_is_read(hub, folder, how):
    upload(folder)
    hub.asked.clear()
    with pytest.raises(InvalidInputError, match=r"adapter.*merge_and_unload"):
        LOADERS[how](REPO)
    assert not [request for request in hub.asked if "owner/other" in request]
    if how != "load_from_hub":  # which fetches what is published as a whole
        assert not [request for request in hub.asked if request.endswith(".safetensors")]


@pytest.mark.parametrize("load", [load_classifier, load_model, LOADERS["encoder"]])
def test_a_folder_with_an_adapter_is_refused(folder, load):
    with pytest.raises(InvalidInputError, match=r"adapter.*merge_and_unload"):
        load(folder)


@pytest.mark.parametrize("how", [how for how in LOADERS if how != "load_from_hub"])
def test_an_adapter_without_its_model_says_so(hub, folder, tmp_path, how):
    (tmp_path / "alone").mkdir()
    shutil.copy(folder / ADAPTER, tmp_path / "alone")
    upload(tmp_path / "alone")
    for place in (REPO, tmp_path / "alone"):
        with pytest.raises(InvalidInputError, match=r"adapter.*merge_and_unload"):
            LOADERS[how](place)


def test_a_publication_is_not_an_adapter_alone(hub, folder, tmp_path):
    (tmp_path / "alone").mkdir()
    shutil.copy(folder / ADAPTER, tmp_path / "alone")
    upload(tmp_path / "alone")
    with pytest.raises(HubError, match=r"config\.json"):
        load_from_hub(REPO)


def test_a_model_is_published_with_its_adapter_merged(hub):
    base, words = build("bert"), tokenizer(TOKENIZER_OF["bert"])
    texts = Dataset.from_dict({"text": TEXTS})
    without = extract(texts, base, words, method="occlusion")["attribution"]
    adapted = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", init_lora_weights=False)).eval()
    wanted = extract(texts, adapted, words, method="occlusion")["attribution"]
    for model in (adapted, base):  # peft changes the model that it is given
        with pytest.raises(InvalidInputError, match=r"adapter.*merge_and_unload"):
            push_to_hub(REPO, model, words)
    assert not hub.repositories
    push_to_hub(REPO, adapted.merge_and_unload(), words)
    found = load_from_hub(REPO)
    again = extract(texts, found.model, found.tokenizer, method="occlusion")["attribution"]
    np.testing.assert_allclose(np.concatenate(again), np.concatenate(wanted), atol=1e-6)
    assert np.abs(np.concatenate(wanted) - np.concatenate(without)).max() > 1e-5
