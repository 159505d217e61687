"""Hostile text stays text in HTML, Markdown, CSV and a terminal."""

import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.markup import for_csv, for_html, for_markdown, printable

HOSTILE = [
    "<script>alert(1)</script>",
    "\" onload='x' `y`",
    "a\u202eb\u2066c",
    "]]></title>&amp;<!--",
    "[x](javascript:alert(1)) ![y](z) | # h\n- l",
    "x" * 10_000,
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text())


class Reader(HTMLParser):
    """Collects the text of a document and refuses everything but the one wanted element."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.title = "", None

    def handle_starttag(self, tag, attrs):
        assert tag == "b", tag
        assert [name for name, _ in attrs] == ["title"]
        self.title = attrs[0][1]

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


@given(texts)
def test_html_reads_back_as_the_text(text):
    reader = Reader()
    reader.feed(f'<b title="{for_html(text)}">{for_html(text)}</b>')
    reader.close()
    assert reader.text == reader.title == printable(text)


@given(texts)
def test_printable_text_has_nothing_that_hides_or_turns(text):
    shown = printable(text)
    kinds = {unicodedata.category(character) for character in shown} - {"Cn", "Co"}
    assert kinds.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert {c for c in shown if unicodedata.category(c) == "Cf"} <= {"\u200c", "\u200d"}
    assert printable(shown) == shown


def test_words_of_any_script_are_printed_as_they_are():
    for word in (
        "na\u00efve",
        "\u0634\u0643\u0631\u0627",
        "\u0645\u06cc\u200c\u062e",
        "\U0001f469\u200d\U0001f467",
    ):
        assert printable(word) == word


@given(texts)
def test_markdown_is_one_line_without_markup(text):
    line = for_markdown(text)
    assert "\n" not in line
    assert re.sub(r"\\(.)", r"\1", line) == printable(text)
    assert not re.search(r"(?<!\\)(\\\\)*[<>\[\]|`*_#&!]", line)


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "'=x", "\tx", "\rx"])
def test_csv_formulas_get_an_apostrophe_that_comes_off_again(text):
    assert for_csv(text) == f"'{text}"


@given(texts)
def test_csv_texts_are_restored_by_one_rule(text):
    cell = for_csv(text)
    assert cell == text or cell == f"'{text}"
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
