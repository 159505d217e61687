"""The loopback Hub, as the clients in this process and in others see it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets.config
import huggingface_hub.constants
import huggingface_hub.utils._http
import pytest
from conftest import HUB


@pytest.fixture
def hub(serving, monkeypatch, tmp_path):
    """An empty Hub, an empty cache, the token of "owner", and no waiting between retries."""
    HUB.reset()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets_cache")
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    return HUB


@pytest.fixture
def trained(run_result):
    """A trained model with all that belongs to it."""
    result, folder = run_result
    return SimpleNamespace(
        model=result.training.model,
        tokenizer=result.training.tokenizer,
        matrix=result.matrix,
        columns=result.columns,
        folder=folder,
    )


@pytest.fixture
def offline(monkeypatch):
    """Calling it turns the network off."""

    def turn_off():
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    return turn_off


@pytest.fixture
def python(hub, tmp_path):
    """Runs code in a fresh interpreter that talks to the loopback Hub."""

    def run(code, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=tmp_path,
            env={
                **os.environ,
                "HF_HUB_OFFLINE": "0",
                "HF_HOME": str(tmp_path / "hf_home"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run
