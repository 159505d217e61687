"""Shards of a corpus, and what is kept of them: every text once, nothing of anything else."""

import runpy
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_attn_attr import AttributionExtractor, extract, fold
from hf_attn_attr.data import load_labelled
from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.engines import shards
from hf_attn_attr.engines.corpus import Corpus, parquet_files, read_shard
from hf_attn_attr.engines.shards import fold_shard, job_of, merge
from hf_attn_attr.errors import (
    CorruptArtifactError,
    IncompatibleError,
    InvalidInputError,
    MissingDependencyError,
)
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.workflow import influence_of

from .parquet_texts import some_texts, write_parquet

EXAMPLE = Path(__file__).parents[2] / "examples" / "several_gpus.py"


@pytest.fixture
def job(classifier, tmp_path):
    return make_job(classifier, tmp_path / "results")


def make_job(classifier, results, *, lowercase=True, **attribution):
    folding = {"lowercase": lowercase, "normalization": "NFC"}
    job, _ = job_of(classifier, results=results, attribution=attribution, folding=folding)
    return job


def corpus_of(folder, texts, shard_texts=CHUNK):
    file = write_parquet(folder / "texts.parquet", texts)
    return Corpus([str(file)], None, shard_texts)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    row_group_size=st.integers(100, 4000),
    share_of_nulls=st.sampled_from([0, 0.01, 0.7]),
    shard_chunks=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
def test_every_text_is_in_one_shard_in_order(
    tmp_path, rows, row_group_size, share_of_nulls, shard_chunks, seed
):
    rng = np.random.default_rng(seed)
    files, every = [], []
    for number, count in enumerate(rows):
        empty = rng.random(count) < share_of_nulls
        empty[0] = number == 1  # a file with a text at least, and one that begins with a null
        texts = [None if e else f"{number} {i}" * (i % 3) for i, e in enumerate(empty)]
        files.append(str(write_parquet(tmp_path / f"{number}.parquet", texts, row_group_size)))
        every += texts
    corpus = Corpus(files, None, shard_chunks * CHUNK)
    found = list(corpus.shards())
    read = [read_shard(shard) for shard in found]
    kept = [text for text in every if text is not None]
    assert [text for texts in read for text in texts] == kept
    assert [shard.number for shard in found] == list(range(len(found)))
    assert [shard.texts for shard in found] == list(map(len, read))
    assert all(shard.texts == corpus.shard_texts for shard in found[:-1])
    starts = np.cumsum([0, *(shard.texts for shard in found)])
    assert [shard.first_text for shard in found] == starts[:-1].tolist()
    assert (corpus.rows_read, corpus.texts) == (len(every), len(kept))
    together = load_labelled(Dataset.from_dict({"text": every}), require_labels=False)
    assert corpus.digest == together.digest


def test_shards_merge_in_any_order_to_the_fold_of_one_machine(job, classifier, tmp_path):
    torch.set_num_threads(1)
    texts = some_texts(4 * CHUNK + 5)
    entries = [fold_shard(job, shard)[0] for shard in corpus_of(tmp_path, texts).shards()]
    left = merge(job, [merge(job, entries[:2]), *entries[2:]])
    right = merge(job, [merge(job, entries[::-2]), merge(job, entries[-2::-2])])
    assert left.sha256 == right.sha256
    kept = Dataset.from_dict({"text": [text for text in texts if text is not None]})
    with pytest.warns(UserWarning, match=rf"^{left.cut} of {len(kept)} texts .* were cut"):
        columns = extract(kept, *load_classifier(classifier))
    fold(columns).save_pretrained(tmp_path / "one")
    job.kept.load(right).finalize().save_pretrained(tmp_path / "many")
    for name in ("influence.parquet", "manifest.json"):
        one, many = (tmp_path / folder / "influence" / name for folder in ("one", "many"))
        assert one.read_bytes() == many.read_bytes()


def test_shards_give_the_bits_of_the_run_that_trained_the_model(run_result, tmp_path):
    result, folder = run_result
    texts = result.training.train.dataset["text"][:]
    job = make_job(folder, tmp_path / "results")
    (shard,) = corpus_of(tmp_path, texts).shards()
    matrix = job.kept.load(fold_shard(job, shard)[0]).finalize()
    assert matrix.words == result.matrix.words
    for name in ("influence", "joint", "word_part", "standard_error"):
        np.testing.assert_array_equal(getattr(matrix, name), getattr(result.matrix, name))


def test_the_example_of_several_gpus_gives_the_bytes_of_one_machine(
    classifier, tmp_path, monkeypatch, capsys
):
    torch.set_num_threads(1)
    file = write_parquet(tmp_path / "texts.parquet", some_texts(3 * CHUNK))
    read = load_labelled(file, require_labels=False)
    extractor = AttributionExtractor(*load_classifier(classifier), "auto")
    options = [str(classifier), str(file), "--output", str(tmp_path), "--shard-texts", str(CHUNK)]
    monkeypatch.setattr(sys, "argv", ["several_gpus.py", *options])
    with pytest.warns(UserWarning, match="were cut"):
        influence_of(extractor, read, output_dir=tmp_path / "one")
    with pytest.warns(UserWarning, match="were cut"):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "1 partial accumulators" in capsys.readouterr().out
    for name in ("influence.parquet", "manifest.json"):
        one, many = (folder / "influence" / name for folder in (tmp_path / "one", tmp_path))
        assert one.read_bytes() == many.read_bytes()


def test_a_shard_that_is_kept_is_not_computed_again(job, tmp_path, monkeypatch):
    (shard,) = corpus_of(tmp_path, ["w1 w2", None, "w3"]).shards()
    first, was_there = fold_shard(job, shard)
    assert not was_there
    monkeypatch.setattr(shards, "read_shard", lambda _: pytest.fail("computed again"))
    assert fold_shard(job, shard) == (first, True)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_result_is_computed_again_and_never_merged(job, tmp_path, suffix, damage):
    (shard,) = corpus_of(tmp_path, ["w1 w2", "w3"]).shards()
    entry, _ = fold_shard(job, shard)
    (file,) = (tmp_path / "results").glob(f"*/shards/*.{suffix}")
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        file.write_bytes(changed if damage == "changed" else data[:middle])
    if suffix == "safetensors":
        with pytest.raises(CorruptArtifactError, match="missing, damaged or exchanged"):
            merge(job, [entry, entry])
    assert fold_shard(job, shard) == (entry, False)
    assert file.read_bytes() == data


@pytest.mark.parametrize(
    "other",
    [{"lowercase": False}, {"method": "attention"}, {"window_overlap": 2}, {"batch_tokens": 64}],
    ids=lambda other: "".join(other),
)
def test_results_of_other_options_are_not_taken(job, classifier, tmp_path, other):
    (shard,) = corpus_of(tmp_path, ["w1 w2", "w3"]).shards()
    fold_shard(job, shard)
    assert not fold_shard(make_job(classifier, tmp_path / "results", **other), shard)[1]


def test_results_of_other_texts_or_another_place_are_not_taken(job, tmp_path):
    (shard,) = corpus_of(tmp_path, ["w1 w2", "w3"]).shards()
    fold_shard(job, shard)
    (other,) = corpus_of(tmp_path, ["w1 w2", "w4"]).shards()
    assert not fold_shard(job, other)[1]
    folder = next((tmp_path / "results").glob("*/shards"))
    here, there = (f"{shard.number:07d}-{one.sha256[:16]}" for one in (shard, other))
    for suffix in (".json", ".safetensors"):
        (folder / f"{there}{suffix}").write_bytes((folder / f"{here}{suffix}").read_bytes())
    assert not fold_shard(job, other)[1]


def test_a_worker_with_another_model_is_refused(job, classifier, tmp_path):
    (shard,) = corpus_of(tmp_path, ["w1 w2"]).shards()
    weights = classifier / "model.safetensors"
    before = weights.read_bytes()
    net, _ = load_classifier(classifier)
    with torch.no_grad():
        net.classifier.weight += 1
    shards._held.clear()
    try:
        net.save_pretrained(classifier)
        with pytest.raises(IncompatibleError, match=r"not the same.*weights_sha256"):
            fold_shard(job, shard)
    finally:
        weights.write_bytes(before)


def test_texts_that_change_meanwhile_are_noticed(job, tmp_path):
    (shard,) = corpus_of(tmp_path, ["w1 w2", "w3"]).shards()
    write_parquet(tmp_path / "texts.parquet", ["w1 w2", "w4"])
    with pytest.raises(CorruptArtifactError, match=r"Shard 0 .*have changed"):
        fold_shard(job, shard)


def test_files_and_results_may_lie_under_a_url(classifier, tmp_path):
    memory = MemoryFileSystem()
    path = write_parquet(tmp_path / "texts.parquet", ["w1 w2", "w3"] * 3)
    for name in ("b", "a"):
        memory.pipe_file(f"/many/{name}.parquet", path.read_bytes())
    try:
        name, files = parquet_files("memory://many", None)
        assert name == "a.parquet to b.parquet (2 files)"
        assert parquet_files("memory://many/*.parquet", None)[1] == files
        job = make_job(classifier, "memory://results")
        (shard,) = Corpus(files, None, CHUNK).shards()
        entry, _ = fold_shard(job, shard)
        assert entry.texts == 12
        assert fold_shard(job, shard) == (entry, True)
        assert memory.find("/results")
    finally:
        memory.store.clear()


def test_a_data_set_on_the_hub_is_read_by_its_url(serving, monkeypatch, tmp_path):
    serving.reset()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    file = write_parquet(tmp_path / "texts.parquet", ["w1 w2", None, "w3"])
    api = huggingface_hub.HfApi(token="hf_owner")
    api.create_repo("owner/texts", repo_type="dataset")
    for name in ("data/b.parquet", "data/a.parquet"):
        api.upload_file(
            path_or_fileobj=file, path_in_repo=name, repo_id="owner/texts", repo_type="dataset"
        )
    name, files = parquet_files("hf://datasets/owner/texts/data", None)
    assert name == "a.parquet to b.parquet (2 files)"
    (shard,) = Corpus(files, None, CHUNK).shards()
    assert read_shard(shard) == ["w1 w2", "w3"] * 2


def test_a_folder_is_read_as_load_labelled_reads_it(corpus):
    name, files = parquet_files(corpus, None)
    assert name == load_labelled(corpus, require_labels=False).source
    assert [file.rsplit("/")[-1] for file in files] == ["a.parquet", "b.parquet"]


def test_what_cannot_be_read_is_named(tmp_path):
    good = write_parquet(tmp_path / "good.parquet", ["w1"])
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"body": ["w1"]}), other)
    bad = tmp_path / "bad.parquet"
    cells = pa.array([b"w1", b"w2", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": cells}), bad)
    (tmp_path / "no.parquet").write_bytes(b"no")
    (tmp_path / "a.csv").write_text("text\nw1\n")
    nulls = write_parquet(tmp_path / "nulls.parquet", [None, None])

    def read(*files):
        return list(Corpus([str(file) for file in files], None, CHUNK).shards())

    for files, told in {
        (good, good): "Named twice",
        (good, other): r"other\.parquet has no column 'text'; it has \['body'\]",
        (good, bad): r"Row 2 of the text column 'text' of .*bad\.parquet is not valid UTF-8",
        (tmp_path / "no.parquet",): r"no\.parquet cannot be read as parquet",
        (tmp_path / "gone.parquet",): r"gone\.parquet cannot be read as parquet",
        (nulls,): "None of the 2 rows",
    }.items():
        with pytest.raises(InvalidInputError, match=told):
            read(*files)
    for given_, told in (
        (tmp_path / "a.csv", "no parquet file"),
        ([good, tmp_path / "a.csv"], r"a\.csv is no parquet file"),
        (str(tmp_path / "x*.parquet"), "There is no parquet file"),
        ("nowhere://texts.parquet", "cannot be opened"),
    ):
        with pytest.raises(InvalidInputError, match=told):
            parquet_files(given_, None)
    with pytest.raises(InvalidInputError, match="multiple of 2048"):
        Corpus([str(good)], None, 1000)


def test_the_library_of_a_file_system_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match="s3fs"):
        parquet_files("s3://bucket/texts.parquet", None)


def test_attributions_of_the_predicted_class_alone_are_refused_at_once(classifier, tmp_path):
    with pytest.raises(InvalidInputError, match="predicted class alone"):
        make_job(classifier, tmp_path, method="input_x_gradient", classes="predicted")


def test_labels_and_classes_reach_the_matrix(classifier, tmp_path):
    job = make_job(classifier, tmp_path, method="input_x_gradient", classes=["LABEL_2"])
    (shard,) = corpus_of(tmp_path, ["w1 w2", "w3"]).shards()
    found = job.kept.load(fold_shard(job, shard)[0])
    extractor = AttributionExtractor(
        *load_classifier(classifier), "input_x_gradient", classes=["LABEL_2"]
    )
    assert (found.labels, found.classes) == (tuple(extractor.labels), ("LABEL_2",))
