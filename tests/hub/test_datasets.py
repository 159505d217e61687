"""Columns and tables as data sets: one commit, a card, readable with and without this package."""

import re

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard
from influence.texts import accumulated, random_rows
from test_markup import HOSTILE

from hf_attn_attr import AttributionExtractor, InfluenceMatrix, fold, load_columns, push_columns
from hf_attn_attr.errors import HubError, InvalidInputError
from hf_attn_attr.hub.columns import columns_card
from hf_attn_attr.influence.publishing import influence_card

from .test_card import structure

COLUMNS = "owner/columns"
TABLE = "owner/table"


@pytest.fixture
def provenance(trained):
    return AttributionExtractor(trained.model, trained.tokenizer).provenance


def test_columns_go_up_in_one_commit_and_come_back(hub, trained, provenance):
    done = push_columns(
        trained.columns, COLUMNS, provenance, model_id="owner/model", model_commit="a" * 40
    )
    assert set(done.added) == {"columns.parquet", "columns.json", "README.md"}
    assert len(hub.repository(COLUMNS, "dataset").history()) == 2
    again, origin = load_columns(COLUMNS)
    assert again.features == trained.columns.features
    assert again.to_dict() == trained.columns.to_dict()
    assert origin == provenance | {"model": {"id": "owner/model", "commit": "a" * 40}}
    np.testing.assert_array_equal(fold(again).influence, fold(trained.columns).influence)
    assert not push_columns(
        trained.columns, COLUMNS, provenance, model_id="owner/model", model_commit="a" * 40
    ).differs


def test_datasets_reads_columns_and_tables_by_their_names(hub, trained, provenance):
    push_columns(trained.columns, COLUMNS, provenance)
    columns = load_dataset(COLUMNS, split="train")
    assert columns.features == trained.columns.features
    trained.matrix.push_to_hub(TABLE, repo_type="dataset")
    table = load_dataset(TABLE, split="train")
    wanted = trained.matrix.to_pandas()
    assert table["word"][:] == wanted["word"].tolist()
    np.testing.assert_array_equal(table["influence"][:], wanted["influence"])


def test_plain_push_to_hub_of_an_extraction_works_too(hub, trained):
    trained.columns.push_to_hub(COLUMNS)
    again = load_dataset(COLUMNS, split="train")
    np.testing.assert_array_equal(fold(again).influence, fold(trained.columns).influence)


def test_pandas_reads_published_tables_by_their_paths(hub, trained):
    from huggingface_hub import HfFileSystem

    trained.matrix.push_to_hub("owner/model")
    trained.matrix.push_to_hub(TABLE, repo_type="dataset")
    wanted = trained.matrix.to_pandas()
    HfFileSystem.clear_instance_cache()
    for path in ("owner/model", f"datasets/{TABLE}"):
        table = pd.read_parquet(f"hf://{path}/influence/influence.parquet")
        assert table["word"].tolist() == wanted["word"].tolist()
        np.testing.assert_array_equal(table["lower_bound"], wanted["lower_bound"])


def test_the_card_names_commit_method_and_word_rule(hub, trained, provenance):
    push_columns(
        trained.columns, COLUMNS, provenance | {"corpus": {"source": "texts.csv"}},
        model_id="owner/model", model_commit="a" * 40, license="cc0-1.0",
    )  # fmt: skip
    card = hub.repository(COLUMNS, "dataset").files()["README.md"].data.decode()
    for told in (
        f"owner&#47;model, commit {'a' * 40}", "| method | contribution |", "texts.csv",
        f"| words | {provenance['words']} |", provenance["weights_sha256"],
    ):  # fmt: skip
        assert told in card, told
    data = DatasetCard(card).data
    assert (data.license, data.base_model) == ("cc0-1.0", "owner/model")


def test_the_card_of_a_table_tells_what_it_is(hub, trained):
    trained.matrix.push_to_hub(TABLE, repo_type="dataset", license="cc0-1.0")
    card = hub.repository(TABLE, "dataset").files()["README.md"].data.decode()
    manifest, labels = trained.matrix.manifest, trained.matrix.labels
    for told in (
        "# table\n", f"each of {len(trained.matrix.words)} words",
        f"each of {len(labels)} outputs", f"Outputs: {', '.join(labels)}.",
        f"| method | {manifest['method']} |", f"| texts | {manifest['texts']}",
        f"| words read | {manifest['words']} |", manifest["provenance"]["weights_sha256"],
        manifest["provenance"]["tokenizer_sha256"], "Licence: cc0-1.0.",
        f"'hf://datasets/{TABLE}/influence/influence.parquet'", f'"label"] == {labels[0]!r}',
    ):  # fmt: skip
        assert told in card, told
    data = DatasetCard(card).data
    assert (data.license, data.tags) == ("cc0-1.0", ["hf_attn_attr", "interpretability"])
    files = [{"config_name": "default", "data_files": "influence/influence.parquet"}]
    assert data.configs == files


def test_a_table_of_unknown_origin_says_so():
    card = influence_card(accumulated(random_rows(0, 12)).finalize(), TABLE, license=None)
    assert card.count("not recorded") == 2
    assert "No licence was given" in card


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_that_card_becomes_markup(trained, text):
    def card(name):
        origin = {
            "method": name, "words": name, "options": {name: name}, "corpus": {"source": name},
            "weights_sha256": name, "model": {"id": name, "commit": name},
        }  # fmt: skip
        columns = trained.columns.select_columns(["text"]).rename_column("text", name)
        return columns_card(columns, COLUMNS, origin, license=None)

    assert structure(card(text)) == structure(card("glad"))


def test_the_code_of_the_card_works(hub, trained, provenance, python):
    push_columns(trained.columns, COLUMNS, provenance)
    card = hub.repository(COLUMNS, "dataset").files()["README.md"].data.decode()
    code = re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)
    assert len(code) == 2
    ran = python("\n".join(code))
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "InfluenceMatrix(" in ran.stdout


def test_the_command_line_publishes_columns_and_tables(hub, trained, command, tmp_path):
    for what, repo in (("columns", COLUMNS), ("table", TABLE)):
        done = command(
            "push", trained.folder, repo, "--what", what, "--license", "mit", "--private"
        )
        assert done.status == 0, done.err
        assert f"Published at {hub.url}/datasets/{repo}" in done.out
        assert hub.repository(repo, "dataset").private
        assert b"license: mit" in hub.repository(repo, "dataset").files()["README.md"].data
    done = command("fold", COLUMNS, "--output", tmp_path)
    assert done.status == 0, done.err
    again = InfluenceMatrix.from_pretrained(tmp_path)
    assert again.manifest == trained.matrix.manifest
    assert InfluenceMatrix.from_pretrained(TABLE, repo_type="dataset").manifest == again.manifest
    wrong = command("push", trained.folder, TABLE, "--what", "texts")
    assert (wrong.status, "--what is 'texts'" in wrong.err) == (1, True)


def test_columns_that_are_not_there_are_named(hub):
    with pytest.raises(HubError, match="no dataset repository owner/columns"):
        load_columns(COLUMNS)
    with pytest.raises(InvalidInputError, match="no data set of the Hub can have that name"):
        load_columns("two words")
    with pytest.raises(InvalidInputError, match="cannot be the name"):
        push_columns(None, "two words", {})
