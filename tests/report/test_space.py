"""The Gradio Space that is written: its files, and the app started and used."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
import yaml

from hf_attn_attr import InfluenceMatrix, write_space
from hf_attn_attr.errors import InvalidInputError

from .conftest import without_tool


@pytest.fixture
def folder(run_result, tmp_path):
    return shutil.copytree(run_result[1], tmp_path / "model")


def test_a_space_has_all_it_needs_and_no_texts(folder, tmp_path):
    space = write_space(folder, tmp_path / "space", title='a "title": <b>')
    names = {path.relative_to(space).as_posix() for path in space.rglob("*") if path.is_file()}
    model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    influence = {"influence/influence.parquet", "influence/manifest.json"}
    assert names == {"app.py", "space.json", "requirements.txt", "README.md"} | {
        f"model/{name}" for name in model | influence
    }
    _, metadata, _ = (space / "README.md").read_text(encoding="utf-8").split("---\n")
    assert yaml.safe_load(metadata) == {
        "title": 'a "title": <b>',
        "sdk": "gradio",
        "app_file": "app.py",
        "pinned": False,
    }
    assert re.fullmatch(r"hf-attn-attr>=[\d.]+\n", (space / "requirements.txt").read_text())
    settings = json.loads((space / "space.json").read_bytes())
    assert settings["method"] == "contribution"
    InfluenceMatrix.from_pretrained(space / "model")


def test_a_matrix_alone_needs_the_name_of_its_model(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInputError, match="--model"):
        write_space(folder, tmp_path / "space")
    assert not (tmp_path / "space").exists()
    space = write_space(folder, tmp_path / "space", model="user/model")
    assert json.loads((space / "space.json").read_bytes())["model"] == "user/model"
    assert [path.name for path in (space / "model").iterdir()] == ["influence"]


def test_a_folder_with_files_is_left_alone(folder, tmp_path):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "mine.txt").write_text("x")
    with pytest.raises(InvalidInputError, match="holds files already"):
        write_space(folder, tmp_path / "space")
    assert [path.name for path in (tmp_path / "space").iterdir()] == ["mine.txt"]


def test_the_command_says_what_to_do_next(command, folder, tmp_path):
    done = command("space", folder, tmp_path / "space")
    assert done.status == 0
    assert "python" in done.out
    assert (tmp_path / "space" / "app.py").is_file()


@pytest.fixture
def client(folder, tmp_path):
    """The app of a Space, running, and a client of it."""
    try:
        from gradio_client import Client
    except ImportError:
        without_tool("gradio is not installed: pip install gradio")
    space = write_space(folder, tmp_path / "space")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }
    log = (tmp_path / "log").open("w+")
    running = subprocess.Popen(
        [sys.executable, "app.py"], cwd=space, env=environment, stdout=log, stderr=log
    )
    try:
        for _ in range(300):
            if running.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        else:
            pytest.fail("the app does not answer")
        assert running.poll() is None, (tmp_path / "log").read_text()
        yield Client(f"http://127.0.0.1:{port}", verbose=False)
    finally:
        running.terminate()
        running.wait(30)
        log.close()


def test_the_app_explains_texts_and_looks_up_words(client, run_result):
    from gradio_client.exceptions import AppError

    matrix = run_result[0].matrix
    scores, shown = client.predict("so happy <b>", "the predicted class", api_name="/explain")
    assert scores["label"] in matrix.labels
    assert sum(one["confidence"] for one in scores["confidences"]) == pytest.approx(1, abs=1e-4)
    assert "happy</bdi>" in shown
    assert "<b></bdi>" not in shown
    _, other = client.predict("so happy", "fear", api_name="/explain")
    assert "<bdi>fear</bdi>" in other
    assert client.predict("happy", api_name="/word") == matrix.word("happy")._repr_html_()
    assert client.predict("joy", api_name="/top") == matrix.top_words("joy", 30)._repr_html_()
    with pytest.raises(AppError, match="The nearest words are"):
        client.predict("hapy", api_name="/word")
    with pytest.raises(AppError, match="Type a text"):
        client.predict("  ", "the predicted class", api_name="/explain")
