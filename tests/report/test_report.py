"""The report from real folders: what it is made from, what it refuses, and what is in the file."""

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import zlib
from importlib.resources import files

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_attn_attr import write_report
from hf_attn_attr.columns import save_columns
from hf_attn_attr.errors import CorruptArtifactError, IncompatibleError, InvalidInputError
from hf_attn_attr.files import sealed_json, sha256_of_file
from hf_attn_attr.influence import fold
from hf_attn_attr.report import page as page_module
from hf_attn_attr.report.examples import MOST_COST, MOST_WORDS, examples_of
from hf_attn_attr.report.material import Material, read_material
from hf_attn_attr.report.overview import overview_of
from hf_attn_attr.report.packing import round_step

from .conftest import LABELS, example_columns


def unpacked(html, name):
    """The JSON header of a packed text in a page."""
    text = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', html)[1]
    body = zlib.decompress(base64.b64decode(text, validate=True))
    return json.loads(body[4 : 4 + int.from_bytes(body[:4], "little")])


@pytest.fixture
def folder(run_result, tmp_path):
    """A copy of a trained folder, with columns."""
    return shutil.copytree(run_result[1], tmp_path / "model")


# The file


def test_the_page_allows_its_own_script_and_style_and_nothing_else(report):
    html = report.read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    policy = policy.replace("&#39;", "'")
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    for name, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_page_refers_to_nothing_outside_and_writes_no_markup(report):
    html = report.read_text(encoding="utf-8")
    namespace = "http://www.w3.org/2000/svg"
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {namespace}
    assert html.count("<script") == html.count("</script>") == 3
    place = files("hf_attn_attr.report") / "page"
    for name in page_module._SCRIPTS:
        code = (place / f"{name}.js").read_text("utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in code, (name, way)


def test_names_from_outside_are_escaped_where_they_are_not_packed(report):
    html = report.read_text(encoding="utf-8")
    assert "&lt;u&gt;my&lt;/u&gt; model" in html
    assert "<u>my" not in html


def test_a_large_matrix_keeps_numbers_of_as_many_words_as_fit(matrix, monkeypatch):
    material = Material("large", matrix, {}, [], None)
    whole = page_module.page(material)
    packed = len(re.search(r'id="data">([^<]*)<', whole)[1])
    monkeypatch.setattr(page_module, "MOST_CHARACTERS", packed - 300)
    html = page_module.page(material)
    header = unpacked(html, "data")
    enough = (matrix.document_count >= 3).sum()
    assert len(whole) - 1_000 < len(html) <= len(whole) - 300
    assert enough / 2 < header["numbered"] < enough == header["enough"]
    assert len(header["words"]) == len(matrix.words)
    monkeypatch.setattr(page_module, "MOST_CHARACTERS", 0)
    assert unpacked(page_module.page(material), "data")["numbered"] == 0


# Folders


def test_a_report_of_a_trained_folder(folder, show, run_result):
    path = write_report(folder)
    assert path == folder / "report.html"
    assert path.stat().st_size < 1e6
    html = path.read_text(encoding="utf-8")
    header = unpacked(html, "data")
    assert header["overview"]["quality"][0][0] == "accuracy"
    assert any("trained on" in text for text in header["overview"]["cautions"])
    shown = show(path, "view=texts")
    texts = len(run_result[0].columns)
    assert shown.inner_text(".summary") == f"{texts} texts."


def test_a_report_without_texts_says_so(folder, show):
    for name in ("columns.parquet", "columns.json", "training.json"):
        (folder / name).unlink()
    path = write_report(folder, folder / "sub" / "page.html", title="a title")
    shown = show(path, "view=texts")
    assert "without texts" in shown.inner_text("main")
    assert shown.locator("nav a").count() == 4
    assert shown.title().startswith("a title")


def test_columns_may_lie_elsewhere_but_must_belong_to_the_matrix(folder, tmp_path):
    for name in ("columns.parquet", "columns.json"):
        (tmp_path / "columns").mkdir(exist_ok=True)
        shutil.move(folder / name, tmp_path / "columns" / name)
    assert read_material(folder).columns is None
    assert len(read_material(folder, tmp_path / "columns").columns) > 0
    with pytest.raises(InvalidInputError, match="no extracted texts"):
        read_material(folder, tmp_path)
    manifest = json.loads((tmp_path / "columns" / "columns.json").read_bytes())
    manifest["provenance"]["weights_sha256"] = "0" * 64
    del manifest["manifest_sha256"]
    (tmp_path / "columns" / "columns.json").write_bytes(sealed_json(manifest))
    with pytest.raises(IncompatibleError, match="weights_sha256"):
        read_material(folder, tmp_path / "columns")


def test_folders_that_are_none_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="is no folder"):
        write_report(tmp_path / "nothing")
    with pytest.raises(InvalidInputError, match="no influence matrix"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([{"name": "a", "verdict": "supported", "text": "why"}], [("a", "supported", ["why"])]),
        (
            {"checks": [{"name": "a", "question": "?", "verdict": "no", "reasons": ["x", 1]}]},
            [("a", "no", ["x", "1"])],
        ),
        ({"checks": {"a": {"verdict": "no"}}}, [("a", "no", [])]),
        ([{}, 1, None, [], {"reasons": 3}], [("unnamed", "not said", [])] * 2),
        ("text", []),
        ({}, []),
    ],
)
def test_checks_are_read_in_any_reasonable_shape(folder, found, wanted):
    (folder / "evaluation.json").write_text(json.dumps(found))
    checks = read_material(folder).checks
    assert [(one["name"], one["verdict"], one["reasons"]) for one in checks] == wanted


def test_checks_of_an_earlier_matrix_are_left_out_and_said_to_be(folder):
    table = folder / "influence" / "influence.parquet"
    checks = [{"name": "a", "verdict": "supported"}]
    for digest, outdated in ((sha256_of_file(table), False), ("0" * 64, True)):
        record = {"checks": checks, "influence_sha256": digest}
        (folder / "evaluation.json").write_text(json.dumps(record))
        material = read_material(folder)
        assert material.outdated == outdated
        assert len(material.checks) == (0 if outdated else 1)
        cautions = overview_of(material)["cautions"]
        assert any("Evaluate again" in text for text in cautions) == outdated


def test_damaged_files_are_refused(folder):
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"evaluation\.json"):
        write_report(folder)
    (folder / "evaluation.json").unlink()
    data = bytearray((folder / "columns.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "columns.parquet").write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r"columns\.parquet"):
        write_report(folder)


def test_the_command_writes_the_page(command, folder):
    done = command("report", folder, "--title", "[red]x")
    assert done.status == 0
    assert f"Written: {folder / 'report.html'} (0." in done.out.replace("\n", "")
    assert "[red]x" in (folder / "report.html").read_text(encoding="utf-8")
    done = command("report", folder / "nothing")
    assert done.status == 1
    assert "is no folder" in done.err


def test_two_folders_are_compared(folder, show):
    path = write_report(folder, compare=folder)
    shown = show(path, "view=compare")
    differences = shown.locator('.list td[data-title="difference"]').all_inner_texts()
    assert len(differences) > 20
    assert {float(text) for text in differences} == {0.0}


# Examples


def test_examples_are_whole_texts_with_their_numbers(columns, matrix):
    words = list(matrix.words)
    examples = examples_of(columns, matrix, words)
    texts = examples.header["texts"]
    assert sorted("".join(text["pieces"]) for text in texts) == sorted(columns["text"][:])
    assert examples.header["available"] == len(columns)
    rows = [columns["text"][:].index("".join(text["pieces"])) for text in texts]
    for name, column in (("gold", "label"), ("predicted", "prediction")):
        assert [text[name] for text in texts] == [columns[column][row] for row in rows]
    keys = [words[place - 1] for place in examples.arrays["word"]]
    spoken = [word.lower() for text in texts for word in text["pieces"][1::2]]
    assert keys == spoken
    step = examples.header["steps"]["attribution"]
    phi = np.concatenate([np.reshape(columns["attribution"][row], (-1, 3)) for row in rows])
    codes = examples.arrays["attribution"].astype(int)
    back = np.where(codes & 1, -(codes + 1) // 2, codes // 2) * step
    np.testing.assert_allclose(back, phi - phi.mean(axis=1, keepdims=True), atol=step * 0.51)


def test_the_texts_where_a_top_word_pushed_most_and_least_come_first(columns, matrix):
    examples = examples_of(columns, matrix, matrix.words)
    striking = {"".join(t["pieces"]) for t in examples.header["texts"] if t["striking"]}
    word = matrix.top_words("fear", 1)["word"].iloc[0]
    totals = {}
    for row in columns:
        phi = np.reshape(row["attribution"], (-1, 3))
        phi = (phi - phi.mean(axis=1, keepdims=True))[:, LABELS.index("fear")]
        own = [w.lower() == word for w in row["words"]]
        if any(own):
            totals[row["text"]] = phi[own].sum()
    assert max(totals, key=totals.get) in striking
    assert min(totals, key=totals.get) in striking


def test_examples_stay_within_their_budget_and_keep_a_random_sample():
    columns = example_columns(texts=400)
    repeated = {name: columns[name][:] * 60 for name in columns.column_names}
    many = Dataset.from_dict(repeated, features=columns.features)
    matrix = fold(many)
    examples = examples_of(many, matrix, matrix.words)
    texts = examples.header["texts"]
    assert examples.arrays["attribution"].size <= MOST_COST
    assert 1_500 < len(texts) <= 2_000
    random = [text for text in texts if not text["striking"]]
    assert len(random) >= len(texts) // 2
    again = examples_of(many, matrix, matrix.words)
    assert again.header == examples.header


def test_long_texts_are_cut():
    columns = example_columns(texts=30)
    words = ["long"] * (MOST_WORDS + 100)
    row = {
        **columns[0],
        "text": " ".join(words),
        "words": words,
        "word_start": [5 * i for i in range(len(words))],
        "word_end": [5 * i + 4 for i in range(len(words))],
        "attention": [1 / len(words)] * len(words),
        "attribution": [0.5] * 3 * len(words),
        "attribution_context": [0.25] * 3 * len(words),
    }
    longer = Dataset.from_list([*columns, row], features=columns.features)
    examples = examples_of(longer, fold(longer), ["long"])
    cut = next(t for t in examples.header["texts"] if "long" in t["pieces"])
    assert len(cut["pieces"]) == 2 * MOST_WORDS + 1
    assert cut["pieces"][-1] == "…"
    places = sum(len(text["pieces"]) // 2 for text in examples.header["texts"])
    assert examples.arrays["attribution"].shape == (places, 3)


def test_columns_of_another_model_are_refused(columns, matrix):
    other = dataclasses.replace(
        matrix,
        labels=("a", "b", "c"),
        manifest={**matrix.manifest, "labels": ["a", "b", "c"]},
    )
    with pytest.raises(IncompatibleError, match="other labels"):
        examples_of(columns, other, matrix.words)
    with pytest.raises(InvalidInputError, match="'word_start'"):
        examples_of(columns.remove_columns("word_start"), matrix, matrix.words)


# Kinds of models


def shown_report(matrix, columns, tmp_path, show, fragment):
    path = tmp_path / "kind.html"
    path.write_text(page_module.page(Material("kind", matrix, {}, [], columns)), encoding="utf-8")
    return show(path, fragment)


def test_attention_alone_shows_attention_and_no_influence(columns, tmp_path, show):
    names = ["attribution", "attribution_context"]
    rows = columns.to_dict() | {name: [None] * len(columns) for name in names}
    without = Dataset.from_dict(rows, features=columns.features)
    matrix = fold(without, provenance={"method": "attention"})
    page = shown_report(matrix, without, tmp_path, show, "view=class&label=joy")
    assert page.get_by_label("Measure").input_value() == "joint"
    assert page.locator(".list tbody tr").count() > 20
    assert page.locator('.list td[data-title="influence"]').count() == 0
    page.goto(f"{page.url.split('#')[0]}#view=word&word=happy")
    page.wait_for_selector('html[data-ready="word"]')
    assert page.locator("table").count() == 1
    assert "got most and least attention" in page.inner_text("main")
    assert page.locator(".mark.for").count() > 0
    assert page.locator(".mark.against").count() == 0


def test_occlusion_has_no_parts_and_no_attention(columns, tmp_path, show):
    rows = columns.to_dict() | {"attention": [None] * len(columns)}
    kept = columns.features
    without = Dataset.from_dict(rows, features=kept).remove_columns("attribution_context")
    matrix = fold(without, provenance={"method": "occlusion"})
    page = shown_report(matrix, without, tmp_path, show, "view=class&label=joy")
    measures = page.get_by_label("Measure").locator("option").all_inner_texts()
    assert measures == ["lower bound", "influence"]
    page.goto(f"{page.url.split('#')[0]}#view=word&word=happy")
    page.wait_for_selector('html[data-ready="word"]')
    assert page.locator("table").count() == 1


def test_some_classes_alone_have_influences(columns, tmp_path, show):
    phi = [np.reshape(row, (-1, 3))[:, :1].reshape(-1) for row in columns["attribution"]]
    rows = columns.to_dict() | {"attribution": phi}
    some = Dataset.from_dict(rows, features=columns.features).remove_columns("attribution_context")
    matrix = fold(some, provenance={"method": "integrated_gradients", "classes": ["joy"]})
    page = shown_report(matrix, some, tmp_path, show, "view=class&label=fear")
    assert page.locator(".list tbody tr").count() == 0
    page.get_by_label("Class").select_option("joy")
    assert page.locator(".list tbody tr").count() > 3
    page.goto(f"{page.url.split('#')[0]}#view=word&word=happy")
    page.wait_for_selector('html[data-ready="word"]')
    table = page.locator("table", has_text="Influence on each class")
    assert table.locator("tbody th").all_inner_texts() == ["joy"]
    assert page.locator("article").count() > 0


def test_overview_names_what_came_with_the_model(matrix):
    provenance = {
        "word_vectors": "glove",
        "teacher": "bert",
        "attention_supervision": 1.0,
        "corpus": {"source": "data.csv", "revision": "abc"},
        "folded_on": "validation",
    }
    changed = dataclasses.replace(matrix, manifest={**matrix.manifest, "provenance": provenance})
    overview = overview_of(Material("x", changed, {"metrics": {"a": 1, "b": "no"}}, [], None))
    assert dict(overview["facts"])["Corpus"] == "data.csv at abc"
    assert "new to the model" in dict(overview["facts"])["Texts"]
    assert any("glove" in text for text in overview["cautions"])
    assert any("bert" in text for text in overview["cautions"])
    assert any("human rationales" in text for text in overview["cautions"])
    assert overview["quality"] == [("a", 1.0)]
    json.dumps(overview, allow_nan=False)


def test_saved_columns_are_read_like_those_in_memory(columns, matrix, tmp_path):
    matrix.save_pretrained(tmp_path)
    save_columns(columns, tmp_path, {})
    read = read_material(tmp_path)
    assert examples_of(read.columns, matrix, matrix.words).header == (
        examples_of(columns, matrix, matrix.words).header
    )


def test_a_step_of_nothing_is_harmless():
    assert round_step(np.zeros(0)) == round_step(np.full(3, np.nan)) == round_step(np.zeros(2)) == 1


def test_labels_of_which_a_text_may_have_several(columns, tmp_path, show):
    several = List(ClassLabel(names=LABELS))
    probabilities = np.random.default_rng(0).uniform(size=(len(columns), 3))
    rows = columns.to_dict() | {
        "probabilities": probabilities.tolist(),
        "prediction": [np.flatnonzero(row > 0.5).tolist() for row in probabilities],
        "label": [[0, 2] if number % 2 else [] for number in range(len(columns))],
    }
    features = Features({**columns.features, "prediction": several, "label": several})
    multi = Dataset.from_dict(rows, features=features)
    matrix = fold(multi)
    assert matrix.manifest["problem_type"] == "multi_label_classification"
    page = shown_report(matrix, multi, tmp_path, show, "view=texts&result=right")
    right = sum(a == b for a, b in zip(multi["label"], multi["prediction"], strict=True))
    assert page.inner_text(".summary") == f"{right} texts."
    page.get_by_label("Result").select_option("")
    page.get_by_label("Labelled").select_option("joy")
    assert page.inner_text(".summary") == f"{len(columns) // 2} texts."
    assert "labelled joy, <b>odd</b>" in page.locator("article").first.inner_text()
    page.goto(f"{page.url.split('#')[0]}#view=word&word=happy")
    page.wait_for_selector('html[data-ready="word"]')
    told = page.locator('td[data-title="P(class | word)"]').all_inner_texts()
    wanted = matrix.word("happy").set_index("label")["p_class_given_word"]
    names = page.locator("table").nth(1).locator("tbody th").all_inner_texts()
    for name, text in zip(names, told, strict=True):
        assert float(text) == pytest.approx(wanted[name.replace("\\u202e", "\u202e")], rel=0.1)


def test_a_regression_has_values_and_no_classes(columns, tmp_path, show):
    phi = [np.reshape(row, (-1, 3))[:, 0] for row in columns["attribution"]]
    rows = columns.remove_columns(["label", "prediction", "probabilities"]).to_dict() | {
        "attribution": phi,
        "attribution_context": [row * 0.5 for row in phi],
        "probabilities": [None] * len(columns),
        "prediction": [float(row.sum()) for row in phi],
        "label": [float(row.sum()) + 1 for row in phi],
    }
    kinds = {"prediction": Value("float32"), "label": Value("float64")}
    values = Dataset.from_dict(rows, features=Features({**columns.features, **kinds}))
    matrix = fold(values, label_names=["stars"])
    page = shown_report(matrix, values, tmp_path, show, "view=texts")
    verdict = page.locator("article p.verdict").first.inner_text()
    predicted, labelled = re.findall(r"[+−][\d.]+", verdict.split(";")[1])
    assert float(labelled.replace("−", "-")) - float(predicted.replace("−", "-")) == (
        pytest.approx(1, abs=0.02)
    )
    assert not page.get_by_label("Result").is_visible()
    page.goto(f"{page.url.split('#')[0]}#view=class")
    page.wait_for_selector('html[data-ready="class"]')
    assert page.inner_text("main h1") == "What drives stars?"
    assert page.locator(".list tbody tr").count() > 3
    page.goto(f"{page.url.split('#')[0]}#view=word&word=happy")
    page.wait_for_selector('html[data-ready="word"]')
    assert page.locator("table").count() == 1
