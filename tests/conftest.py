"""What several test files share: a small corpus, a tokenizer and a model trained on it."""

import atexit
import os
import shutil
import sys
import tempfile

from hub.loopback import LoopbackHub

HUB = LoopbackHub()
HOME = tempfile.mkdtemp(prefix="hf_home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Before any library reads them: no network (and a Hub on this machine for the tests that turn the
# offline mode off), caches of this run, one thread per process, no telemetry.
os.environ.update(
    HF_ENDPOINT=HUB.url,
    HF_HOME=HOME,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("HF_TOKEN", None)
# Bits are promised for CPUs, so the tests see no GPU, except those that ask for one.
os.environ.setdefault("TESTS_CUDA_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import hypothesis  # noqa: E402
import pytest  # noqa: E402
from outcome import Outcome  # noqa: E402

# How long an example takes says more about the machine than about what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def serving():
    """The loopback Hub, answering."""
    HUB.start()
    yield HUB
    HUB.stop()


@pytest.fixture(scope="session")
def run_result(tmp_path_factory):
    """The main job on the sentences that come with the package, briefly trained, and its folder."""
    from dataclasses import replace

    from hf_attn_attr.data import load_labelled
    from hf_attn_attr.demo.sentences import load_sentences
    from hf_attn_attr.training import TrainingSettings
    from hf_attn_attr.workflow import run

    folder = tmp_path_factory.mktemp("run")
    result = run(
        replace(load_labelled(load_sentences()), source="sentences"),
        output_dir=folder,
        fold_on="train",
        config={"embedding_size": 32, "hidden_size": 16, "attention_size": 16},
        settings=TrainingSettings(epochs=6, batch_size=16, learning_rate=5e-3),
        columns=True,
        progress=False,
    )
    return result, folder


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs the entry point in this process; anything but an orderly exit fails the test."""
    monkeypatch.delenv("COLUMNS", raising=False)  # a test runner may set it

    from hf_attn_attr.cli import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hf-attn-attr", *map(str, arguments)])
        capfd.readouterr()
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = leave.code or 0
        return Outcome(status, *capfd.readouterr())

    return run
