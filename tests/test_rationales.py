"""Attention that learns from human rationales: reading them, the loss, and what training makes."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr import (
    IncompatibleError,
    InfluenceMatrix,
    InvalidInputError,
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    TrainingSettings,
    extract,
    load_labelled,
)
from hf_attn_attr.data import concatenate, coverage, hold_out
from hf_attn_attr.loading import load_model
from hf_attn_attr.terminal import provenance_line
from hf_attn_attr.tokenization import train_tokenizer
from hf_attn_attr.training import fit, train
from hf_attn_attr.training import seed as seed_module
from hf_attn_attr.training.examples import Collator, examples
from hf_attn_attr.training.supervision import attention_targets
from hf_attn_attr.workflow import run

# Two words tell the class of each text, and people name the second alone.
CUES = {"pos": (["good", "lovely"], ["fun", "joy"]), "neg": (["bad", "awful"], ["dull", "pain"])}
SMALL = {"embedding_size": 16, "hidden_size": 8, "attention_size": 8, "char_ngram_buckets": 0}
FAST = TrainingSettings(epochs=4, batch_size=8, learning_rate=2e-2)
TEXT = "a lovely film"


def reviews(count, seed=0, column="rationale"):
    """Reviews of which two thirds have a rationale: the characters of the second cue."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in range(count):
        label = ("pos", "neg")[rng.integers(2)]
        first, second = (str(rng.choice(words)) for words in CUES[label])
        filler = rng.choice(["the", "a", "film", "plot", "and", "it"], rng.integers(3, 9))
        words = [str(word) for word in rng.permutation([first, second, *filler])]
        start = len(" ".join(words[: words.index(second)])) + (words.index(second) > 0)
        span = [start, start + len(second)]
        marked = [span] if row % 3 else None
        rows.append({"text": " ".join(words), "label": label, column: marked})
    return pd.DataFrame(rows)


def load(cells, text=TEXT, column="rationale", **columns):
    table = {"text": [text, "b"], "label": ["x", "y"], column: [*cells, None]}
    table |= {name: [*values, []] for name, values in columns.items()}
    return load_labelled(pd.DataFrame(table), rationale_column=column)


def spans_of(texts):
    return [
        [(span["start"], span["end"], span["weight"]) for span in spans or ()]
        for spans in texts.rationales
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_spans_and_word_marks_mean_the_same_in_every_file(tmp_path, suffix):
    words = TEXT.split()
    table = {
        "text": [TEXT, "none", "zero", "null"],
        "label": ["x", "y", "x", "y"],
        "spans": [[[2, 8]], [], [], None],
        "words": [words, ["none"], ["zero"], ["null"]],
        "marks": [[0, 1, 0], [0], [0], None],
        "shares": [[0, 1.0, 0.0], [0.0], [0.0], None],
    }
    path = tmp_path / f"texts.{suffix}"
    frame = pd.DataFrame(table)
    if suffix == "csv":
        lists = ["spans", "words", "marks", "shares"]
        frame[lists] = frame[lists].map(json.dumps, na_action="ignore")
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    for column in ("spans", "marks", "shares"):
        texts = load_labelled(
            path, text_column="text", label_column="label", rationale_column=column
        )
        assert spans_of(texts) == [[(2, 8, 1.0)], [], [], []]
        assert texts.rationales[1:] == [None] * 3
        plain = load_labelled(path, text_column="text", label_column="label")
        assert texts.digest == plain.digest
        assert plain.rationales == [None] * 4


def test_the_same_word_twice_is_found_in_order():
    texts = load([[0, 0, 0.5]], "so so so", tokens=[["so", "so", "so"]])
    assert spans_of(texts)[0] == [(6, 8, 0.5)]


@pytest.mark.parametrize(
    ("cell", "columns", "message"),
    [
        ([[2, 20]], {}, r"Row 0 .* \[2, 20\]; wanted .* <= 13"),
        ([[4, 4]], {}, r"Row 0 .* 0 <= start < end"),
        ([[1, 2, 3]], {}, "Row 0"),
        ([0, 1], {"words": [["a", "lovely", "film"]]}, "Row 0 .* 2 numbers for 3 words"),
        ([0, 1], {}, "the words must lie beside it"),
        ([0, 1, 2], {"words": [TEXT.split()]}, "the number 2; wanted is one from 0 to 1"),
        ([0, math.nan, 0], {"words": [TEXT.split()]}, "wanted is one from 0 to 1"),
        ([0, 1, 0], {"words": [["a", "nice", "film"]]}, "'nice', which its text does not hold"),
        ("2-8", {}, "Wanted are lists of character spans"),
        ([], {}, "Wanted are lists of character spans"),
        ([0, 0, 0], {"words": [TEXT.split()]}, "No row .* has a rationale"),
    ],
)
def test_rationales_that_do_not_fit_are_refused(cell, columns, message):
    with pytest.raises(InvalidInputError, match=message):
        load([cell], **columns)


def test_a_rationale_column_that_is_not_there_is_refused():
    with pytest.raises(InvalidInputError, match=r"no column 'why'.*--rationale-column"):
        load_labelled(reviews(6), rationale_column="why")


def test_rationales_stay_with_their_texts():
    texts = load_labelled(reviews(30), rationale_column="rationale")
    plain = load_labelled(reviews(30, 1))
    parts = hold_out(texts, 0.2, seed=0)
    want = dict(zip(texts.dataset["text"][:], texts.rationales, strict=True))
    for part in parts:
        assert any(part.rationales)
        for text, spans in zip(part.dataset["text"][:], part.rationales, strict=True):
            assert spans == want[text]
    for joined in (concatenate(texts, plain), concatenate(plain, texts)):
        assert sum(map(bool, joined.rationales)) == sum(map(bool, texts.rationales))


@st.composite
def marked_words(draw):
    """Words (start, end) one after the other, and spans anywhere."""
    edges = sorted(draw(st.sets(st.integers(0, 30), min_size=2, max_size=10)))
    words = list(zip(edges[::2], edges[1::2], strict=False))
    spans = [
        {"start": min(pair), "end": max(pair) + 1, "weight": weight}
        for *pair, weight in draw(
            st.lists(st.tuples(st.integers(0, 35), st.integers(0, 35), st.floats(0, 1)), max_size=5)
        )
    ]
    return words, spans


@given(marked_words())
def test_coverage_is_the_mean_over_the_characters_of_a_word(case):
    words, spans = case
    for (start, end), found in zip(words, coverage(spans, words), strict=True):
        marks = [
            max([span["weight"] for span in spans if span["start"] <= at < span["end"]], default=0)
            for at in range(start, end)
        ]
        assert found == pytest.approx(sum(marks) / len(marks))


def test_the_targets_are_the_shares_of_the_marked_characters():
    text = "an unhappy film indeed"
    texts = load([[[3, 10], [11, 13]]], text)
    tokenizer = train_tokenizer([text, "b"], min_count=1)
    target, none = attention_targets(texts, tokenizer, 100)
    assert none is None
    # "unhappy" is marked wholly, "film" by half.
    assert target == pytest.approx([0, 2 / 3, 1 / 3, 0])
    assert attention_targets(texts, tokenizer, 2)[0] == pytest.approx([0, 1])
    assert attention_targets(texts, tokenizer, 1)[0] is None  # the rationale was cut off


def test_the_pieces_of_a_word_share_its_target():
    tokenizer = train_tokenizer(["happy unhappy", "happy"], unknown="pieces")
    texts = load([[[0, 7], [8, 13]]], "unhappy happy")
    pieces = tokenizer.tokenize("unhappy happy")
    (target, _) = attention_targets(texts, tokenizer, 100)
    count = len(pieces) - 1
    assert count > 1
    assert target == pytest.approx([0.5 / count] * count + [0.5])


@pytest.mark.parametrize("hops", [1, 3])
def test_the_loss_and_its_gradient_are_those_of_a_plain_implementation(hops):
    torch.manual_seed(0)
    config = SelfAttentiveConfig(
        **{**SMALL, "vocab_size": 20, "num_labels": 2, "num_attention_hops": hops},
        attention_supervision=0.7,
    )
    model = SelfAttentiveForSequenceClassification(config).double().eval()
    ids = torch.randint(1, 20, (3, 5))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    targets = torch.tensor([[0, 0.5, 0.5, 0, 0], [1.0, 0, 0, 0, 0], [0.0] * 5])
    labels = torch.tensor([0, 1, 1])
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    model(**inputs, attention_targets=targets).loss.backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}

    model.zero_grad()
    out = model(**inputs, output_attentions=True)
    wanted = torch.nn.functional.cross_entropy(out.logits, labels)
    mean = out.attentions[0].mean(1)
    for row in range(3):
        for token in range(5):
            if targets[row, token]:
                wanted = wanted - 0.7 / 3 * targets[row, token] * mean[row, token].log()
    wanted.backward()
    again = model(**inputs, attention_targets=targets).loss
    assert torch.allclose(again, wanted, atol=1e-12)
    for name, weight in model.named_parameters():
        assert torch.allclose(found[name], weight.grad, atol=1e-12), name
    assert found["self_attentive.attention.hops.weight"].any()


def test_a_batch_holds_targets_only_where_a_text_has_them():
    texts = load_labelled(reviews(12), rationale_column="rationale")
    tokenizer = train_tokenizer(texts.dataset["text"][:], min_count=1)
    targets = attention_targets(texts, tokenizer, 100)
    every = [*texts.dataset["text"][:], "unlabelled text"]
    rows = examples(every, [0] * 13, tokenizer, 100, targets)
    collate = Collator(texts, tokenizer.pad_token_id)
    batch = collate(rows)
    assert batch["attention_targets"].shape == batch["input_ids"].shape
    assert not batch["attention_targets"][batch["attention_mask"] == 0].any()
    sums = batch["attention_targets"].sum(1)
    assert torch.allclose(sums, torch.tensor([float(row % 3 > 0) for row in range(12)] + [0.0]))
    assert "attention_targets" not in collate([rows[0], rows[12]])


@pytest.mark.parametrize("hops", [1, 3])
def test_supervised_attention_goes_where_people_point(tmp_path, hops):
    training = load_labelled(reviews(240), rationale_column="rationale")
    validation = load_labelled(reviews(60, 1), rationale_column="rationale")
    config = {**SMALL, "num_attention_hops": hops}
    shares, results = {}, {}
    for weight in (0.0, 1.0):
        results[weight] = run(
            training, validation, output_dir=tmp_path / str(weight), config=config, preset="plain",
            settings=replace(FAST, attention_weight=weight), progress=False,
        )  # fmt: skip
        columns = results[weight].columns
        shares[weight] = np.mean(
            [
                np.dot(
                    coverage(spans, list(zip(row["word_start"], row["word_end"], strict=True))),
                    row["attention"],
                )
                for row, spans in zip(columns, validation.rationales, strict=True)
                if spans
            ]
        )
        assert results[weight].training.metrics["accuracy"] > 0.95
    assert shares[1.0] > 0.9
    assert shares[0.0] < 0.5

    model, _ = load_model(tmp_path / "1.0")
    assert model.config.attention_supervision == 1.0
    manifest = InfluenceMatrix.from_pretrained(tmp_path / "1.0").manifest
    assert manifest["provenance"]["attention_supervision"] == 1.0
    assert "trained to follow human rationales (weight 1)" in provenance_line(manifest)
    facts = json.loads((tmp_path / "1.0" / "training.json").read_text())
    assert facts["texts"]["train"]["rationales"] == 160
    plain = results[0.0].matrix.manifest
    assert "attention_supervision" not in plain["provenance"]
    assert "rationales" not in provenance_line(plain)


def test_without_weight_rationales_change_nothing(tmp_path):
    weights = []
    for number, (column, weight) in enumerate(((None, 1.0), ("rationale", 0.0))):
        texts = load_labelled(reviews(40), rationale_column=column)
        result = fit(
            texts, output_dir=tmp_path / str(number), config=SMALL, progress=False,
            settings=replace(FAST, epochs=1, attention_weight=weight),
        )  # fmt: skip
        assert result.model.config.attention_supervision == 0
        weights.append(result.model.state_dict())
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_a_teacher_more_texts_and_rationales_go_together(tmp_path):
    teacher = tmp_path / "teacher"
    train(reviews(120), output_dir=teacher, config=SMALL, settings=FAST, progress=False)
    result = fit(
        load_labelled(reviews(120), rationale_column="rationale"),
        reviews(40, 1),
        extra_train=reviews(20, 2),
        unlabelled=reviews(20, 3)[["text"]],
        output_dir=tmp_path / "student",
        config=SMALL,
        settings=replace(FAST, teacher=str(teacher), teacher_ngrams=1, label_smoothing=0.1),
        progress=False,
    )
    assert result.metrics["accuracy"] > 0.95
    columns = extract(result.validation.dataset, result.model, result.tokenizer)
    second = {word for _, words in CUES.values() for word in words}
    shares = [
        sum(a for word, a in zip(row["words"], row["attention"], strict=True) if word in second)
        for row in columns
    ]
    assert np.mean(shares) > 0.75


def test_an_interrupted_training_resumes_with_the_same_rationales_alone(tmp_path, monkeypatch):
    texts = load_labelled(reviews(40), rationale_column="rationale")
    options = {"config": SMALL, "settings": replace(FAST, epochs=3), "progress": False}
    whole = fit(texts, output_dir=tmp_path / "whole", **options)

    class Cut(seed_module.Trainer):
        def _save_checkpoint(self, *args, **kwargs):
            super()._save_checkpoint(*args, **kwargs)
            if self.state.epoch >= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(seed_module, "Trainer", Cut)
    with pytest.raises(KeyboardInterrupt):
        fit(texts, output_dir=tmp_path / "cut", **options)
    monkeypatch.undo()
    with pytest.raises(IncompatibleError, match="another rationales"):
        fit(load_labelled(reviews(40)), output_dir=tmp_path / "cut", resume=True, **options)
    resumed = fit(texts, output_dir=tmp_path / "cut", resume=True, **options)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(InvalidInputError, match="attention_weight"):
        TrainingSettings(attention_weight=weight)


def test_the_weight_is_no_field_to_set_in_the_config(tmp_path):
    with pytest.raises(InvalidInputError, match="follows from the training settings"):
        fit(reviews(20), output_dir=tmp_path, config={"attention_supervision": 1.0})


def test_the_command_line(tmp_path, command):
    path = tmp_path / "train.jsonl"
    reviews(60, column="why").to_json(path, orient="records", lines=True)
    small = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    base = ["train", "--train", path, "-o", tmp_path / "model", "--epochs", 1, *small, "--json"]
    done = command(*base, "--rationale-column", "why", "--attention-weight", 2)
    assert done.status == 0, done.err
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["attention_supervision"] == 2
    refused = command(*base, "--attention-weight", 2)
    assert refused.status == 1
    assert "--rationale-column" in refused.err
