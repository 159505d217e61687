"""Repositories that lie, networks that fail, secrets: nothing runs, leaks or is told wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hub.published import REPO, retrained
from hub.store import Blob, Commit
from safetensors.torch import load, save

import hf_attn_attr
from hf_attn_attr import InfluenceMatrix, load_from_hub, push_to_hub
from hf_attn_attr.errors import (
    AttnAttrError,
    CorruptArtifactError,
    HubError,
    IncompatibleError,
    InvalidInputError,
)
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.remote import is_repo_id

from .hostile import CONFIG, INDEX, KINDS, WEIGHTS, changed, evil, pickled
from .watching import watched

FOREVER = 1000
LOADERS = {
    "load_from_hub": load_from_hub,
    "load_classifier": load_classifier,
    "matrix": InfluenceMatrix.from_pretrained,
    "pipeline": lambda name: hf_attn_attr.pipeline("attention-attribution", name)("so happy"),
}


@pytest.fixture
def publish(hub, trained):
    def run(**options):
        return push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix, **options)

    return run


@pytest.fixture
def sound(hub, publish):
    """The files of a sound repository."""
    publish()
    return {name: blob.data for name, blob in hub.repository(REPO).files().items()}


@pytest.fixture
def bert(hub, trained):
    """Those of a sound classifier of another kind, without a matrix."""
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = BertConfig(vocab_size=len(trained.tokenizer), hidden_size=8, num_labels=3, **shape)
    push_to_hub("owner/bert", BertForSequenceClassification(config), trained.tokenizer)
    return {name: blob.data for name, blob in hub.repository("owner/bert").files().items()}


@pytest.fixture
def replace(hub):
    """Makes some files the newest commit of the repository."""

    def run(files, changes):
        repository = hub.repository(REPO)
        held = {name: data for name, data in {**files, **changes}.items() if data is not None}
        blobs = {name: Blob(data, name.endswith(".safetensors")) for name, data in held.items()}
        repository.add("main", Commit(repository.resolved("main"), "changed", blobs))

    return run


@pytest.fixture
def attempt(hub, tmp_path, monkeypatch):
    """Loads; gives what was loaded or our error, after looking for all that must not happen."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody asked for trust"))
    sentinel, caches = tmp_path / "ran", ("hub_cache", "datasets_cache")
    home = Path(os.environ["HF_HOME"])

    def inside(path):
        return path.startswith((*(str(tmp_path / name) for name in caches), str(home), "/dev/"))

    def files():
        return {path for path in tmp_path.rglob("*") if not set(caches) & set(path.parts)}

    def run(loader, name=REPO):
        hub.asked.clear()
        before, found = files(), None
        with watched() as seen:
            try:
                found = loader(name)
            except AttnAttrError as error:
                found = error
        assert not sentinel.exists()
        assert files() == before
        for what, where in seen:
            allowed = inside(where) if what == "write" else "127.0.0.1" in where
            assert what != "run", (what, where)
            assert allowed, (what, where)
        assert not [request for request in hub.asked if "evil" in request]
        return found

    run.sentinel = str(sentinel)
    return run


def test_25_hostile_repositories(faults, sound, bert, replace, attempt, thorough):
    """Hostile repositories of 40 kinds (code, places, sizes, tokenizers): nothing runs or leaves.

    Each is loaded as ours and as a BERT: it loads as if the hostile part were not there, or ends in
    one of our errors.
    """
    assert len(KINDS) >= 25
    loaders = LOADERS if thorough else {"load_from_hub": load_from_hub}
    for number, (name, make) in enumerate(KINDS.items()):
        models = [("ours", sound), ("bert", bert)]
        for model, files in models if thorough else models[number % 2 :][:1]:
            replace(sound | files, make(sound | files, attempt.sentinel))
            for how, loader in loaders.items():
                if how != "matrix" or model == "ours":
                    attempt(loader)
                    faults.survive(True, (name, model, how))


def test_26_configs_that_override_the_caller(faults, sound, bert, replace, attempt):
    """Trust, kernels, quantisation or code asked for by a config: ignored, the model unchanged."""
    fields = [
        {"_attn_implementation_internal": "owner/evil-kernel"},
        {"attn_implementation": "owner/evil-kernel"},
        {"trust_remote_code": True, "auto_map": {"AutoConfig": "evil.Config"}},
        {"custom_pipelines": {"text-classification": {"impl": "evil.Pipeline"}}},
        {"local_files_only": True, "use_safetensors": False, "weights_only": False},
        {"_name_or_path": "owner/evil", "_commit_hash": "evil"},
    ]
    for model, files in (("ours", sound), ("bert", bert)):
        replace(files, {})
        wanted = attempt(load_classifier)[0].state_dict()
        for given in fields:
            replace(files, changed(files, CONFIG, **given) | {"evil.py": evil(attempt.sentinel)})
            found, _ = attempt(load_classifier)
            same = all(
                torch.equal(tensor, wanted[name]) for name, tensor in found.state_dict().items()
            )
            faults.survive(same, (model, given))


def test_27_pickles(faults, sound, bert, replace, attempt, hub, tmp_path):
    """Pickles as weights, shards, matrix or arguments: never fetched where safetensors will do."""
    data = pickled(tmp_path / "evil.bin", attempt.sentinel)
    beside = (
        *("pytorch_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth"),
        *("influence/matrix.pkl", "influence/influence.npy", "tf_model.h5", "model.ckpt"),
    )
    for files in (sound, bert):
        replace(files, dict.fromkeys(beside, data))
        for how, loader in LOADERS.items():
            if how != "matrix" or files is sound:
                found = attempt(loader)
                asked = [request for request in hub.asked if request.endswith(tuple(beside))]
                faults.survive(not isinstance(found, Exception) and not asked, (how, found))
        keys = list(load(files[WEIGHTS]))
        for shard in ("pytorch_model.bin", "model-00001-of-00001.safetensors"):
            index = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(keys, shard)}).encode()
            for changes in (
                {WEIGHTS: None, shard: data},
                {WEIGHTS: None, shard: data, INDEX: index},
                {WEIGHTS: None, shard: data, "pytorch_model.bin.index.json": index},
                {WEIGHTS: data},
            ):
                replace(files, changes)
                for loader in (load_from_hub, load_classifier):
                    faults.survive(isinstance(attempt(loader), AttnAttrError), changes.keys())


ESCAPES = [
    *("../escaped", "../../escaped", "a/../../escaped", "/etc/escaped", "//etc/escaped"),
    *("C:\\escaped", "C:/escaped", "c:escaped", "\\\\host\\share\\escaped", "\\escaped"),
    *("a/..\\..\\escaped", "..\\escaped", "a\\..\\..\\escaped", "./../escaped"),
    *("a/./../../escaped", "....//escaped", "..;/escaped", "%2e%2e/escaped", "..%2fescaped"),
    *("..%5cescaped", "\u2025/escaped", "\uff0e\uff0e/escaped", "..\u2215escaped"),
    *("..\uff0fescaped", "\x00escaped", "a\x00/../escaped", "escaped\n", "\r/escaped"),
    *("~/escaped", "$HOME/escaped", "CON/escaped", "escaped.", "escaped ", "escaped:stream"),
    *("\\\\?\\C:\\escaped", "a//escaped"),
]
NAMES = [
    *("..", ".", "../x", "a/../b", "/etc", "C:\\x", "\\\\h\\s", "a/b/c", "a\\b", "a b/c"),
    *("a/b\n", "", "a/", "/a", "a//b", "a/b?x", "a/b#x", "http://a/b", "a/b@c", "a\x00/b"),
    *("-/..", "a/.."),
]


def test_28_names_that_lead_elsewhere(faults, sound, replace, attempt, hub, thorough):
    """Names under POSIX and Windows rules, links: nothing is written outside, no such name asked.

    A name of a file that only looks odd, and stays in the folder, may be fetched and is not read.
    """
    for number, name in enumerate(ESCAPES):
        places = (name, f"influence/{name}")
        for place in places if thorough else places[number % 2 :][:1]:
            replace(sound, {place: b"{}"})
            attempt(load_from_hub)
            faults.survive(True, place)
    hub.asked.clear()
    for name in NAMES:
        for loader in LOADERS.values():
            with faults.refused(AttnAttrError):
                loader(name)
    assert not [request for request in hub.asked if ".." in request]
    assert is_repo_id(REPO)


def test_29_a_config_that_names_a_matrix(faults, sound, replace, attempt, trained, thorough):
    """A config or manifest that names the matrix's files: ignored or refused, the name is fixed."""
    fields = ("influence_file", "influence", "influence_folder", "matrix", "columns")
    for field in fields if thorough else fields[:1]:
        for value in ("../../x", "/etc/passwd", "C:\\x", "owner/evil", ["x"], {"path": "../x"}):
            replace(sound, changed(sound, CONFIG, **{field: value}))
            found = attempt(load_from_hub)
            faults.survive(found.influence.words == trained.matrix.words, (field, value))


def test_30_without_network(faults, hub, publish, offline, attempt):
    """Offline: what is in the cache works and nobody is asked; what is not says how to fetch it."""
    commit = publish().commit
    for loader in LOADERS.values():
        loader(REPO)
    offline()
    with watched() as seen:
        for loader in LOADERS.values():
            hub.asked.clear()
            faults.survive(loader(REPO) is not None and hub.asked == [])
        for loader in LOADERS.values():
            with faults.refused(HubError, match=r"HF_HUB_OFFLINE.*hf download owner/nowhere"):
                loader("owner/nowhere")
        with faults.refused(HubError, match="hf download owner/model --revision v9"):
            load_from_hub(REPO, "v9")
    assert not [event for event in seen if event[0] == "connect"]
    assert load_from_hub(REPO, commit).commit == commit


def secrets(error):
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__


def test_31_a_hub_that_fails(faults, hub, publish, trained, tmp_path, monkeypatch, caplog, capfd):
    """429 and 5xx three times, then 200: success; 4xx: told at once; a token is never told."""
    publish()
    secret = "hf_" + "secret" * 5
    hub.tokens[secret] = "owner"
    monkeypatch.setenv("HF_TOKEN", secret)
    caplog.set_level("DEBUG")
    told = []
    for number, status in enumerate((408, 429, 500, 502, 503, 504)):
        for pattern in ("HEAD .*/resolve/", "GET .*/resolve/", "GET .*/tree/"):
            monkeypatch.setattr(
                "huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / f"{number}{pattern[:3]}")
            )
            hub.fail(pattern, status, times=3)
            faults.survive(load_from_hub(REPO, token=secret).influence is not None)
            hub.actions.clear()
    for status in (400, 401, 403, 404, 410, 418):
        hub.fail("GET /api/models/", status, FOREVER)
        for loader in (load_from_hub, InfluenceMatrix.from_pretrained, load_classifier):
            hub.asked.clear()
            with faults.refused(HubError) as raised:
                loader(REPO, token=secret)
            told += secrets(raised.value)
            assert len(hub.asked) == 1
        hub.actions.clear()
        hub.fail("POST .*/commit/", status, FOREVER)
        with faults.refused(HubError) as raised:
            push_to_hub(REPO, trained.model, trained.tokenizer, license="mit", token=secret)
        told += secrets(raised.value)
        hub.actions.clear()
    told += [*capfd.readouterr(), caplog.text]
    faults.survive(secret not in "".join(map(str, told)))


def test_32_an_upload_that_dies(faults, hub, publish, trained):
    """An upload that dies at any request: nothing is visible; the same again succeeds, once."""
    first = publish()
    for pattern in ("PUT /lfs/", "POST .*/objects/batch", "POST .*/preupload/", "POST .*/commit/"):
        before = dict(hub.repository(REPO).files())
        hub.lfs.clear()
        with retrained(trained.model):
            for fail in (hub.cut, lambda pattern, times: hub.fail(pattern, 400, times)):
                fail(pattern, FOREVER)
                with faults.refused(HubError):
                    push_to_hub(REPO, trained.model, trained.tokenizer)
                assert dict(hub.repository(REPO).files()) == before
                hub.actions.clear()
            done = push_to_hub(REPO, trained.model, trained.tokenizer)
        again = hub.repository(REPO).history()
        faults.survive(done.commit == again[0] != first.commit, pattern)
        publish()
        assert len(hub.repository(REPO).history()) == len(again) + 1


def test_33_a_head_that_moves(faults, hub, publish, trained, tmp_path, monkeypatch):
    """The head moves during a download: model and matrix are of one commit."""
    for number, pattern in enumerate(
        ("HEAD .*/resolve/", "GET .*/resolve/.*safetensors", "GET .*parquet", "tree/", "GET .*json")
    ):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / str(number)))
        first = publish()

        def another():
            with retrained(trained.model):
                push_to_hub(REPO, trained.model, trained.tokenizer)

        hub.on(pattern, another)
        found = load_from_hub(REPO)
        assert hub.repository(REPO).resolved("main") != first.commit
        same = torch.equal(found.model.classifier.bias, trained.model.classifier.bias)
        faults.survive(found.commit == first.commit and same, pattern)
        faults.survive(found.influence.manifest == trained.matrix.manifest, pattern)


def test_34_labels_of_another_model(faults, trained):
    """Labels in another order, fewer, more or other ones: refused, both shown, never paired."""
    matrix, labels = trained.matrix, list(trained.matrix.labels)
    config = trained.model.config
    kept = dict(config.id2label), dict(config.label2id)
    others = [
        labels[::-1], [*labels[1:], labels[0]], [*labels[:-1], "other"],
        [label.upper() for label in labels], [label + " " for label in labels],
        [f"LABEL_{i}" for i in range(len(labels))],
    ]  # fmt: skip
    try:
        for other in others:
            config.id2label = dict(enumerate(other))
            config.label2id = {label: i for i, label in enumerate(other)}
            with faults.refused(IncompatibleError) as raised:
                push_to_hub(REPO, trained.model, trained.tokenizer, matrix, dry_run=True)
            assert str(labels) in str(raised.value)
            assert str(other) in str(raised.value)
    finally:
        config.id2label, config.label2id = kept


def test_35_another_tokenizer_or_weights(faults, hub, sound, replace, attempt):
    """Tokenizer or weights other than those the matrix names: refused."""
    tokenizer = json.loads(sound["tokenizer.json"])
    words = list(tokenizer["model"]["vocab"])[-3:]
    for word in words:
        other = json.loads(sound["tokenizer.json"])
        other["model"]["vocab"]["zzz" + word] = other["model"]["vocab"].pop(word)
        replace(sound, {"tokenizer.json": json.dumps(other).encode()})
        faults.survive(isinstance(attempt(load_from_hub), IncompatibleError), word)
    tensors = load(sound[WEIGHTS])
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            moved = tensor.clone()
            moved.view(-1)[-1] += 1e-3
            replace(sound, {WEIGHTS: save(tensors | {name: moved}, {"format": "pt"})})
            faults.survive(isinstance(attempt(load_from_hub), IncompatibleError), name)


def test_36_names_of_labels_that_are_none(faults, sound, replace, attempt):
    """Labels twice, gaps in their numbers, lists that disagree: refused, never paired by chance."""
    labels = list(json.loads(sound[CONFIG])["id2label"].values())
    ids = {str(i): label for i, label in enumerate(labels)}
    inverse = {label: i for i, label in enumerate(labels)}
    wrong = [
        {"id2label": ids | {"1": labels[0]}},
        {"id2label": {str(int(i) + 1): label for i, label in ids.items()}},
        {"id2label": {i: label for i, label in ids.items() if i != "1"}},
        {"label2id": inverse | {labels[0]: 1, labels[1]: 0}},
        {"label2id": dict(list(inverse.items())[1:])},
        {"id2label": {"a": "x", "b": "y"}},
        {"id2label": ids | {"0": None}},
        {"id2label": ids | {"0": 7}},
        {"id2label": list(labels)},
        {"label2id": {label: str(i) + "x" for label, i in inverse.items()}},
    ]
    for fields in wrong:
        replace(sound, changed(sound, CONFIG, **fields))
        for loader in (load_from_hub, load_classifier):
            found = attempt(loader)
            faults.survive(isinstance(found, (CorruptArtifactError, InvalidInputError)), fields)


def test_37_weights_that_do_not_fit(faults, sound, bert, replace, attempt):
    """Tensors missing, left over, of another shape or NaN: refused, never fresh numbers."""
    tensors = load(sound[WEIGHTS])
    for name, tensor in tensors.items():
        rest = {other: found for other, found in tensors.items() if other != name}
        variants = [
            rest,
            {**rest, name + "_": tensor},
            {**rest, name: torch.zeros(2, *tensor.shape)},
        ]
        if tensor.is_floating_point():
            for value in (np.nan, np.inf):
                spoilt = tensor.clone()
                spoilt.view(-1)[0] = value
                variants.append({**rest, name: spoilt})
        for variant in variants:
            replace(sound, {WEIGHTS: save(variant, {"format": "pt"})})
            faults.survive(isinstance(attempt(load_classifier), CorruptArtifactError), name)
    tensors = load(bert[WEIGHTS])
    for name in ("classifier.weight", "classifier.bias", "bert.embeddings.word_embeddings.weight"):
        rest = {other: found for other, found in tensors.items() if other != name}
        for variant in (rest, {**rest, name: tensors[name] * np.nan}):
            replace(bert, {WEIGHTS: save(variant, {"format": "pt"})})
            faults.survive(isinstance(attempt(load_classifier), AttnAttrError), name)
