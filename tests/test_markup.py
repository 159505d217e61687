"""Foreign text in Markdown, HTML and CSV shows itself and does nothing."""

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hf_attn_attr.markup import csv, html, markdown, printable, python

HOSTILE = [
    *("<script>alert(1)</script>", "x<img src=y onerror=z>", '"', "javascript:alert(1)"),
    *("a|b", "a\nb", "a\r\n\r\n# b", "`", "```", "---", "{{7*7}}", "{% raw %}", "&lt;", "&#60;"),
    *("[x](javascript:y)", "![x](y)", "<!-- x", "-->", "*x*", "_x_", "~~x~~", "\\", "\\|", "#"),
    *("http://example.org", "www.example.org", "a@example.org", "@user", ":smile:", "1. x", "- x"),
    *("\u202eevil", "\u2066x\u2069", "\u200b", "\x00", "\x1b[31m", "a\u2028b", " x ", "\u00a0x"),
    *("don't", "well-known", "caf\u00e9", "\u65e5\u672c", "\U0001f44d\U0001f3fd", "\u05e9\u05dc"),
]  # fmt: skip


def shown(source):
    """The cells of the one table in a Markdown document, as text; anything else fails."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    assert {token.type for token in tokens} <= {
        *("table_open", "thead_open", "tr_open", "th_open", "inline", "th_close", "tr_close"),
        *("thead_close", "tbody_open", "td_open", "td_close", "tbody_close", "table_close"),
    }
    rows, row = [], []
    for token in tokens:
        if token.type == "inline":
            assert all(child.type in ("text", "text_special") for child in token.children)
            row.append("".join(child.content for child in token.children))
        elif token.type == "tr_close":
            rows.append(row)
            row = []
    return rows


def every_example(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


@every_example
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_cell_shows_the_text_and_the_table_keeps_its_shape(text):
    cell = markdown(text)
    assert shown(f"| a | b |\n| --- | --- |\n| {cell} | 1 |\n| 2 | {cell} |\n") == [
        ["a", "b"],
        [printable(text), "1"],
        ["2", printable(text)],
    ]


@every_example
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_sentence_shows_the_text(text):
    for source in (f"{markdown(text)}", f"Of {markdown(text)}:", f"{markdown(text)} is"):
        opened, inline, closed = MarkdownIt("commonmark").parse(source)
        assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
        assert all(child.type in ("text", "text_special") for child in inline.children)
        wanted = source.replace(markdown(text), printable(text))
        assert "".join(child.content for child in inline.children) == wanted


@pytest.mark.parametrize(
    "text", ["joy", "don't", "well-known", "1,000.5", "a_b.csv", "caf\u00e9", "so happy"]
)
def test_ordinary_words_stay_readable(text):
    assert markdown(text) == text


@every_example
@given(st.text())
def test_a_literal_of_python_is_that_text_on_one_line(text):
    literal = python(text)
    assert "\n" not in literal
    assert eval(literal) == text
    literal.encode()


class Reader(HTMLParser):
    """Collects the text of a document and refuses everything but one kind of element."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.title = "", None

    def handle_starttag(self, tag, attrs):
        assert (tag, len(attrs)) == ("b", 1)
        self.title = dict(attrs)["title"]

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


@every_example
@given(st.text())
def test_html_reads_back_as_the_text(text):
    reader = Reader()
    reader.feed(f'<b title="{html(text)}">{html(text)}</b>')
    reader.close()
    assert reader.text == reader.title == printable(text)


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "'=x", "\tx", "\rx"])
def test_a_formula_in_csv_gets_an_apostrophe_that_comes_off_again(text):
    assert csv(text) == f"'{text}"


@every_example
@given(st.text())
def test_no_csv_cell_begins_a_formula(text):
    assert csv(text) in (text, f"'{text}")
    assert not csv(text).startswith(("=", "+", "-", "@", "\t", "\r"))
