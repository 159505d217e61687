"""The same texts give the same numbers, however they are cut, ordered, batched and spread."""

import gc
import json
import multiprocessing
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, load_from_disk
from influence.test_folding import dataset_of
from influence.texts import LABELS, random_rows, take
from test_extraction import make

from hf_attn_attr import AttributionExtractor, InfluenceAccumulator, extract, fold, train_tokenizer
from hf_attn_attr.extraction import extract_with

from .killing import run

ON_CUDA = Path(__file__).with_name("on_cuda.py")
FLOATS = ("attention", "attribution", "attribution_context", "probabilities")


@pytest.fixture(scope="module")
def texts():
    draw = random.Random(5)
    words = ["good", "bad", "film", "day", "a", "very", "dull"]
    lengths = [0, 1, 2, 3, 5, 8, 13, 40] * 8
    return [" ".join(draw.choices(words, k=length)) for length in lengths]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts)


def flat(columns, name):
    return np.concatenate([np.asarray(row, np.float64) for row in columns[name][:]])


def saved(accumulator, folder):
    accumulator.save(folder / "state")
    return (folder / "state").read_bytes()


def test_57_batches_orders_and_padding(faults, texts, tokenizer):
    """Batches of 1 to 256 texts, any order, more padding: float64 the same bits, float32 2^-22."""
    for dtype, tolerance in ((torch.float64, 0.0), (torch.float32, 2**-22)):
        model = make(tokenizer, num_attention_hops=2).to(dtype).eval()
        dataset = Dataset.from_dict({"text": texts})
        wanted = extract(dataset, model, tokenizer)
        for batch_tokens in (1, 80, 320, 1280, 10240):
            for seed in (0, 1):
                order = np.random.default_rng(seed).permutation(len(texts))
                found = extract(
                    dataset.select(order), model, tokenizer, batch_tokens=batch_tokens
                ).select(np.argsort(order))
                assert found["words"][:] == wanted["words"][:]
                for name in FLOATS:
                    moved = np.abs(flat(found, name) - flat(wanted, name))
                    # Attributions are no shares of 1: their size is that of the logits.
                    scale = max(1.0, np.abs(flat(wanted, name)).max()) if tolerance else 1.0
                    faults.survive(moved.max() <= tolerance * scale, (dtype, name, moved.max()))
        inputs = tokenizer(texts[:16][::-1], padding=True, return_tensors="pt")
        alone = model(**inputs, output_attentions=True)
        more = {name: torch.nn.functional.pad(value, (0, 37)) for name, value in inputs.items()}
        padded = model(**more, output_attentions=True)
        width = inputs["input_ids"].shape[1]
        moved = (padded.attentions[0][..., :width] - alone.attentions[0]).abs().max()
        faults.survive(moved <= tolerance)
        faults.survive((padded.attentions[0][..., width:] == 0).all())
        faults.survive((padded.logits - alone.logits).abs().max() <= 4 * tolerance)
        # Were padding read like text, it would show: what this test rests on.
        more["attention_mask"] = torch.ones_like(more["attention_mask"])
        assert (model(**more).logits - alone.logits).abs().max() > 1e-3


def shard(rows, path):
    part = InfluenceAccumulator(LABELS)
    part.update(rows)
    part.save(path)


def test_58_shards_processes_and_orders(faults, tmp_path, thorough):
    """80 layouts of 1 to 64 shards, any order and grouping, in 1 to 8 processes: the same bytes."""
    rows = random_rows(8, 128, longest=14)
    whole = fold(dataset_of(rows))
    whole.save_pretrained(tmp_path / "whole")
    table = (tmp_path / "whole" / "influence" / "influence.parquet").read_bytes()
    wanted = None
    for layout in range(80 if thorough else 8):
        draw = np.random.default_rng(layout)
        count, processes = (1, 2, 7, 64)[layout % 4], (1, 2, 4, 8)[layout // 4 % 4]
        parts = np.array_split(draw.permutation(128), count)
        shards = [take(rows, part) for part in parts]
        paths = [tmp_path / f"{layout}_{number}" for number in range(count)]
        if processes > 1 and layout % 3 == 0:
            with multiprocessing.get_context("fork").Pool(processes, gc.freeze) as pool:
                pool.starmap(shard, zip(shards, paths, strict=True))
        else:
            for each in zip(shards, paths, strict=True):
                shard(*each)
        merged = [InfluenceAccumulator.load(path) for path in paths]
        while len(merged) > 1:
            other = merged.pop(int(draw.integers(len(merged))))
            merged[int(draw.integers(len(merged)))].merge(other)
        wanted = wanted or saved(merged[0], tmp_path)
        assert saved(merged[0], tmp_path) == wanted
        merged[0].finalize().save_pretrained(tmp_path / "layout")
        found = (tmp_path / "layout" / "influence" / "influence.parquet").read_bytes()
        faults.survive(found == table, layout)


FOLDED = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from influence.texts import accumulated, random_rows
from hf_attn_attr.files import sha256_of_file
accumulator = accumulated(random_rows(9, 40))
accumulator.save(Path(sys.argv[1]) / "state")
accumulator.finalize({"b": 1, "a": {"d": 2, "c": 3}}).save_pretrained(sys.argv[1])
files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file())
print([sha256_of_file(path) for path in files])
"""


def digest(folder, **environment):
    tests = Path(__file__).parents[1]
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", FOLDED, str(folder), str(tests.parent), str(tests)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_59_hash_seeds_and_processes(faults, tmp_path):
    """Hash seeds 0, 1 and random, processes spawned and forked: the same files."""
    seeds = ["0", "1", "4294967295", "random", "random"]
    started = [
        digest(tmp_path / str(number), PYTHONHASHSEED=seed) for number, seed in enumerate(seeds)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert len(said[0]) > 3 * 64
    for seed, answer in zip(seeds, said, strict=True):
        faults.survive(answer == said[0], seed)
    forked = tmp_path / "forked"
    forked.mkdir()

    def work():
        from influence.texts import accumulated

        accumulator = accumulated(random_rows(9, 40))
        accumulator.save(forked / "state")
        accumulator.finalize({"a": {"c": 3, "d": 2}, "b": 1}).save_pretrained(forked)

    run(work)
    for name in ("state", "influence/influence.parquet", "influence/manifest.json"):
        faults.survive((forked / name).read_bytes() == (tmp_path / "0" / name).read_bytes(), name)


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="needs a CUDA build of torch")
def test_60_cpu_and_cuda(faults, tmp_path):
    """CPU and CUDA: within 1e-5, the same 20 top words but for ties.

    Of a number; of what is larger than 1, attributions of a large logit say, of its size.
    """
    # The tests see no device (conftest.py); this program sees all.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": os.environ["TESTS_CUDA_DEVICES"]}
    if not environment["CUDA_VISIBLE_DEVICES"]:
        del environment["CUDA_VISIBLE_DEVICES"]
    done = subprocess.run(
        [sys.executable, ON_CUDA, tmp_path], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = tmp_path / "found.json"
    if not found.exists():
        pytest.skip("needs a CUDA device")
    lines = json.loads(found.read_text())
    assert len(lines) > 100
    for what, difference, size in lines:
        faults.survive(difference <= 1e-5 * size, (what, difference, size))


def test_61_the_cache_of_an_extraction(faults, texts, tokenizer, tmp_path):
    """A weight or a field changed: extracted anew; nothing changed: found, by any process."""
    Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "texts")
    calls = []

    def work(model, **options):
        extractor = AttributionExtractor(model, tokenizer, **options)
        table = extractor.table
        extractor.table = lambda batch: [calls.append(len(batch)), table(batch)][1]
        calls.clear()
        columns = extract_with(extractor, load_from_disk(tmp_path / "texts"))
        return columns, bool(calls)

    run(lambda: work(make(tokenizer)))
    first, computed = work(make(tokenizer))
    faults.survive(not computed, "nothing changed")
    faults.survive(not work(make(tokenizer).train())[1], "nothing but the mode changed")
    for name, _ in make(tokenizer).named_parameters():
        model = make(tokenizer)
        with torch.no_grad():
            dict(model.named_parameters())[name].view(-1)[0] += 1e-3
        _, computed = work(model)
        faults.survive(computed, name)
    for options in ({"context": False}, {"method": "attention"}, {"word_rule": "whitespace"}):
        faults.survive(work(make(tokenizer), **options)[1], options)
    for field, value in (
        ("max_length", 3),
        ("problem_type", "multi_label_classification"),
        ("rnn_type", "gru"),
    ):
        model = make(tokenizer)
        setattr(model.config, field, value)
        faults.survive(work(model)[1], field)
    multi = make(tokenizer, "multi_label_classification")
    work(multi)
    multi.config.thresholds = [0.01, 0.01, 0.99]
    columns, computed = work(multi)
    faults.survive(computed, "thresholds")
    chosen = np.array(columns["probabilities"]) >= multi.config.thresholds
    faults.survive(columns["prediction"][:] == [np.flatnonzero(row).tolist() for row in chosen])
    for field, value in (("hidden_dropout", 0.5), ("initializer_range", 0.5), ("use_cache", False)):
        model = make(tokenizer)
        setattr(model.config, field, value)
        faults.survive(not work(model)[1], f"nothing but {field} changed")
    again, computed = work(make(tokenizer))
    faults.survive(not computed and again["attribution"][:] == first["attribution"][:])


def test_62_a_model_left_in_training_mode(faults, texts, tokenizer):
    """A model left in training mode: extracted in eval mode, and left as it was, errors or not."""
    dataset = Dataset.from_dict({"text": texts})
    model = make(tokenizer, embedding_dropout=0.5, classifier_dropout=0.5)
    wanted = extract(dataset, model.eval(), tokenizer)
    for method in ("contribution", "attention", "occlusion", "input_x_gradient"):
        calm = extract(dataset, model.eval(), tokenizer, method=method)
        faults.survive(not model.training)
        found = extract(dataset, model.train(), tokenizer, method=method)
        faults.survive(model.training)
        same = all(found[name][:] == calm[name][:] for name in found.column_names)
        faults.survive(same, method)
    assert calm["probabilities"][:] == wanted["probabilities"][:]
    extractor = AttributionExtractor(model.train(), tokenizer)

    def broken(*arguments, **options):
        raise ValueError

    broken.classes = None
    extractor.attribute = broken
    with faults.refused(ValueError):
        extractor.table(["good"])
    faults.survive(model.training)
