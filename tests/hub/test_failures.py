"""What the Hub, the network or somebody else does wrong: nothing half done, nothing told wrong."""

import json
import logging
import re

import pytest
import torch
from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download

from hf_attn_attr import InfluenceMatrix, load_from_hub, push_to_hub
from hf_attn_attr.errors import (
    CorruptArtifactError,
    HubError,
    IncompatibleError,
    InvalidInputError,
)
from hf_attn_attr.loading import load_classifier

from .published import REPO, retrained
from .store import RefusedError

FOREVER = 1000


@pytest.fixture
def publish(hub, trained):
    """Publishes the trained model."""

    def run(**options):
        return push_to_hub(REPO, trained.model, trained.tokenizer, trained.matrix, **options)

    return run


def somebody_commits():
    HfApi().create_commit(
        REPO, [CommitOperationAdd("notes.txt", b"mine")], commit_message="by somebody"
    )


# Publishing


def test_an_upload_that_is_cut_goes_on(hub, publish):
    hub.cut("PUT /lfs/", times=2)
    assert publish().commit == hub.repository(REPO).resolved("main")


def test_an_upload_that_breaks_off_leaves_the_old_commit_whole(hub, publish):
    first = publish()
    before = dict(hub.repository(REPO).files())
    hub.lfs.clear()
    for pattern in ("PUT /lfs/", "POST .*/objects/batch", "POST .*/preupload/"):
        hub.actions.clear()
        hub.cut(pattern, times=FOREVER)
        hub.repository(REPO).files()["model.safetensors"] = before["README.md"]  # so it is sent
        with pytest.raises(HubError, match=r"Nothing was published|cannot be reached"):
            publish()
        assert hub.repository(REPO).resolved("main") == first.commit
    hub.actions.clear()
    assert publish().changed == ("model.safetensors",)


@pytest.mark.parametrize("times", [1, 3])
def test_a_commit_that_is_refused_in_passing_is_sent_again(hub, publish, times):
    hub.fail("POST .*/commit/", 503, times)
    assert publish().commit == hub.repository(REPO).resolved("main")
    assert len(hub.repository(REPO).history()) == 2


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub, publish):
    hub.lose("POST .*/commit/")
    done = publish()
    assert done.commit == hub.repository(REPO).resolved("main")
    assert len(hub.repository(REPO).history()) == 2


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(hub, publish):
    hub.lose("POST .*/commit/")
    with pytest.raises(HubError):
        publish(create_pr=True)
    assert [ref for ref in hub.repository(REPO).refs if ref != "main"] == ["refs/pr/1"]


def test_somebody_elses_commit_meanwhile_is_noticed(hub, publish):
    publish()
    hub.on("POST .*/commit/", somebody_commits)
    with pytest.raises(IncompatibleError, match=r"Somebody committed .* publish again"):
        publish(license="mit")
    files = hub.repository(REPO).files()
    assert files["notes.txt"].data == b"mine"
    assert b"license: mit" not in files["README.md"].data
    publish(license="mit")
    assert "notes.txt" in hub.repository(REPO).files()


def test_so_is_one_after_an_answer_was_lost(hub, publish):
    publish()

    def commit_and_refuse():
        somebody_commits()
        raise RefusedError(500, None, "failed on purpose")

    hub.on("POST .*/commit/", commit_and_refuse)
    with pytest.raises(IncompatibleError, match="Somebody committed"):
        publish(license="mit")


@pytest.mark.parametrize(
    ("status", "message", "requests"),
    [
        (401, "does not know you", 1),
        (403, "Use a token with the right to write", 1),
        (404, "refused this", 1),
        (413, "refused this", 1),
        (429, "asked too often", 4),
        (500, "in trouble", 4),
        (503, "in trouble", 4),
    ],
)
def test_a_refused_commit_says_what_to_do(hub, publish, status, message, requests):
    first = publish()
    hub.asked.clear()
    hub.fail("POST .*/commit/", status, FOREVER)
    with pytest.raises(HubError, match=message):
        publish(license="mit")
    assert sum("/commit/" in request for request in hub.asked) == requests
    assert hub.repository(REPO).resolved("main") == first.commit


@pytest.mark.parametrize(
    ("token", "message"),
    [(False, "does not know you"), ("hf_wrong", "does not know you"), ("hf_stranger", "403")],
)
def test_without_the_right_to_write_nothing_is_written(hub, publish, token, message):
    with pytest.raises(HubError, match=message):
        publish(token=token)
    assert not hub.repositories


def test_a_card_by_hand_that_the_hub_cannot_read_is_refused_whole(hub, publish):
    first = publish()
    with pytest.raises(HubError, match=r"does not accept this.*metadata"):
        publish(card="---\nlicense: [\n---\n# By hand\n")
    assert hub.repository(REPO).resolved("main") == first.commit
    publish(card="---\nlicense: mit\n---\n# By hand\n")
    assert hub.repository(REPO).files()["README.md"].data.endswith(b"# By hand\n")


# Loading


@pytest.mark.parametrize("pattern", ["HEAD .*/resolve/", "GET .*/resolve/.*safetensors", "tree/"])
def test_all_is_of_one_commit_though_the_head_moves(hub, publish, trained, pattern):
    first = publish()

    def publish_another():
        with retrained(trained.model):
            push_to_hub(REPO, trained.model, trained.tokenizer)

    hub.on(pattern, publish_another)
    found = load_from_hub(REPO)
    assert len(hub.repository(REPO).history()) == 3
    assert found.commit == first.commit
    assert torch.equal(found.model.classifier.bias, trained.model.classifier.bias)
    assert found.influence.manifest == trained.matrix.manifest
    assert load_from_hub(REPO).influence is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_that_passes_is_waited_for(hub, publish, status):
    publish()
    for pattern in ("HEAD .*/resolve/", "GET .*/resolve/"):
        hub.fail(pattern, status, times=3)
    assert load_from_hub(REPO).influence is not None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "does not know you"),
        (403, "403"),
        (404, "refused"),
        (418, "refused"),
        (400, "refused"),
    ],
)
def test_a_refusal_is_told_at_once(hub, publish, status, message):
    publish()
    hub.asked.clear()
    hub.fail("GET /api/models/", status, FOREVER)
    for load in (load_from_hub, InfluenceMatrix.from_pretrained, load_classifier):
        hub.asked.clear()
        with pytest.raises(HubError, match=message):
            load(REPO)
        assert len(hub.asked) == 1


@pytest.mark.parametrize("load", [load_from_hub, InfluenceMatrix.from_pretrained, load_classifier])
def test_what_is_not_there_is_named(hub, publish, load):
    publish()
    with pytest.raises(HubError, match="no model repository owner/nowhere on the Hub"):
        load("owner/nowhere")
    with pytest.raises(HubError, match="owner/model has no revision 'v9'"):
        load(REPO, revision="v9")
    with pytest.raises(InvalidInputError, match="name"):
        load("two words")


@pytest.mark.parametrize("name", ["influence/influence.parquet", "influence/manifest.json"])
def test_a_matrix_that_changed_on_the_way_is_refused(hub, publish, name):
    publish()
    files = hub.repository(REPO).files()
    data = bytearray(files[name].data)
    data[len(data) // 2] ^= 4
    HfApi().create_commit(REPO, [CommitOperationAdd(name, bytes(data))], commit_message="damaged")
    for load in (load_from_hub, InfluenceMatrix.from_pretrained):
        with pytest.raises((CorruptArtifactError, IncompatibleError)):
            load(REPO)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "influence/influence.parquet"]
)
def test_a_repository_that_lacks_a_file_says_which(hub, publish, name):
    publish()
    HfApi().delete_file(name, REPO)
    with pytest.raises((HubError, CorruptArtifactError), match=re.escape(name)):
        load_from_hub(REPO)


# Offline


def test_only_what_is_needed_is_fetched_and_once(hub, publish):
    publish()
    hub.asked.clear()
    InfluenceMatrix.from_pretrained(REPO)
    fetched = {
        request.rpartition("/")[2]
        for request in hub.asked
        if "GET" in request and "resolve" in request
    }
    assert fetched == {"influence.parquet", "manifest.json"}
    hub.asked.clear()
    InfluenceMatrix.from_pretrained(REPO)
    assert len(hub.asked) == 1  # where the branch stands now
    hub.asked.clear()
    InfluenceMatrix.from_pretrained(REPO, revision=hub.repository(REPO).resolved("main"))
    assert hub.asked == []


def test_what_was_loaded_once_loads_offline(hub, publish, offline, command, trained):
    first = publish()
    load_from_hub(REPO)
    publish(license="mit")
    offline()
    hub.asked.clear()
    found = load_from_hub(REPO)
    assert found.commit == first.commit
    assert found.influence.manifest == InfluenceMatrix.from_pretrained(REPO).manifest
    assert load_classifier(REPO)[0].config.id2label == found.model.config.id2label
    assert command("word", REPO, trained.matrix.words[0]).status == 0
    assert hub.asked == []


def test_what_was_never_loaded_says_how_to_get_it(hub, publish, offline):
    commit = publish().commit
    offline()
    for load in (load_from_hub, InfluenceMatrix.from_pretrained, load_classifier):
        with pytest.raises(HubError, match=r"HF_HUB_OFFLINE.*hf download owner/model"):
            load(REPO)
        with pytest.raises(HubError, match=f"hf download owner/model --revision {commit}"):
            load(REPO, revision=commit)


def test_what_was_loaded_in_part_says_so(hub, publish, offline):
    publish()
    InfluenceMatrix.from_pretrained(REPO)
    offline()
    InfluenceMatrix.from_pretrained(REPO)
    for load in (load_from_hub, load_classifier):
        with pytest.raises(HubError, match=r"only in part.*hf download owner/model"):
            load(REPO)


def test_what_others_fetched_in_part_is_not_taken_for_all_of_it(hub, publish, offline):
    commit = publish().commit
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        hf_hub_download(REPO, name)
    offline()
    # Whether there is a matrix cannot be known, so it is not said that there is none.
    with pytest.raises(
        HubError, match=rf"only in part.*hf download owner/model --revision {commit}"
    ):
        load_from_hub(REPO)


def test_a_head_that_moved_in_the_cache_does_not_mix_commits(hub, publish, offline):
    first = publish()
    load_from_hub(REPO)
    publish(license="mit")
    hf_hub_download(REPO, "README.md")  # moves the cache's head, and fetches nothing else
    offline()
    with pytest.raises(HubError, match=r"only in part.*hf download"):
        load_from_hub(REPO)
    assert load_from_hub(REPO, first.commit).commit == first.commit


def test_a_hub_that_is_down_is_as_good_as_offline(hub, publish, monkeypatch):
    first = publish()
    load_from_hub(REPO)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert load_from_hub(REPO).commit == first.commit
    with pytest.raises(HubError, match=r"cannot be reached.*hf download owner/another"):
        load_from_hub("owner/another")


# Secrets


def test_a_token_is_never_told(hub, trained, command, caplog, capfd, monkeypatch, tmp_path):
    caplog.set_level(logging.DEBUG)
    secret = "hf_" + "secret" * 5
    hub.tokens[secret] = "owner"
    monkeypatch.setenv("HF_TOKEN", secret)
    told = []

    def attempt(run):
        with pytest.raises((HubError, IncompatibleError)) as caught:
            run()
        error = caught.value
        while error is not None:
            told.append(f"{error!r} {error}")
            error = error.__cause__

    def push(token=secret, **options):
        return push_to_hub(
            REPO, trained.model, trained.tokenizer, trained.matrix, token=token, **options
        )

    push(private=True)
    published = load_from_hub(REPO, token=secret)
    push_to_hub("owner/again", published.model, published.tokenizer, token=secret)
    for status in (400, 401, 500):
        for pattern in ("POST .*/commit/", "POST .*/preupload/", "GET .*"):
            hub.fail(pattern, status, FOREVER)
            attempt(lambda: push(license="mit"))
            told.append(command("push", trained.folder, REPO).err)
            hub.actions.clear()
    hub.fail("GET .*", 401, FOREVER)
    attempt(lambda: load_from_hub(REPO, token=secret))
    told += [*map(str, capfd.readouterr()), caplog.text]
    assert secret not in "".join(told)
    for name, blob in hub.repository("owner/again").files().items():
        assert secret.encode() not in blob.data, name
    assert secret not in json.dumps(published.model.config.to_dict())
