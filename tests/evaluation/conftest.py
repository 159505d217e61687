"""A model's folder and its texts."""

import shutil

import pytest

from evaluation.reviews import TINY, reviews
from hf_attn_attr import TrainingSettings
from hf_attn_attr.workflow import run


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with texts and a model that has learned them."""
    home = tmp_path_factory.mktemp("home")
    reviews(400, 0).to_csv(home / "train.csv", index=False)
    reviews(120, 1).to_csv(home / "dev.csv", index=False)
    reviews(80, 2)[["text"]].to_csv(home / "plain.csv", index=False)
    run(
        home / "train.csv", home / "dev.csv", output_dir=home / "model", config=TINY,
        preset="plain",
        settings=TrainingSettings(epochs=8, learning_rate=1e-2), progress=False,
    )  # fmt: skip
    return home


@pytest.fixture
def model(home, tmp_path):
    shutil.copytree(home / "model", tmp_path / "model")
    return tmp_path / "model"
