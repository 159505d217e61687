"""The example cards: as the templates render them, and what they tell people to do works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hub.without_package import WITHOUT
from huggingface_hub import EvalResult, ModelCard
from test_readme import environment

ROOT = Path(__file__).parent.parent
CARDS = sorted((ROOT / "model_cards").glob("*/README.md"))
PUBLISH = """
import json, sys
import torch
from hf_attn_attr import (
    AttributionExtractor, SelfAttentiveConfig, SelfAttentiveForSequenceClassification, extract,
    fold, measure_gauge, push_to_hub, train_tokenizer,
)
from datasets import Dataset

repo, labels, words = json.loads(sys.argv[1])
torch.manual_seed(0)
texts = [f"{word} {other}" for word in words for other in words]
tokenizer = train_tokenizer(texts)
config = SelfAttentiveConfig(
    vocab_size=len(tokenizer), id2label=dict(enumerate(labels)), char_ngram_buckets=0,
    label2id={label: index for index, label in enumerate(labels)}, embedding_size=8, hidden_size=4,
)
model = SelfAttentiveForSequenceClassification(config)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.normal_()
measure_gauge(model, tokenizer, texts)
columns = extract(Dataset.from_dict({"text": texts}), model, tokenizer)
how = AttributionExtractor(model, tokenizer).provenance
push_to_hub(repo, model, tokenizer, fold(columns, provenance=how))
"""


@pytest.fixture(params=CARDS, ids=lambda path: path.parent.name)
def card(request):
    return request.param


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(code, folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment(HF_HOME=str(folder)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_there_is_one():
    assert CARDS


def test_the_hub_reads_its_results(card):
    data = ModelCard.load(card).data
    assert data.model_name == card.parent.name
    assert data.eval_results
    for result in data.eval_results:
        assert isinstance(result, EvalResult)
        assert 0 < result.metric_value < 1
    assert ModelCard(str(ModelCard.load(card))).data.eval_results == data.eval_results


def test_it_shows_words_and_figures_alone(card):
    text = card.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| .* … ", line)]
    assert len(rows) >= 10
    for row in rows:
        word, *figures = (cell.strip() for cell in row.strip("|").split("|"))
        assert " " not in word
        assert re.fullmatch(r"[+-]\d+\.\d{3}", figures[0])
        assert int(figures[2]) >= 3
    assert (card.parent / "influence.png").is_file()
    assert "](influence.png)" in text


def test_its_code_runs(card, serving, tmp_path):
    import json

    serving.reset()
    repo = f"user/{card.parent.name}"
    text = card.read_text(encoding="utf-8")
    labels = re.search(r"^It has \d+ classes: (.*)\.$", text, re.MULTILINE)[1].split(", ")
    (shell,) = blocks(card, "sh")
    word = shlex.split(shell.splitlines()[-1])[-1]
    # A model small enough to be made here, under the name and with the labels and the word.
    run(PUBLISH, tmp_path, json.dumps([repo, labels, [word, "so", "today", "glad"]]))
    python = blocks(card, "python")
    trusting = [block for block in python if "trust_remote_code" in block]
    assert (len(python), len(trusting)) == (5, 1)
    shown = run("\n".join(block for block in python if block not in trusting), tmp_path)
    assert serving.repository(repo).resolved("main") in shown
    assert "attribution" in run(WITHOUT + trusting[0], tmp_path)
    for line in shell.splitlines():
        done = subprocess.run(
            shlex.split(line),
            cwd=tmp_path,
            env=environment(HF_HOME=str(tmp_path)),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
