"""Cards: facts alone, metadata that the Hub's own parser reads, and no word that becomes markup."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard, EvalResult, ModelCard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from influence.texts import accumulated, random_rows
from markdown_it import MarkdownIt
from test_markup import HOSTILE

from hf_attn_attr.cards import RENDERED
from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.hub import folder_card
from hf_attn_attr.hub.card import model_card
from hf_attn_attr.influence.publishing import influence_card
from hf_attn_attr.markup import markdown, printable

CONFIG = {
    "model_type": "self_attentive", "rnn_type": "lstm", "num_attention_hops": 1,
    "head_hidden_size": 0, "char_ngram_buckets": 100, "word_vectors": None, "teacher": None,
    "problem_type": "single_label_classification",
}  # fmt: skip
METRICS = {"accuracy": 0.875, "macro_f1": 0.5}
SEEDS = [
    {"seed": 0, "accuracy": 0.875, "macro_f1": 0.5},
    {"seed": 1, "accuracy": 0.625, "macro_f1": 0.25},
]


def config(*labels, **fields):
    return CONFIG | {"id2label": {str(i): label for i, label in enumerate(labels)}} | fields


def training(source="texts.csv", **fields):
    texts = {"rows": 80, "source": source, "dropped": {}}
    told = {"texts": {"train": texts, "validation": texts}, "metrics": METRICS, "preset": "default"}
    return {**told, "settings": {"patience": 3, "epochs": 8}, **fields}


def matrix(labels, words=("glad", "so", "today"), seed=0, n_texts=60, provenance=None, **settings):
    """A matrix in which the first word speaks for the first label, the next for the next, ..."""
    kind = settings.get("problem_type", "single_label_classification")
    rows = random_rows(seed, n_texts, labels=labels, vocabulary=list(words), problem_type=kind)
    shift = 3 * np.eye(len(labels))
    rows["attribution"] = [
        (
            np.reshape(terms, (-1, len(labels)))
            + [shift[words.index(word) % len(labels)] for word in text]
        )
        .ravel()
        .tolist()
        if text
        else []
        for terms, text in zip(rows["attribution"], rows["words"], strict=True)
    ]
    settings = {"lowercase": False, "normalization": None, **settings}
    if settings.get("method") == "attention":
        empty = [None] * n_texts
        rows |= {"attribution": empty, "attribution_context": empty}
    return accumulated(rows, labels=labels, **settings).finalize(provenance)


def body(card):
    return card.split("\n---\n", 1)[1]


def structure(card):
    """Everything of a Markdown document but the texts that it shows."""

    def kind(token):
        return "text" if token.type in ("text", "text_special") else (token.type, token.markup)

    return [
        [name for name, _ in itertools.groupby(map(kind, token.children or ()))]
        if token.type == "inline"
        else (token.type, token.tag, token.markup, token.info)
        for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(body(card))
    ]


def test_the_hub_reads_the_results_as_they_are():
    card = model_card(
        "user/model", config("joy", "fear"), training=training("user/texts:small@dev"),
        license="mit", language="en",
    )  # fmt: skip
    data = ModelCard(card).data
    told = data.to_dict()
    assert (told["license"], told["language"]) == ("mit", "en")
    assert told["library_name"] == "transformers"
    assert (data.pipeline_tag, data.datasets) == ("text-classification", ["user/texts"])
    assert data.model_name == "model"
    assert data.eval_results == [
        EvalResult(
            task_type="text-classification",
            dataset_type="user/texts",
            dataset_name="user/texts:small@dev",
            dataset_split="validation",
            metric_type=kind,
            metric_name=name,
            metric_value=value,
        )
        for kind, name, value in (("accuracy", "Accuracy", 0.875), ("f1", "Macro F1", 0.5))
    ]
    again = ModelCard(str(ModelCard(card)))
    assert again.data.eval_results == data.eval_results
    assert again.text == ModelCard(card).text


def test_the_figures_are_those_of_the_matrix_and_of_the_training():
    influence = matrix(("joy", "fear"), words=("glad", "so", "today", "hm"), n_texts=90)
    card = model_card("user/model", config("joy", "fear"), influence, training=training())
    for label in influence.labels:
        section = card.split(f"### {label}\n")[1].split("\n#")[0]
        rows = [re.split(r" *\| *", line)[1:-1] for line in section.splitlines() if "|" in line][2:]
        wanted = influence.top_words(label, 10)
        assert [row[0] for row in rows] == wanted["word"].tolist() != []
        for row, (_, fact) in zip(rows, wanted.iterrows(), strict=True):
            interval = f"{fact['low']:+.3f} … {fact['high']:+.3f}"
            assert row[1:] == [
                f"{fact['influence']:+.3f}", interval, str(fact["documents"]), fact["evidence"]
            ]  # fmt: skip
    assert "| Accuracy | 0.8750 |" in card
    assert "No check has been run" in card
    assert "No licence was given" in card


def test_several_seeds_are_shown_with_their_spread():
    card = model_card("user/model", config("joy", "fear"), training=training(seeds=SEEDS))
    assert "of 2 seeds |" in card
    assert "| Accuracy | 0.8750 | 0.7500 ± 0.1768 |" in card
    assert "flatters it" in card


def test_association_in_the_data_is_shown_once_it_is_tested():
    influence = matrix(("joy", "fear"))
    cells = np.full(influence.influence.shape, 0.25)
    cards = [
        model_card(
            "user/model",
            config("joy", "fear"),
            replace(influence, log_odds=cells, association_q_value=np.full(cells.shape, q)),
        )
        for q in (0.025, 0.25, 0.0)
    ]
    for card, q in zip(cards, ("0.025", "0.250", "&lt;0.001"), strict=True):
        assert "| log-odds in the data | q |" in card
        assert f"| +0.250 | {q} |" in card
    assert ("| consistent |" in cards[0], "| model only |" in cards[0]) == (True, False)
    assert ("| consistent |" in cards[1], "| model only |" in cards[1]) == (False, True)
    assert "q is above 0.05" in cards[0]
    assert "log-odds" not in model_card("user/model", config("joy", "fear"), influence)


@pytest.mark.parametrize(
    ("checks", "rows"),
    [
        (None, []),
        ({}, []),
        ({"checks": "soon"}, []),
        ({"checks": [3, None, {}, {"name": "x"}, {"verdict": "y"}]}, []),
        ({"checks": [{"name": "x", "verdict": "holds", "text": "t"}]}, ["| x | holds | t |"]),
        (
            {"checks": [{"name": "x", "question": "q", "verdict": "no", "reasons": ["a", "b"]}]},
            ["| q | no | a b |"],
        ),
        ({"checks": [{"name": "x", "verdict": "unknown"}]}, ["| x | unknown |  |"]),
    ],
)  # fmt: skip
def test_checks_are_shown_as_they_were_found_and_never_made_up(checks, rows):
    card = model_card("user/model", config("joy", "fear"), evaluation=checks)
    section = card.split("## What the checks support\n")[1].split("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("|")][2:] == rows
    assert ("No check has been run" in section) == (not rows)


@pytest.mark.parametrize(
    "facts",
    [
        {"metrics": "good"}, {"metrics": {"accuracy": "good", "r2": float("nan")}},
        {"seeds": 3}, {"settings": []},
        {"texts": None}, {"texts": {"train": {"rows": "many"}}},
        {"seeds": [None, {"accuracy": "x"}]},
    ],
)  # fmt: skip
def test_facts_that_are_none_are_left_out(facts):
    ModelCard(model_card("user/model", config("joy", "fear"), training=training(**facts)))


CARDS = {
    "no matrix": lambda: model_card("user/model", config("joy", "fear"), training=training()),
    "a folder": lambda: model_card("a/b", config("x", "y"), matrix(("x", "y")), on_hub=False),
    "code": lambda: model_card("user/model", config("x", "y"), matrix(("x", "y")), code=True),
    "attention alone": lambda: model_card(
        "user/model", config("x", "y", head_hidden_size=9), matrix(("x", "y"), method="attention")
    ),
    "multi-label": lambda: model_card(
        "user/model",
        config("x", "y", problem_type="multi_label_classification"),
        matrix(("x", "y"), problem_type="multi_label_classification"),
        training=training(),
    ),
    "regression": lambda: model_card(
        "user/model",
        config("value", problem_type="regression"),
        matrix(("value",), problem_type="regression"),
    ),
    "regression, attention alone": lambda: model_card(
        "user/model",
        config("value", problem_type="regression"),
        matrix(("value",), problem_type="regression", method="attention"),
    ),
    "no words": lambda: model_card("user/model", config("x", "y"), matrix(("x", "y"), n_texts=0)),
    "many labels": lambda: model_card(
        "user/model", config(*"abcdefghij"), matrix(tuple("abcdefghij"))
    ),
    "another model": lambda: model_card(
        "user/model",
        {"model_type": "bert", "id2label": {"0": "x", "1": "y"}},
        matrix(
            ("x", "y"),
            method="integrated_gradients",
            provenance={
                "options": {"steps": 50, "baseline": "mask"}, "folded_on": "train",
                "corpus": {"source": "texts.csv"},
            },
        ),
        report=True, picture="influence.png",
    ),
    "taught": lambda: model_card(
        "user/model",
        config(
            "x", "y", teacher="user/teacher", word_vectors="glove.txt", attention_supervision=2.0
        ),
    ),
    "a matrix alone": lambda: influence_card(matrix(("x", "y")), "user/table", license="mit"),
}  # fmt: skip


def test_a_card_tells_what_did_not_come_from_the_texts_alone():
    card = body(CARDS["taught"]())
    for told in ("glove.txt", "user/teacher", "follow human rationales"):
        assert markdown(told) in card or told in card
    assert "follow human rationales" not in model_card("user/model", config("x", "y"))


@pytest.mark.parametrize("kind", CARDS)
def test_every_kind_of_card_is_sound_markdown(kind):
    card = CARDS[kind]()
    assert (DatasetCard if kind == "a matrix alone" else ModelCard)(card).data.to_dict()
    assert RENDERED in card
    assert card == CARDS[kind]()
    for sign in ("nan", "None", "{{", "}}", "{%", "\n\n\n\n"):
        assert sign not in card, sign
    tables = [line for line in card.splitlines() if line.startswith("|")]
    blocks = [token for token in structure(card) if isinstance(token, tuple)]
    fences = [token for token in blocks if token[0] == "fence"]
    assert sum(line.startswith("```") for line in card.splitlines()) == 2 * len(fences)
    rows = [token for token in blocks if token[0] == "tr_open"]
    separators = sum(set(line) <= set("|-: ") and "---" in line for line in tables)
    assert len(rows) == len(tables) - separators


def hostile_card(text, other):
    """A card in which foreign text stands wherever it can."""
    labels, words = (text, other), sorted({text, other, "so"})
    checks = {"checks": [{"name": text, "verdict": text, "reasons": [text]}]}
    origin = {
        "options": {text: text}, "corpus": {"source": text}, "folded_on": text,
    }  # fmt: skip
    return model_card(
        "user/model",
        config(*labels, teacher=text, word_vectors=text),
        matrix(labels, words, provenance=origin),
        training=training(text, settings={text: text, "patience": 3}, preset=text),
        evaluation=checks,
        license="mit",
    )


def structured(card):
    """The structure of a card, whatever the number of words, and whether a shell takes them."""
    rows = ("tr_open", "td_open", "td_close", "tr_close")
    shell = card.partition("The same in a shell:\n")
    card = shell[0] + shell[2].partition("```\n")[2] if shell[2] else card
    return [token for token in structure(card) if isinstance(token, list) or token[0] not in rows]


@settings(max_examples=60)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
@example(["<script>alert(1)</script>", "x<img src=y onerror=z>"])
@example(["\n---\nlicense: evil\n---\n", "a|b"])
@example(["{{7*7}}", "{% raw %}"])
@example(["```\n# x", "`"])
def test_no_word_label_or_name_becomes_markup_or_metadata(texts):
    card = hostile_card(*texts)
    benign = hostile_card("glad", "sad")
    assert structured(card) == structured(benign)
    data = ModelCard(card).data.to_dict()
    assert data["license"] == "mit"
    assert data.keys() == ModelCard(benign).data.to_dict().keys()
    results = data["model-index"][0]["results"]
    assert [result["dataset"]["name"] for result in results] == [printable(texts[0])]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_shown_in_full(text):
    card = hostile_card(text, "other")
    tokens = MarkdownIt("commonmark").enable("table").parse(body(card))
    shown = {
        "".join(child.content for child in token.children)
        for token in tokens
        if token.type == "inline"
    }
    assert printable(text) in shown
    found = yaml.safe_load(card.split("\n---\n")[0])
    assert found["license"] == "mit"


def test_a_folder_has_its_card_and_a_card_by_hand_stays(trained, command, tmp_path):
    import shutil

    folder = shutil.copytree(trained.folder, tmp_path / "model")
    done = command("card", folder, "--repo", "user/model", "--license", "mit", "--language", "en")
    assert done.status == 0, done.err
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card == folder_card(folder, "user/model")  # which keeps licence and language
    assert ModelCard(card).data.license == "mit"
    assert command("card", folder).status == 0
    (folder / "README.md").write_text("# By hand\n")
    kept = command("card", folder)
    assert (kept.status, "written or changed by hand" in kept.err) == (1, True)
    assert (folder / "README.md").read_text() == "# By hand\n"
    assert command("card", folder, "--overwrite").status == 0
    assert RENDERED in (folder / "README.md").read_text(encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"no config\.json"):
        folder_card(tmp_path)


@pytest.mark.parametrize("text", HOSTILE)
def test_nor_does_one_in_the_card_of_a_table(text):
    def card(word, source):
        origin = {"corpus": {"source": source}, "weights_sha256": source}
        table = matrix((word, "other"), sorted({word, "so"}), provenance=origin)
        return influence_card(table, "user/table", license=None)

    assert structure(card(text, text)) == structure(card("glad", "glad"))
    assert "license" not in DatasetCard(card(text, text)).data.to_dict()
