"""Columns: what each row holds, in any batch, and what bad input gets."""

import copy
import gc
import json
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, List, Value, load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr import (
    AttributionExtractor,
    IncompatibleError,
    InvalidInputError,
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    extract,
    fold,
    measure_gauge,
    piecewise,
    train_tokenizer,
)
from hf_attn_attr.batching import length_batches, padded
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.errors import ClusterError, CorruptArtifactError
from hf_attn_attr.files import sealed_json, sha256_of_file
from hf_attn_attr.files.digests import SEAL

TEXTS = [
    "I love this wonderful film, truly.",
    "",
    "What a dreadful, dreadful mess!!!",
    "   ",
    "Unseenwordshere are spelled in pieces.",
    "日本 👍🏽",
]
KINDS = {
    "single_label_classification": ClassLabel(names=["LABEL_0", "LABEL_1", "LABEL_2"]),
    "multi_label_classification": List(ClassLabel(names=["LABEL_0", "LABEL_1", "LABEL_2"])),
    "regression": Value("float32"),
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 2)


def make(tokenizer, problem="single_label_classification", **fields):
    config = SelfAttentiveConfig(
        vocab_size=len(tokenizer),
        num_labels=1 if problem == "regression" else 3,
        problem_type=problem,
        embedding_size=12,
        hidden_size=8,
        char_ngram_buckets=0,
        **fields,
    )
    torch.manual_seed(0)
    model = SelfAttentiveForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4)
    if not config.head_hidden_size:
        measure_gauge(model, tokenizer, TEXTS)
    return model


@pytest.mark.parametrize("problem", KINDS)
def test_each_row_holds_its_words_weights_and_exact_terms(tokenizer, problem):
    model = make(tokenizer, problem, num_attention_hops=2)
    columns = extract(Dataset.from_dict({"text": TEXTS}), model, tokenizer)
    assert columns.column_names[0] == "text"
    assert columns.features["prediction"] == KINDS[problem]
    for row in columns:
        text, words = row["text"], row["words"]
        assert words == [text[a:b] for a, b in zip(row["word_start"], row["word_end"], strict=True)]
        inputs = tokenizer(text, return_tensors="pt", truncation=False)
        if not words:
            assert row["attention"] == row["attribution"] == []
            continue
        model.eval()
        out = model(**inputs, output_attributions=True)
        labels = model.config.num_labels
        terms = np.array(row["attribution"]).reshape(len(words), labels)
        context = np.array(row["attribution_context"]).reshape(len(words), labels)
        assert abs(sum(row["attention"]) - 1) < 1e-5
        rebuilt = out.base_value.detach().numpy() + terms.sum(0)
        np.testing.assert_allclose(rebuilt, out.logits[0].detach().numpy(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            context.sum(0), out.context_attributions[0].sum(0).detach().numpy(), atol=1e-5
        )
        logits = out.logits[0].detach()
        if problem == "regression":
            assert row["probabilities"] is None
            assert row["prediction"] == pytest.approx(logits.item(), abs=1e-5)
        elif problem == "single_label_classification":
            np.testing.assert_allclose(row["probabilities"], logits.softmax(-1), atol=1e-6)
            assert row["prediction"] == int(logits.argmax())
        else:
            np.testing.assert_allclose(row["probabilities"], logits.sigmoid(), atol=1e-6)
            assert row["prediction"] == np.flatnonzero(logits.sigmoid() >= 0.5).tolist()


def test_pieces_of_an_unknown_word_are_summed():
    tokenizer = train_tokenizer(TEXTS * 2, unknown="pieces")
    model = make(tokenizer)
    text = "unseenwordsagain love"
    assert len(tokenizer(text)["input_ids"]) > 2
    (row,) = extract(Dataset.from_dict({"text": [text]}), model, tokenizer)
    out = model.eval()(
        **tokenizer(text, return_tensors="pt"), output_attributions=True, output_attentions=True
    )
    assert row["words"] == ["unseenwordsagain", "love"]
    whole = out.attributions[0, :-1].sum(0).detach().numpy()
    np.testing.assert_allclose(row["attribution"][:3], whole, atol=1e-6)
    assert row["attention"][0] == pytest.approx(out.attentions[0][0, 0, :-1].sum().item(), abs=1e-6)


@given(
    rows=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12),
    size=st.integers(1, 5),
    budget=st.integers(1, 60),
)
@settings(max_examples=25)
def test_map_and_extract_agree_for_any_order_and_batching(rows, size, budget):
    tokenizer = train_tokenizer(TEXTS * 2)
    model = make(tokenizer).double()
    dataset = Dataset.from_dict({"text": rows})
    extractor = AttributionExtractor(model, tokenizer, batch_tokens=budget)
    mapped = dataset.map(extractor, batched=True, batch_size=size)
    fast = extract(dataset, model, tokenizer)
    assert fast.column_names == mapped.column_names
    for a, b in zip(mapped, fast, strict=True):
        assert a == b  # float64 inside, rounded once: the same bits whatever the batch


def test_other_columns_stay_and_old_results_are_replaced(tokenizer):
    model = make(tokenizer)
    dataset = Dataset.from_dict({"text": TEXTS, "id": list(range(6))})
    once = extract(dataset, model, tokenizer)
    twice = extract(once.select([4, 0]), model, tokenizer)
    assert twice["id"][:] == [4, 0]
    assert twice[0] == once[4]


def test_thresholds_of_the_config_decide_multi_label_predictions(tokenizer):
    model = make(tokenizer, "multi_label_classification")
    model.config.thresholds = [0.0, 1.1, 0.0]
    columns = extract(Dataset.from_dict({"text": TEXTS}), model, tokenizer)
    assert columns["prediction"][:] == [[0, 2]] * len(TEXTS)


def test_the_attention_method_leaves_attributions_null_and_works_with_an_mlp_head(tokenizer):
    model = make(tokenizer, head_hidden_size=4)
    dataset = Dataset.from_dict({"text": TEXTS})
    columns = extract(dataset, model, tokenizer, method="attention")
    assert columns["attribution"][:] == [None] * len(TEXTS)
    assert sum(columns[0]["attention"]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(IncompatibleError, match="head_hidden_size=0, or another"):
        extract(dataset, model, tokenizer)


def test_training_mode_is_left_for_the_extraction_and_restored(tokenizer):
    model = make(tokenizer, embedding_dropout=0.5)
    dataset = Dataset.from_dict({"text": TEXTS})
    calm = extract(dataset, model.eval(), tokenizer)
    assert extract(dataset, model.train(), tokenizer)[0] == calm[0]
    assert model.training


def test_long_texts_are_cut_at_max_length(tokenizer):
    model = make(tokenizer, max_length=5)
    (row,) = extract(Dataset.from_dict({"text": ["love " * 50]}), model, tokenizer)
    assert row["words"] == ["love"] * 5


def test_a_text_of_a_million_characters_is_bounded(tokenizer):
    model = make(tokenizer)
    texts = ["love " * 200_000, "x" * 1_000_000]
    rows = extract(Dataset.from_dict({"text": texts}), model, tokenizer)
    assert len(rows[0]["words"]) == 2048
    assert rows[1]["words"] == [texts[1]]


@pytest.mark.parametrize(("bad", "shown"), [(None, "row 1 is None"), (7, "row 1 is 7")])
def test_a_text_that_is_no_string_is_named(tokenizer, bad, shown):
    with pytest.raises(InvalidInputError, match=shown):
        AttributionExtractor(make(tokenizer), tokenizer)({"text": ["fine", bad]})


def test_a_missing_text_column_and_an_unknown_method_are_named(tokenizer):
    model = make(tokenizer)
    with pytest.raises(InvalidInputError, match=r"no column 'text' among \['body'\]"):
        extract(Dataset.from_dict({"body": TEXTS}), model, tokenizer)
    with pytest.raises(InvalidInputError, match=r"no method 'magic'.*contribution"):
        AttributionExtractor(model, tokenizer, "magic")


def test_an_unmeasured_gauge_says_what_to_call(tokenizer):
    model = make(tokenizer)
    model.gauge_texts.zero_()
    with pytest.raises(IncompatibleError, match=r"hf_attn_attr\.measure_gauge"):
        extract(Dataset.from_dict({"text": TEXTS}), model, tokenizer)


@given(lengths=st.lists(st.integers(0, 30), max_size=40), budget=st.integers(1, 100))
def test_length_batches_cover_every_text_once_within_the_budget(lengths, budget):
    batches = list(length_batches(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * max(1, longest) <= budget
        assert longest == 0 or all(lengths[index] for index in batch)


def test_padding_goes_right():
    batch = padded([[5, 6], [], [7]], 0)
    assert batch["input_ids"].tolist() == [[5, 6], [0, 0], [7, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 0], [1, 0]]
    assert padded([[], []], 3)["input_ids"].tolist() == [[3], [3]]
    assert padded([[], []], 3)["attention_mask"].tolist() == [[0], [0]]


def test_saved_columns_come_back_or_are_refused(tokenizer, tmp_path):
    columns = extract(Dataset.from_dict({"text": TEXTS}), make(tokenizer), tokenizer)
    save_columns(columns, tmp_path, {"corpus": "x"})
    again, facts = load_columns(tmp_path)
    assert facts == {"corpus": "x"}
    assert again.features == columns.features
    assert again.to_list() == columns.to_list()
    data = bytearray((tmp_path / "columns.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "columns.parquet").write_bytes(data)
    with pytest.raises(CorruptArtifactError, match="SHA-256"):
        load_columns(tmp_path)
    (tmp_path / "columns.json").unlink()
    with pytest.raises(CorruptArtifactError, match="missing"):
        load_columns(tmp_path)


def test_a_model_in_bfloat16_gives_columns_that_fold(run_result):
    result, _ = run_result
    model, tokenizer = result.training.model, result.training.tokenizer
    texts = Dataset.from_dict({"text": ["so happy and so calm", "sad", ""]})
    rows = extract(texts, copy.deepcopy(model).to(torch.bfloat16), tokenizer)
    exact = extract(texts, model, tokenizer)
    assert fold(rows).words == fold(exact).words
    for found, wanted in zip(rows["probabilities"], exact["probabilities"], strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.fixture
def many(tokenizer, tmp_path, monkeypatch):
    """A dataset on disk of several pieces, and a function that extracts it."""
    monkeypatch.setattr(piecewise, "CHUNK", 8)
    monkeypatch.setattr(piecewise, "PIECE", 16)
    texts = [TEXTS[i % len(TEXTS)] + f" {i}" for i in range(70)]
    Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "texts")
    model, tokenizer = make(tokenizer), tokenizer

    def work(**options):
        return extract(load_from_disk(tmp_path / "texts"), model, tokenizer, **options)

    return work


def rows_of(extracted):
    return extracted.with_format("arrow")[:].to_pylist()


def test_pieces_and_processes_do_not_show_in_the_rows(many, monkeypatch):
    wanted = rows_of(many())
    for processes in (1, 2, 3, 20):
        for cached in Path(many().cache_files[0]["filename"]).parent.glob("cache-*"):
            cached.unlink()
        assert rows_of(many(num_proc=processes)) == wanted
    assert [row["text"].rsplit(" ", 1)[1] for row in wanted] == [str(i) for i in range(70)]


def test_an_extraction_that_was_cut_off_goes_on(many, monkeypatch):
    read, limit = [], [40]
    table = AttributionExtractor.table

    def counting(self, texts):
        read.append(len(texts))
        if sum(read) > limit[0]:
            raise KeyboardInterrupt
        return table(self, texts)

    monkeypatch.setattr(AttributionExtractor, "table", counting)
    with pytest.raises(KeyboardInterrupt):
        many()
    read.clear()
    limit[0] = 1000
    resumed = rows_of(many())
    assert sum(read) == 70 - 32  # two pieces of 16 were whole
    read.clear()
    assert rows_of(many()) == resumed
    assert not read


def test_a_process_that_is_killed_is_noticed_and_its_pieces_alone_are_missing(many, monkeypatch):
    table = AttributionExtractor.table
    here = os.getpid()

    def dying(self, texts):
        if os.getpid() != here and any(text.endswith(" 40") for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return table(self, texts)

    with monkeypatch.context() as patched:
        patched.setattr(AttributionExtractor, "table", dying)
        with pytest.raises(ClusterError, match="was killed"):
            many(num_proc=2)
    assert len(rows_of(many(num_proc=2))) == 70


class Threaded:
    """Like an object with threads: whoever clears it away in another process waits for ever."""

    def __init__(self, told):
        self.told, self.here, self.itself = told, os.getpid(), self

    def __del__(self):
        if os.getpid() != self.here:
            self.told.touch()


def test_processes_clear_nothing_away_that_was_there_before_them(many, tmp_path, monkeypatch):
    table = AttributionExtractor.table

    def collecting(self, texts):
        gc.collect()
        return table(self, texts)

    monkeypatch.setattr(AttributionExtractor, "table", collecting)
    gc.disable()
    try:
        Threaded(tmp_path / "told")
        assert len(rows_of(many(num_proc=2))) == 70
    finally:
        gc.enable()
    assert gc.collect()
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize("num_proc", [0, -1, 1.5])
def test_a_senseless_number_of_processes_is_refused(many, num_proc):
    with pytest.raises(InvalidInputError, match="num_proc is"):
        many(num_proc=num_proc)


def test_nothing_is_fetched_by_reading_columns(tmp_path):
    """A feature that decodes would ask at the address that a row names, as soon as it is read."""
    plain = Features(
        text=Value("string"),
        label=ClassLabel(names=["a"]),
        far={"bytes": Value("binary"), "path": Value("string")},
        deep=List({"bytes": Value("binary"), "path": Value("string")}),
    )
    place = {"bytes": None, "path": "http://127.0.0.1:9/x.png"}
    row = {"text": "x", "label": 0, "far": place, "deep": [place]}
    dataset = Dataset.from_list([row], features=plain)
    save_columns(dataset, tmp_path / "plain", {})
    hostile = Features({**plain, "far": Image(), "deep": List(Image())})
    table = dataset.data.table.replace_schema_metadata(hostile.arrow_schema.metadata)
    hostile_file = tmp_path / "hostile" / "columns.parquet"
    hostile_file.parent.mkdir()
    pq.write_table(table, hostile_file)
    manifest = json.loads((tmp_path / "plain" / "columns.json").read_text())
    del manifest[SEAL]
    manifest["sha256"] = sha256_of_file(hostile_file)
    hostile_file.with_suffix(".json").write_bytes(sealed_json(manifest))
    assert b"Image" in pq.read_schema(hostile_file).metadata[b"huggingface"]
    for name in ("plain", "hostile"):
        loaded, _ = load_columns(tmp_path / name)
        assert loaded[0] == row
        assert loaded.features == plain
