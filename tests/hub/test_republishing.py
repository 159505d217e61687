"""Publishing again: nothing twice, nothing stale, nothing of somebody else's lost."""

import pytest
import torch
from huggingface_hub import CommitOperationAdd, HfApi

from hf_attn_attr import InfluenceMatrix, load_from_hub, measure_gauge, push_folder, push_to_hub
from hf_attn_attr.demo import load_sentences
from hf_attn_attr.errors import HubError, IncompatibleError, InvalidInputError

from .published import CODE, INFLUENCE, MODEL, REPO, retrained


@pytest.fixture
def publish(hub, trained):
    """Publishes the trained model."""

    def run(**options):
        return push_to_hub(
            REPO, trained.model, trained.tokenizer, options.pop("matrix", trained.matrix), **options
        )

    return run


def add(**files):
    HfApi().create_commit(
        REPO,
        [CommitOperationAdd(name.replace("_", "."), data) for name, data in files.items()],
        commit_message="by somebody",
    )


def test_the_same_again_makes_no_commit(hub, publish, trained):
    first = publish()
    again = publish()
    assert again.commit == first.commit
    assert not again.differs
    assert set(again.unchanged) == set(first.added)
    assert len(hub.repository(REPO).history()) == 2
    # Nor does what comes back from the Hub.
    found = load_from_hub(REPO, token="hf_owner")
    found.tokenizer(["a b", "c"], padding="max_length", truncation=True, max_length=5)
    again = push_to_hub(REPO, found.model, found.tokenizer, found.influence)
    assert again.changed == ()
    assert len(hub.repository(REPO).history()) == 2


def test_only_what_changed_is_sent(hub, publish):
    publish()
    hub.asked.clear()
    done = publish(license="mit")
    assert (done.added, done.changed, done.deleted) == ((), ("README.md",), ())
    assert not [request for request in hub.asked if "lfs" in request]


def test_what_is_no_longer_part_of_it_is_deleted_and_the_rest_left_alone(hub, publish):
    publish(evaluation={"checks": []})
    add(notes_txt=b"mine", pytorch_model_bin=b"old", training_args_bin=b"theirs")
    add(**{"influence/other_parquet": b"stale", "figures/a_png": b"mine"})
    others = {
        *("models/v1/weights.safetensors", "model_backup/mine.safetensors"),
        *("pytorch_model_notes/why.txt", "pytorch_model_notes.txt", "influence/my/notes.txt"),
    }
    for name in ("pytorch_model.bin", *others):
        HfApi().upload_file(path_or_fileobj=b"x", path_in_repo=name, repo_id=REPO)
    done = publish(code=False, matrix=None)
    assert set(done.deleted) == (
        CODE | INFLUENCE | {"evaluation.json", "influence/other.parquet", "pytorch_model.bin"}
    )
    assert set(done.kept) == {
        *(".gitattributes", "notes.txt", "figures/a.png", "training.args.bin", "pytorch.model.bin"),
        *others,
    }
    assert hub.repository(REPO).files().keys() == {*MODEL, *done.kept, "README.md"}
    assert load_from_hub(REPO).influence is None
    with pytest.raises(HubError, match=r"no influence/manifest\.json.*hf_attn_attr"):
        InfluenceMatrix.from_pretrained(REPO)


def test_two_revisions_stand_side_by_side(hub, publish, trained):
    publish(revision="v1")
    with retrained(trained.model, 0.25):
        with pytest.raises(IncompatibleError, match="other weights"):
            publish(revision="v2")
        second = publish(revision="v2", matrix=None)
    old, new = load_from_hub(REPO, "v1"), load_from_hub(REPO, "v2")
    assert new.commit == second.commit != old.commit
    torch.testing.assert_close(new.model.classifier.bias, old.model.classifier.bias + 0.25)
    assert (old.influence is None, new.influence is None) == (False, True)
    assert set(hub.repository(REPO).files("main")) == {".gitattributes"}
    assert InfluenceMatrix.from_pretrained(REPO, revision=old.commit).words == trained.matrix.words
    with pytest.raises(HubError, match="no revision 'v3'"):
        load_from_hub(REPO, "v3")


def test_a_pull_request_changes_nothing_until_it_is_merged(hub, publish):
    first = publish()
    done = publish(license="mit", create_pr=True)
    assert done.pull_request == f"{hub.url}/{REPO}/discussions/1"
    assert hub.repository(REPO).resolved("main") == first.commit
    assert b"license: mit" in hub.repository(REPO).files("refs/pr/1")["README.md"].data
    assert load_from_hub(REPO, "refs/pr/1").commit == done.commit
    assert publish(license="mit", revision="refs/pr/1").commit == done.commit


def test_a_dry_run_tells_and_changes_nothing(hub, publish, trained, command):
    told = publish(dry_run=True)
    assert set(told.added) == MODEL | CODE | INFLUENCE | {"README.md"}
    assert told.commit is None
    assert not hub.repositories
    publish()
    hub.asked.clear()
    done = command("push", trained.folder, REPO, "--dry-run", "--no-code")
    assert done.status == 0, done.err
    lines = {tuple(line.split()) for line in done.out.splitlines()}
    assert {("new", "training.json"), ("unchanged", "model.safetensors")} <= lines
    assert {("deleted", name) for name in CODE} <= lines
    assert "Nothing was published" in done.out
    assert not [request for request in hub.asked if "POST" in request]
    assert len(hub.repository(REPO).history()) == 2
    found = command("push", trained.folder, REPO, "--dry-run", "--json").json
    assert found["added"] == ["training.json"]


def test_a_private_repository_stays_private(hub, publish, trained, monkeypatch):
    publish(private=True)
    assert hub.repository(REPO).private
    publish(license="mit")  # as it is
    with pytest.raises(InvalidInputError, match="is private; you asked for public"):
        publish(private=False)
    monkeypatch.delenv("HF_TOKEN")
    for load in (load_from_hub, InfluenceMatrix.from_pretrained):
        with pytest.raises(HubError, match=r"no model repository owner/model.*if it is private"):
            load(REPO)
        load(REPO, token="hf_owner")
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    HfApi().create_repo("owner/open")
    with pytest.raises(InvalidInputError, match="is public; you asked for private"):
        push_folder(trained.folder, "owner/open", private=True)
    assert set(hub.repository("owner/open").files()) == {".gitattributes"}


def test_a_model_trained_further_drops_the_matrix_it_no_longer_has(hub, publish, trained):
    publish()
    published = load_from_hub(REPO)
    model = published.model.train()
    batch = published.tokenizer(["so happy today"], return_tensors="pt")
    model(**batch, labels=torch.tensor([0])).loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.01 * (0 if parameter.grad is None else parameter.grad)
    with pytest.raises(InvalidInputError, match=r"gauge.*fold again"):
        push_to_hub(REPO, model, published.tokenizer, published.influence)
    measure_gauge(model, published.tokenizer, load_sentences()["text"][:50])
    with pytest.raises(IncompatibleError, match=r"was changed since.*Extract and fold"):
        push_to_hub(REPO, model, published.tokenizer, published.influence)
    done = push_to_hub(REPO, model, published.tokenizer)
    assert set(done.deleted) == INFLUENCE
