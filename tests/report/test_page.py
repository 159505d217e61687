"""The page in a real browser: every view, its controls, its address, and hostile words.

Every page that `show` opens also fails its test if it asks for anything over a network, writes to
the console, or throws.
"""

import re
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from datasets import Dataset, Features

from hf_attn_attr.influence import fold
from hf_attn_attr.report.material import Material
from hf_attn_attr.report.page import page as html_of

from .conftest import HOSTILE, LABELS, example_columns, standing

VIEWS = ["overview", "class", "word", "texts", "compare"]
CONTRAST = Path(__file__).parent / "contrast.js"
PHONE = {"viewport": {"width": 360, "height": 780}}


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def words(page):
    """The words of the table of the class view."""
    return texts(page, ".list tbody th")


def numbers(page, title):
    """A column of the only table of the list."""
    cells = texts(page, f'.list td[data-title="{title}"]')
    return [float(cell.replace("−", "-")) for cell in cells]


def await_heading(page, text):
    page.locator("main h1").get_by_text(text, exact=True).wait_for()


def hash_of(page):
    return page.evaluate("location.hash")


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


# Views


def test_the_overview_says_what_it_is_of_and_how_far_to_trust_it(show, report, matrix):
    page = show(report)
    text = page.inner_text("main")
    assert page.inner_text("header p") == "<u>my</u> model"
    assert f"{matrix.manifest['distinct_words']:,} different" in text
    assert "accuracy 0.870" in text
    assert "partly supported Do the <i>top</i> words drive it?" in text
    assert "2 of 3 classes." in text
    evidence = standing(matrix)
    kinds = [(evidence == kind).sum() for kind in ("consistent", "unsupported")]
    assert f"Of {sum(kinds):,} influences whose interval leaves out 0, {kinds[0]:,} belong" in text
    row = page.locator("table tr", has_text="joy")
    top = matrix.top_words("joy", 6)["word"].tolist()
    assert row.locator("a.word").all_inner_texts()[0] == top[0]


def test_links_lead_through_all_views_and_back(show, report):
    page = show(report)
    for view, link in zip(VIEWS, page.locator("nav a").all(), strict=True):
        link.click()
        page.wait_for_selector(f'html[data-ready="{view}"]')
        assert page.locator("nav a[aria-current]").count() == 1
        assert page.locator("main h1").count() == 1
    for view in reversed(VIEWS[:-1]):
        page.go_back()
        page.wait_for_selector(f'html[data-ready="{view}"]')


@pytest.mark.parametrize("label", LABELS)
def test_a_class_lists_its_words_like_the_matrix_does(show, report, matrix, label):
    page = show(report, "view=class")
    choose(page, "Class", label)
    wanted = matrix.top_words(label, 50)
    order = [word for word in words(page) if word in set(wanted["word"])]
    assert len(order) > 3
    # Equal to a step: words may change places with words of nearly the same bound.
    bound = dict(zip(wanted["word"], wanted["lower_bound"], strict=True))
    assert np.diff([bound[word] for word in order]).max() < 0.1
    assert len(words(page)) == pytest.approx(len(wanted), abs=2)


def test_measures_directions_and_orders_change_the_list(show, report, matrix):
    page = show(report, "view=class&label=joy")
    choose(page, "Direction", "against")
    assert max(numbers(page, "influence")) < 0
    assert words(page)[0] == matrix.top_words("joy", 1, negative=True)["word"].iloc[0]
    for by, title in [
        ("joint", "joint"),
        ("p_word_given_class", "P(word | class)"),
        ("lift", "lift"),
    ]:
        choose(page, "Measure", by)
        assert page.locator(".list caption").inner_text() == f"Words by {title}"
        assert not page.get_by_label("Direction", exact=True).is_visible()
        assert page.locator(".list svg").count() == len(words(page)) > 0
    choose(page, "Measure", "log_odds")
    assert max(numbers(page, "data's log-odds")) < 0
    choose(page, "Order", "word")
    plain = [word for word in words(page) if word.isalnum()]
    assert plain == sorted(plain)
    choose(page, "Order", "texts")
    counts = numbers(page, "texts")
    assert counts == sorted(counts, reverse=True)


def test_search_and_least_texts_narrow_the_list_and_say_what_is_left_out(show, report, matrix):
    page = show(report, "view=class&label=joy&by=lift")
    page.get_by_label("Search").fill("WORD2")
    assert set(words(page)) == {w for w in matrix.words if "word2" in w}
    page.get_by_label("Search").fill("nothing like it")
    assert words(page) == []
    assert "0 words" in page.inner_text(".summary")
    page.get_by_label("Search").fill("")
    least = int(np.median(matrix.document_count))
    page.get_by_label("Texts, at least").fill(str(least))
    assert len(words(page)) == (matrix.document_count >= least).sum()


def test_rows_come_in_portions(show, tmp_path):
    columns = example_columns(texts=60)
    vocabulary = [f"w{i:03}" for i in range(200)]
    rng = np.random.default_rng(0)
    rows = [rng.choice(vocabulary, 40).tolist() for _ in range(60)]
    data = {
        "words": rows,
        "attention": [[1 / 40] * 40] * 60,
        "attribution": [rng.normal(size=40 * 3).tolist() for _ in range(60)],
        "probabilities": columns["probabilities"][:],
        "prediction": columns["prediction"][:],
    }
    features = {name: columns.features[name] for name in data}
    matrix = fold(Dataset.from_dict(data, features=Features(features)))
    path = tmp_path / "many.html"
    path.write_text(html_of(Material("many", matrix, {}, [], None)), encoding="utf-8")
    page = show(path, "view=class&by=lift")
    enough = int((matrix.document_count >= 3).sum())
    assert len(words(page)) == 50 < enough
    page.get_by_role("button", name="Show 50 more").click()
    assert len(words(page)) == 100
    page.get_by_label("Search").fill("w0")
    assert len(words(page)) == 50


def test_a_word_shows_its_profile_neighbours_and_sentences(show, report, matrix):
    page = show(report, "view=word&word=happy")
    rows = page.locator("table", has_text="Influence on each class").locator("tbody tr")
    frame = matrix.word("happy").sort_values("influence", ascending=False)
    assert rows.locator("th").all_inner_texts() == [
        label.replace("\u202e", "\\u202e") for label in frame["label"]
    ]
    shown = rows.locator('td[data-title="influence"]').all_inner_texts()
    assert [float(text.replace("−", "-")) for text in shown] == pytest.approx(
        frame["influence"].tolist(), abs=0.03
    )
    names = dict(zip(matrix.labels, standing(matrix)[matrix.words.index("happy")], strict=True))
    wanted = [names[label].replace("unsupported", "model only") for label in frame["label"]]
    assert rows.locator(".evidence").all_inner_texts() == wanted
    assert page.locator("p.words a").count() == 15
    choose(page, "Sentences for", "fear")
    assert "label=fear" in hash_of(page)
    articles = page.locator("article")
    assert articles.count() == 8
    totals = [
        float(re.search(r"this word here: ([+−\d.]+)", text)[1].replace("−", "-"))
        for text in articles.all_inner_texts()
    ]
    assert totals[:4] == sorted(totals[:4], reverse=True)
    assert totals[4:] == sorted(totals[4:])
    assert totals[3] >= totals[-1]
    assert set(articles.first.locator(".mark.about").all_inner_texts()) == {"happy"}


def test_words_are_suggested_and_chosen_by_keyboard(show, report):
    page = show(report, "view=word")
    box = page.get_by_role("combobox", name="Word")
    box.press_sequentially("HAPP")
    assert sorted(texts(page, "#suggestions bdi")) == ["happier", "happy"]
    assert box.get_attribute("aria-expanded") == "true"
    box.press("ArrowDown")
    chosen = page.locator('#suggestions [aria-selected="true"] bdi').inner_text()
    box.press("Enter")
    await_heading(page, f"What does {chosen} do?")
    box.press("Escape")
    assert not page.locator("#suggestions").is_visible()


def test_a_mistyped_word_is_answered_with_near_ones(show, report):
    page = show(report, "view=word&word=hapy")
    assert "hapy is not among the words" in page.inner_text("main")
    page.locator("p.words a").first.click()
    await_heading(page, "What does happy do?")
    page = show(report, "view=word&word=\u65e5\u672c")
    assert "No word is near it." in page.inner_text("main")


def test_texts_are_filtered_and_highlighted(show, report, columns):
    page = show(report, "view=texts")
    assert page.inner_text(".summary") == f"{len(columns)} texts."
    choose(page, "Result", "errors")
    gold, predicted = (np.array(columns[name][:]) for name in ("label", "prediction"))
    assert page.inner_text(".summary") == f"{(gold != predicted).sum()} texts."
    assert all("error" in text for text in texts(page, "article"))
    choose(page, "Labelled", "fear")
    assert page.inner_text(".summary") == f"{((gold != predicted) & (gold == 1)).sum()} texts."
    choose(page, "Result", "")
    choose(page, "Labelled", "")
    page.get_by_label("Search").fill("happy")
    wanted = sum("happy" in text for text in columns["text"][:])
    assert page.inner_text(".summary") == f"{wanted} texts."
    choose(page, "Highlights for", "fear")
    article = page.locator("article").first
    text = article.locator("p.text").inner_text()
    row = next(i for i, own in enumerate(columns["text"][:]) if shown(own).split() == text.split())
    phi = np.array(columns["attribution"][row]).reshape(-1, 3)
    phi = phi[:, 1] - phi.mean(axis=1)
    marks = article.locator(".mark")
    for index, value in enumerate(phi):
        told = float(marks.nth(index).get_attribute("title").replace("−", "-"))
        assert told == pytest.approx(value, abs=0.03)
        kinds = marks.nth(index).get_attribute("class").split()
        if abs(value) > 0.15 * abs(phi).max():
            assert ("for" in kinds) == (value > 0)
            assert ("against" in kinds) == (value < 0)


def test_two_matrices_are_compared(show, report):
    page = show(report, "view=compare")
    assert page.inner_text("main h1") == "<u>my</u> model and other"
    assert len(words(page)) > 20
    z = np.abs(numbers(page, "z"))
    assert (np.diff(z) <= 0.11).all()
    here, there, difference = (numbers(page, name) for name in ("this", "other", "difference"))
    np.testing.assert_allclose(np.array(there) - here, difference, atol=0.021)
    page.get_by_label("Opposite signs alone").check()
    signs = np.array(numbers(page, "this")) * numbers(page, "other")
    assert (signs <= 0).all()


# Maps


def test_model_and_data_part_where_the_matrix_says(show, report, matrix):
    page = show(report, "view=class&label=fear")
    rows = matrix.disagreements("fear", 20)
    for side in ("model", "data"):
        wanted = rows[rows["stronger_in"] == side]
        if wanted.empty:
            continue
        listed = page.locator("table", has_text=f"Stronger in the {side}").locator("tbody tr")
        bounds = listed.locator('td[data-title="bound"]').all_inner_texts()
        assert [float(text) for text in bounds] == wanted["bound"].round(2).tolist()
        words = listed.locator("th bdi").all_text_contents()
        assert words == [shown(word) for word in wanted["word"]]
    assert len(rows) > 0


def test_maps_show_details_under_the_pointer_and_lead_to_the_word(show, report):
    page = show(report, "view=class&label=joy")
    maps = page.locator("canvas")
    assert maps.count() == 2
    assert "Map of" in maps.first.get_attribute("aria-label")
    coloured = """canvas => {
      const {width, height} = canvas;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      let red = 0;
      for (let i = 0; i < data.length; i += 4) {
        red += data[i + 3] && data[i] > 140 && data[i + 2] < 90;
      }
      return red;
    }"""
    assert maps.first.evaluate(coloured) > 20
    box = maps.first.bounding_box()
    tip = page.locator(".tip").first
    found = None
    for x in range(50, int(box["width"]), 7):
        for y in range(10, int(box["height"]) - 40, 17):
            if found is None:
                page.mouse.move(box["x"] + x, box["y"] + y)
                found = (x, y) if tip.is_visible() else None
    assert found is not None
    assert "influence" in tip.inner_text()
    maps.first.click(position={"x": found[0], "y": found[1]})
    page.wait_for_selector('html[data-ready="word"]')


# The address


def test_the_address_holds_the_whole_state(show, report):
    page = show(report, "view=class")
    choose(page, "Class", "fear")
    choose(page, "Measure", "influence")
    choose(page, "Direction", "against")
    page.get_by_label("Search").fill("word1")
    again = show(report, hash_of(page)[1:])
    assert words(again) == words(page) != []
    assert again.get_by_label("Search").input_value() == "word1"
    assert again.get_by_label("Class").input_value() == "fear"
    assert again.inner_text("main h1") == "What drives fear?"


@pytest.mark.parametrize(
    "fragment",
    [
        *("view=nothing", "view=class&label=nobody&by=beauty&least=-5&more=x", "=&&=", "%E0%A4"),
        *("view=texts&result=x&gold=y", "view=word&word=%00", "view=class&least=1e999"),
        *("view=constructor", "view=__proto__", "view=word&word=toString&label=__proto__"),
    ],
)
def test_a_senseless_address_is_survived(show, report, fragment):
    page = show(report, fragment)
    assert page.locator("main h1").count() == 1


# Looks


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_need_no_sideways_scrolling(show, report, view, scheme):
    page = show(report, f"view={view}&word=happy&label=joy", color_scheme=scheme, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_on_its_ground(show, report, view, scheme):
    page = show(report, f"view={view}&word=happy&label=joy", color_scheme=scheme)
    ratios = page.evaluate(CONTRAST.read_text(encoding="utf-8").split("\n", 1)[1])
    assert len(ratios) > 20
    assert ratios[0][0] >= 4.5, ratios[:3]  # WCAG 2.2, 1.4.3, level AA


def test_colours_can_be_chosen(show, report):
    page = show(report, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.get_by_role("button", name="Colours")
    button.click()
    assert page.evaluate(ground) == light
    button.click()
    assert page.evaluate(ground) != light
    assert "dark" in button.inner_text()


# Keyboard and screen readers


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_has_a_name_and_can_be_reached(show, report, view):
    page = show(report, f"view={view}&word=happy")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("main input, main select, main button, main canvas")]
          .filter(node => !node.labels?.length && !node.ariaLabel && !node.innerText)
          .map(node => node.outerHTML)"""
    )
    assert unnamed == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate('document.activeElement.closest("main") !== null')


def test_results_are_announced(show, report):
    page = show(report, "view=class&by=lift")
    page.get_by_label("Search").fill("happ")
    page.locator("[role=status]", has_text="2 words").wait_for(state="attached")
    bar = page.locator(".bar").first
    assert bar.locator("svg").get_attribute("aria-hidden") == "true"


# Hostile words


def shown(text):
    """What the page makes of characters that hide or turn text."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e]",
        lambda found: f"\\u{ord(found[0]):04x}",
        text,
    )


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_word_is_text_in_every_view(show, report, word):
    page = show(report, f"view=word&word={quote(word.lower(), safe='')}")
    heading = page.inner_text("main h1")
    assert heading == f"What does {shown(word.lower()[:200])} do?"
    assert page.locator("table").count() == 2
    assert shown(word)[:500] in page.locator("article p.text .about").first.text_content()
    page.goto(f"{page.url.split('#')[0]}#view=class&by=lift&search={quote(word.lower(), safe='')}")
    page.wait_for_selector('html[data-ready="class"]')
    listed = page.locator(".list tbody th bdi").all_text_contents()
    assert shown(word.lower()) in listed
    assert page.locator("main script, main img, main iframe").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    row = page.locator(".list tbody th a").nth(listed.index(shown(word.lower())))
    row.click()
    await_heading(page, heading)


def test_a_turned_word_turns_nothing_beside_it(show, report):
    page = show(report, "view=class&by=lift&search=%D7%A9")
    assert page.locator(".list tbody th bdi").count() == 1
    right = page.evaluate(
        """() => {
          const cells = [...document.querySelectorAll(".list tbody tr:first-child > *")];
          return cells.every((cell, i) => i === 0 || cell.offsetLeft > cells[i - 1].offsetLeft);
        }"""
    )
    assert right
