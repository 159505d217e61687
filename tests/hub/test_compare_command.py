"""`hf-attn-attr compare`: two revisions on the Hub, two folders."""

from dataclasses import replace

import pytest

from .published import REPO


@pytest.fixture
def revisions(hub, trained):
    """Two revisions of a matrix, and the word that v2 turns round."""
    matrix = trained.matrix
    mean, low, high = matrix.mean.copy(), matrix.low.copy(), matrix.high.copy()
    row = matrix.words.index(matrix.top_words(matrix.labels[0], 1)["word"][0])
    shift = -6 * matrix.mean[row]  # far beyond what the errors explain
    mean[row], low[row], high[row] = mean[row] + shift, low[row] + shift, high[row] + shift
    matrix.push_to_hub(REPO, revision="v1")
    replace(matrix, mean=mean, low=low, high=high).push_to_hub(REPO, revision="v2")
    return matrix.words[row]


def test_what_changed_is_told(revisions, trained, command):
    label = trained.matrix.labels[0]
    found = command("compare", f"{REPO}@v1", f"{REPO}@v2", "--label", label, "--json")
    assert found.status == 0, found.err
    assert [row["word"] for row in found.json["flipped"]] == [revisions]
    assert found.json["counts"]["flipped"] == 1
    assert sum(found.json["counts"].values()) == (trained.matrix.document_count >= 3).sum()
    shown = command("compare", f"{REPO}@v1", f"{REPO}@v2", "--label", label)
    assert shown.status == 0, shown.err
    assert "1 flipped, 0 gained, 0 lost, 0 stronger, 0 weaker" in shown.out
    assert revisions in shown.out


def test_a_folder_and_a_revision_are_told_apart(revisions, trained, command, tmp_path):
    folder = tmp_path / "model@home"
    trained.matrix.save_pretrained(folder)
    found = command("compare", folder, f"{REPO}@v1", "--json")
    assert found.status == 0, found.err
    assert set(found.json["counts"].values()) - {0} == {found.json["counts"]["none shown"]}
    wrong = command("compare", folder, f"{REPO}@v1", "--label", "boredom")
    assert (wrong.status, "'boredom' is not a label" in wrong.err) == (1, True)
    wrong = command("compare", folder, f"{REPO}@v3")
    assert (wrong.status, "no revision 'v3'" in wrong.err) == (1, True)
