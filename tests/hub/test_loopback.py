"""The loopback Hub answers the real clients as the Hub does."""

import pytest
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    hf_hub_download,
    metadata_update,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig, AutoModel, BertConfig, BertModel

REPO = "owner/model"


@pytest.fixture
def api(hub):
    api = HfApi()
    api.create_repo(REPO)
    return api


def add(api, message="files", **files):
    operations = [
        CommitOperationAdd(name.replace("__", "/").replace("_", "."), content)
        for name, content in files.items()
    ]
    return api.create_commit(REPO, operations, commit_message=message)


def test_regular_and_lfs_files_come_back_as_they_went(api, hub):
    add(api, a_txt=b"small", b__c_bin=b"large\0" * 1000)
    assert {path: blob.lfs for path, blob in hub.repository(REPO).files().items()} == {
        ".gitattributes": False,
        "a.txt": False,
        "b/c.bin": True,
    }
    folder = snapshot_download(REPO)
    for name, content in {"a.txt": b"small", "b/c.bin": b"large\0" * 1000}.items():
        with open(f"{folder}/{name}", "rb") as file:
            assert file.read() == content
        with open(hf_hub_download(REPO, name), "rb") as file:
            assert file.read() == content
    assert {entry.path for entry in api.list_repo_tree(REPO)} == {".gitattributes", "a.txt", "b"}
    assert {entry.path for entry in api.list_repo_tree(REPO, "b")} == {"b/c.bin"}
    assert [info.size for info in api.get_paths_info(REPO, ["b/c.bin"])] == [6000]


def test_what_has_not_changed_makes_no_commit(api, hub, tmp_path):
    (tmp_path / "a.txt").write_text("small")
    (tmp_path / "b.bin").write_bytes(b"large")
    first = api.upload_folder(repo_id=REPO, folder_path=tmp_path, allow_patterns=["a.*", "b.*"])
    again = api.upload_folder(repo_id=REPO, folder_path=tmp_path, allow_patterns=["a.*", "b.*"])
    assert first.oid == again.oid == api.model_info(REPO).sha
    assert len(hub.repository(REPO).history()) == 2


def test_deletions_branches_and_pull_requests(api, hub):
    first = add(api, a_txt=b"1", b_txt=b"1")
    api.create_branch(REPO, branch="v1")
    api.create_commit(REPO, [CommitOperationDelete("a.txt")], commit_message="less")
    pull = api.create_commit(
        REPO, [CommitOperationAdd("c.txt", b"")], commit_message="more", create_pr=True
    )
    assert pull.pr_num == 1
    for revision, files in (
        ("main", {"b.txt"}),
        ("v1", {"a.txt", "b.txt"}),
        (first.oid, {"a.txt", "b.txt"}),
        ("refs/pr/1", {"b.txt", "c.txt"}),
    ):
        found = set(api.list_repo_files(REPO, revision=revision))
        assert found - {".gitattributes"} == files
    assert api.resolve_revision(REPO, revision="v1").resolved == first.oid
    refs = api.list_repo_refs(REPO, include_pull_requests=True)
    assert {branch.name for branch in refs.branches} == {"main", "v1"}
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(
            REPO, [CommitOperationAdd("d", b"")], commit_message="x", parent_commit=first.oid
        )
    assert "d" not in hub.repository(REPO).files()


def test_what_is_not_there_is_told_apart(api):
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("owner/nowhere", "a.txt")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(REPO, "a.txt", revision="never")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(REPO, "a.txt")


def test_private_repositories_and_rights(hub):
    HfApi().create_repo("owner/secret", private=True)
    assert HfApi().model_info("owner/secret").private
    for token, status in ((False, 401), ("hf_stranger", 404), ("hf_wrong", 401)):
        with pytest.raises(HfHubHTTPError) as caught:
            HfApi().model_info("owner/secret", token=token)
        assert caught.value.response.status_code == status
    HfApi().create_repo(REPO)
    with pytest.raises(HfHubHTTPError) as caught:
        HfApi().create_commit(
            REPO, [CommitOperationAdd("a", b"")], commit_message="x", token="hf_stranger"
        )
    assert caught.value.response.status_code == 403


def test_it_fails_when_told_to(api, hub):
    add(api, a_txt=b"small")
    hub.fail("POST .*/preupload/", 429, times=3)
    hub.cut("PUT /lfs/", times=2)
    add(api, message="more", b_bin=b"large\0" * 1000)
    assert sum("PUT /lfs/" in request for request in hub.asked) == 3
    assert hub.repository(REPO).files()["b.bin"].data == b"large\0" * 1000


def test_cards(api, hub):
    ModelCard("---\nlicense: mit\n---\n# A model").push_to_hub(REPO)
    metadata_update(REPO, {"tags": ["x"]})
    assert ModelCard.load(REPO).data.to_dict() == {"license": "mit", "tags": ["x"]}
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        api.upload_file(
            path_or_fileobj=b"---\nlicense: [\n---\n", path_in_repo="README.md", repo_id=REPO
        )


def test_transformers_reads_and_writes(hub):
    config = BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    model = BertModel(config)
    model.push_to_hub(REPO)
    assert hub.repository(REPO).files()["model.safetensors"].lfs
    assert AutoConfig.from_pretrained(REPO).vocab_size == 9
    again = AutoModel.from_pretrained(REPO)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(again.state_dict()[name]), name


def test_datasets_reads_and_writes(hub):
    features = Features(text=Value("string"), label=ClassLabel(names=["joy", "fear"]))
    dataset = Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    dataset.push_to_hub("owner/texts", private=True)
    assert hub.repository("owner/texts", "dataset").private
    again = load_dataset("owner/texts", split="train")
    assert again.features == features
    assert again.to_dict() == dataset.to_dict()
