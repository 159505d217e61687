"""Hostile words, labels and names in HTML, Markdown, CSV and on terminals: shown, never obeyed."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hub.test_card import hostile_card, structure, structured
from hub.test_card import matrix as matrix_of
from huggingface_hub import DatasetCard, ModelCard
from influence.texts import accumulated, random_rows
from markdown_it import MarkdownIt
from rich.console import Console
from test_markup import HOSTILE, Reader, shown

from hf_attn_attr.cli.printing import complain, print_csv, print_json, print_parts, records
from hf_attn_attr.errors import AttnAttrError
from hf_attn_attr.highlighting import answer_html
from hf_attn_attr.influence.publishing import influence_card
from hf_attn_attr.markup import html, markdown, printable
from hf_attn_attr.report.material import Material
from hf_attn_attr.report.page import page
from hf_attn_attr.terminal import explanation, influence_table, joint_table

WORDS = [
    *HOSTILE,
    *("'><svg onload=alert(1)>", "</p></bdi><iframe src=//x>", "</script><script>x</script>"),
    *("<math><style><img src onerror=x>", "\"onmouseover='x'", "data:text/html,x", "]]>", "<?x?>"),
    *("+1", "-1", "=1+1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "=cmd|'/c calc'!A1", "a\t=b"),
    *('a"b', '""', "a,b;c", "%0A=1", "\uff1d1", "\ufe63x", "|", "||", "\\|", "a|b|c", "|---|"),
    *("\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b31m", "\x1b]8;;http://x\x07x", "\x07", "\x08\x08"),
    *("\x1bP+q\x1b\\", "\x0e", "\x7f", "a\rb", "[bold]x[/bold]", "[link=http://x]x[/link]"),
    *("\u202d\u202e", "\u2067a\u2068b", "\u061c", "\u200e\u200f", "\U000e0041", "\ufeff"),
    *("---\nlicense: evil", "\n---\nlicense: evil\n---\n", "...", "!!python/object:os.system"),
    *("&amp;lt;", "&NewLine;", "<!DOCTYPE html>", "<base href=//x>", "{{config}}", "${7*7}"),
    *("$(x)", "`x`", "; rm x", "#{7*7}", "<%= 7 %>", "x" * 10_000),
]
TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Elements(HTMLParser):
    """The elements and attributes of a document, and its text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, sorted(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.elements.append(("comment", data))

    handle_decl = handle_pi = unknown_decl = handle_comment


def answer(word, label="joy"):
    told = {"word": word, "start": 0, "end": len(word), "attribution": 0.5, "attention": 1.0}
    return {"label": label, "score": 0.5, "words": [told], "method": "contribution", "truncated": 0}


def test_38_markup_in_html(faults):
    """Markup, scripts, attributes in words, labels and names: HTML holds our elements alone."""
    plain = Elements(answer_html(answer("glad", "joy"))).elements
    for word in WORDS:
        found = Elements(answer_html(answer(word, word)))
        faults.survive(found.elements == plain, word)
        faults.survive(found.text.count(printable(word)) == 2, word)
        reader = Reader()
        reader.feed(f'<b title="{html(word)}">{html(word)}</b>')
        reader.close()
        faults.survive(reader.text == reader.title == printable(word), word)


def test_38_markup_in_the_report(faults):
    """The same in the report page: what texts bring is packed, names are escaped."""

    def report(word):
        matrix = matrix_of((word, "other"), sorted({word, "so"}))
        checks = [{"name": word, "question": word, "verdict": word, "reasons": [word]}]
        return page(Material(word, matrix, {"metrics": {"accuracy": 0.5}}, checks, None))

    plain = Elements(report("glad")).elements
    for word in WORDS:
        faults.survive(Elements(report(word)).elements == plain, word)


def test_38_markup_in_cards(faults):
    """The same in cards: a renderer that lets HTML through makes the same elements of them."""
    render = MarkdownIt("commonmark", {"html": True}).enable("table").render

    def elements(word):
        card = hostile_card(word, "other")
        return Elements(render(card.split("\n---\n", 1)[1])).elements

    ours = {name for name, _ in elements("glad")}
    for word in WORDS:
        found = elements(word)
        faults.survive({name for name, _ in found} <= ours, word)
        faults.survive(not [a for _, names in found for a in names if a.startswith("on")], word)


def test_39_tables_in_cards(faults):
    """`|`, newlines, backticks, `---`, templates, links: a table keeps its shape and its words."""
    plain = structured(hostile_card("glad", "other"))
    for word in WORDS:
        cell = markdown(word)
        table = f"| a | b |\n| --- | --- |\n| {cell} | 1 |\n| 2 | {cell} |\n"
        rows = [["a", "b"], [printable(word), "1"], ["2", printable(word)]]
        faults.survive(shown(table) == rows, word)
        faults.survive(structured(hostile_card(word, "other")) == plain, word)


def test_40_metadata_of_cards(faults):
    """Labels and names of data that look like metadata: the card's metadata is ours."""
    plain = ModelCard(hostile_card("glad", "other")).data.to_dict()

    def table(word):
        origin = {"corpus": {"source": word}, "weights_sha256": word}
        matrix = matrix_of((word, "other"), sorted({word, "so"}), provenance=origin)
        return influence_card(matrix, "user/table", license=None)

    for word in WORDS:
        data = ModelCard(hostile_card(word, "other")).data.to_dict()
        faults.survive(data.keys() == plain.keys() and data["license"] == "mit", word)
        (result,) = data["model-index"][0]["results"]
        faults.survive(result["dataset"]["name"] == printable(word), word)
        faults.survive("license" not in DatasetCard(table(word)).data.to_dict(), word)
        faults.survive(structure(table(word)) == structure(table("glad")), word)


def words_of_csv(text):
    """What our way of reading makes of cells: one apostrophe away where a formula follows."""
    for row in csv.DictReader(io.StringIO(text, newline="")):
        yield re.sub(r"^'(?='*[=+\-@\t\r])", "", row["word"])


def test_41_formulas_in_csv(faults, tmp_path, capsys):
    """Words that begin as formulas do: no cell begins so, and every word is read back exactly."""
    kept = [word for word in WORDS if "\x00" not in word]  # which no reader of CSV takes
    rows = random_rows(0, 300, vocabulary=kept)
    matrix = accumulated(rows, lowercase=False, normalization=None).finalize()
    matrix.to_csv(tmp_path / "table.csv")
    print_csv(matrix.to_pandas())
    wanted = sorted(set(matrix.words))
    for text in ((tmp_path / "table.csv").read_bytes().decode(), capsys.readouterr().out):
        cells = [row["word"] for row in csv.DictReader(io.StringIO(text, newline=""))]
        for cell in set(cells):
            faults.survive(not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell)
        faults.survive(sorted(set(words_of_csv(text))) == wanted)


def test_42_directions_and_terminals(faults, capsys):
    """Overrides, isolates, escape sequences: shown as escapes, nothing reaches the terminal."""
    for word in WORDS:
        rows = matrix_of((word, "other"), sorted({word, "so"})).to_pandas()
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=True, color_system=None)
        for table in (influence_table, joint_table):
            for key in ("word", "label"):
                console.print(table(rows.head(4), key, word))
        explanation(answer(word, word), word, console)
        faults.survive(not CONTROL.search(out.getvalue()), word)
        faults.survive(not TURNING.search(out.getvalue()), word)
        print_parts(word)
        complain(f"Error: {word}")
        print_json(records(rows.head(2)))
        told = capsys.readouterr()
        read = json.loads(told.out[told.out.index("[\n {") :])
        faults.survive(read[0]["word"] in (word, "so"), word)
        faults.survive(not CONTROL.search(told.out + told.err), word)
        faults.survive(not TURNING.search(told.out + told.err + html(word) + markdown(word)), word)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_42_neighbouring_cells_keep_their_order(faults, width):
    """Right-to-left words in a table: isolated or plain, the columns beside them stay."""
    rows = matrix_of(("\u05e9\u05dc\u05d5\u05dd", "other"), ("\u202eevil", "so")).to_pandas()
    out = io.StringIO()
    Console(file=out, width=width).print(influence_table(rows, "word", "Title"))
    for line in out.getvalue().splitlines():
        faults.survive(not TURNING.search(line))
    assert np.isfinite(rows["influence"]).any()


def test_errors_hold_no_control_characters_where_they_are_printed(faults, capsys):
    for word in WORDS:
        complain(str(AttnAttrError(f"{word!r} {word}")))
        faults.survive(not CONTROL.search(capsys.readouterr().err), word)
