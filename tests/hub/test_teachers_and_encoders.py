"""What training learns from on the Hub: loaded as of one commit, as from a folder."""

import numpy as np
import pandas as pd
import pytest
from attribution.zoo import TEXTS, TOKENIZER_OF, build, tokenizer
from huggingface_hub import HfApi

from hf_attn_attr import load_labelled
from hf_attn_attr.training.teacher import teacher_outputs
from hf_attn_attr.vectors import encoder
from hf_attn_attr.vectors.encoder import distill

from .published import REPO

WORDS = sorted({word.strip(",.!").lower() for text in TEXTS for word in text.split()} - {""})


@pytest.fixture
def folder(tmp_path):
    """A classifier, of which an encoder is a part."""
    build("bert").save_pretrained(tmp_path / "bert")
    tokenizer(TOKENIZER_OF["bert"]).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def upload(folder):
    HfApi().create_repo(REPO, exist_ok=True)
    HfApi().upload_folder(repo_id=REPO, folder_path=folder)


def test_an_encoder_is_that_of_its_folder_and_of_one_commit(hub, folder, tmp_path, monkeypatch):
    upload(folder)
    wanted = distill(folder, WORDS, progress=False)

    def moving(name):
        found = whole(name)
        tokenizer(TOKENIZER_OF["gpt2"]).save_pretrained(tmp_path / "other")
        (tmp_path / "other" / "marker").write_text("somebody commits meanwhile")
        HfApi().upload_folder(repo_id=REPO, folder_path=tmp_path / "other")
        return found

    whole = encoder.located
    monkeypatch.setattr(encoder, "located", moving)
    found = distill(REPO, WORDS, progress=False)
    assert "marker" in hub.repository(REPO).files()
    assert found.words == wanted.words
    np.testing.assert_array_equal(found.vectors, wanted.vectors)


def test_a_teacher_is_that_of_its_folder(hub, folder, tmp_path):
    upload(folder)
    labels = list(build("bert").config.id2label.values())
    like = load_labelled(pd.DataFrame({"text": labels, "label": labels}))
    found, wanted = (
        teacher_outputs(str(name), TEXTS, like, cache=tmp_path / str(number), progress=False)
        for number, name in enumerate((REPO, folder))
    )
    np.testing.assert_array_equal(found, wanted)
