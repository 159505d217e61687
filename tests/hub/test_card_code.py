"""What a card tells people to do works, from the repository it lies in."""

import re
import shlex

import pytest
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification

from hf_attn_attr import AttributionExtractor, extract, fold, push_folder, push_to_hub
from hf_attn_attr.demo import load_sentences

from .published import REPO
from .without_package import WITHOUT


def blocks(card, language):
    return re.findall(rf"^```{language}\n(.*?)^```", card, re.MULTILINE | re.DOTALL)


def card(hub, repo=REPO, kind="model"):
    return hub.repository(repo, kind).files()["README.md"].data.decode()


def test_a_self_attentive_models_card(hub, trained, python, command):
    push_folder(trained.folder, REPO)
    found = blocks(card(hub), "python")
    trusting = [block for block in found if "trust_remote_code" in block]
    ours = [block for block in found if block not in trusting]
    assert (len(ours), len(trusting)) == (4, 1)
    ran = python("\n".join(ours))
    assert ran.returncode == 0, ran.stderr[-3000:]
    top = trained.matrix.top_words(trained.matrix.labels[0], 1)["word"][0]
    for told in (trained.matrix.labels[0], hub.repository(REPO).resolved("main")):
        assert told in ran.stdout
    assert ran.stdout.count(f" {top} ") >= 3  # Q1, Q2 and the table
    ran = python(WITHOUT + trusting[0])
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "attribution" in ran.stdout

    (shell,) = blocks(card(hub), "sh")
    lines = [shlex.split(line) for line in shell.splitlines()]
    assert [line[:2] for line in lines] == [["hf-attn-attr", "top"], ["hf-attn-attr", "word"]]
    for line in lines:
        done = command(*line[1:])
        assert done.status == 0, done.err


@pytest.fixture
def encoder(trained):
    config = BertConfig(
        vocab_size=len(trained.tokenizer), hidden_size=8, num_hidden_layers=1,
        num_attention_heads=1, intermediate_size=8, num_labels=len(trained.matrix.labels),
        id2label=dict(enumerate(trained.matrix.labels)),
        label2id={label: index for index, label in enumerate(trained.matrix.labels)},
    )  # fmt: skip
    return BertForSequenceClassification(config).eval()


def test_another_models_card(hub, trained, encoder, python):
    texts = Dataset.from_dict({"text": load_sentences()["text"][:60]})
    extractor = AttributionExtractor(encoder, trained.tokenizer, "occlusion")
    columns = extract(texts, encoder, trained.tokenizer, method="occlusion")
    matrix = fold(columns, provenance=extractor.provenance)
    push_to_hub(REPO, encoder, trained.tokenizer, matrix)
    found = blocks(card(hub), "python")
    assert not any("trust_remote_code" in block for block in found)
    ran = python("\n".join(found))
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "occlusion" in ran.stdout
    assert "bert" in card(hub)


def test_the_card_of_a_table_by_itself(hub, trained, python):
    trained.matrix.push_to_hub("owner/table", repo_type="dataset", license="mit")
    found = blocks(card(hub, "owner/table", "dataset"), "python")
    assert len(found) == 3
    ran = python("\n".join(found))
    assert ran.returncode == 0, ran.stderr[-3000:]
    top = trained.matrix.top_words(trained.matrix.labels[0], 1)["word"][0]
    assert ran.stdout.count(f" {top} ") == 2
    assert "'lower_bound'" in ran.stdout
