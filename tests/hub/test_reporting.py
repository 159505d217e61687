"""Reports and Spaces of what is published."""

import json

import pytest

from hf_attn_attr import push_folder, write_pictures, write_report, write_space
from hf_attn_attr.errors import HubError, InvalidInputError

from .published import REPO


def test_a_published_model_is_reported_like_its_folder(hub, trained, tmp_path):
    push_folder(trained.folder, REPO)
    page = write_report(REPO, tmp_path / "page.html", compare=trained.folder)
    html = page.read_text(encoding="utf-8")
    assert f"<title>{REPO}: which words drive which class</title>" in html
    with pytest.raises(InvalidInputError, match="--output"):
        write_report(REPO)
    assert write_pictures(REPO, tmp_path / "pictures")
    with pytest.raises(HubError, match="no folder user/nothing here"):
        write_report("user/nothing", tmp_path / "nothing.html")


def test_a_space_is_made_of_a_published_model(hub, trained, tmp_path):
    push_folder(trained.folder, REPO)
    space = write_space(REPO, tmp_path / "space")
    weights = (trained.folder / "model.safetensors").read_bytes()
    assert (space / "model" / "model.safetensors").read_bytes() == weights
    assert json.loads((space / "space.json").read_bytes())["title"] == REPO


def test_the_command_takes_the_name(hub, trained, tmp_path, command):
    push_folder(trained.folder, REPO)
    assert command("report", REPO, "-o", tmp_path / "page.html").status == 0
    failed = command("report", REPO)
    assert failed.status == 1
    assert "Say where to write" in failed.err
