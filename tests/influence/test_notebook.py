"""What notebooks show of a matrix and of its answers."""

import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from hf_attn_attr.colours import AGAINST, FOR, tint
from hf_attn_attr.influence.notebook import _WIDTH, rows_html

from .texts import LABELS, VOCABULARY, accumulated, random_rows


class Cells(HTMLParser):
    """The texts of the cells of each row; anything that could run is refused."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.rows, self.bars = [], 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert tag in ("table", "tr", "th", "td", "bdi", "div", "b", "p"), tag
        assert {name for name, _ in attrs} <= {"style"}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        self.bars += any("position:absolute" in value for _, value in attrs)

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def matrix():
    vocabulary = [*VOCABULARY, "<script>alert(1)</script>", '"><img src=x onerror=y>']
    return accumulated(random_rows(0, 200, vocabulary=vocabulary)).finalize()


def test_a_matrix_shows_its_size_and_the_top_words_of_each_class(matrix):
    source = matrix._repr_html_()
    rows = Cells(source).rows
    assert f"{len(matrix.words)} words x 3 classes, {matrix.manifest['texts']} texts" in source
    assert f"method {matrix.manifest['method']}" in source
    assert rows[0] == ["class", "driven by"]
    assert [row[0] for row in rows[1:]] == list(LABELS)
    for label, row in zip(LABELS, rows[1:], strict=True):
        for word, value in matrix.top_words(label, 5)[["word", "influence"]].itertuples(
            index=False
        ):
            assert f"{value:+.2f}" in row[1]
            assert word.isalpha() is False or word in row[1]


def test_rows_show_their_numbers_and_bars(matrix):
    frame = matrix.word("hope")
    cells = Cells(frame._repr_html_())
    assert len(cells.rows) == 1 + len(frame)
    head = ["word", "label", "", "influence", "95% interval", "lower bound", "texts", "evidence"]
    assert cells.rows[0] == head
    for shown, row in zip(cells.rows[1:], frame.to_dict("records"), strict=True):
        assert shown[:2] == ["hope", row["label"]]
        assert shown[3] == f"{row['influence']:+.3f}"
        assert shown[4] == f"{row['low']:+.3f} … {row['high']:+.3f}"
        assert shown[6:] == [str(row["documents"]), row["evidence"]]
    assert cells.bars == 2 * len(frame)


@pytest.mark.parametrize("by", ["lower_bound", "joint"])
def test_every_word_is_text(matrix, by):
    for label in LABELS:
        rows = matrix.top_words(label, 1000, by=by, min_documents=0)
        shown = Cells(rows._repr_html_()).rows[1:]
        assert len(shown) == len(rows)


def test_what_is_made_from_rows_is_an_ordinary_frame(matrix):
    rows = matrix.top_words("joy", 5)
    assert isinstance(rows, pd.DataFrame)
    for made in (rows.head(2), rows[["word"]], rows.copy(), rows.sort_values("count")):
        assert type(made) is pd.DataFrame
    pd.testing.assert_frame_equal(pd.DataFrame(rows), rows.copy())


def test_empty_and_long_and_undefined_rows_are_shown(matrix):
    vocabulary = [f"w{i}" for i in range(200)]
    many = accumulated(random_rows(1, 300, vocabulary=vocabulary)).finalize()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "more rows" in many.top_words("joy", 200, by="joint")._repr_html_()
        empty = matrix.top_words("joy", 0)._repr_html_()
        assert len(Cells(empty).rows) == 1
        rows = random_rows(2, 30)
        rows["attribution"] = rows["attribution_context"] = [None] * 30
        silent = accumulated(rows).finalize()
        assert "driven by" not in silent._repr_html_()
        shown = Cells(silent.word("hope")._repr_html_()).rows[1]
        assert shown[3:6] == ["–", "–", "0.000" if not np.isnan(silent.lower_bound).all() else "–"]


def blocks_of(rows):
    """(left, width, colour) of every block of every bar, in pixels."""
    found = re.findall(
        r"position:absolute;left:(-?\d+)px;width:(\d+)px;top:(\d)px;height:\d+px;"
        r"background:([^\"]+)\"",
        rows_html(rows),
    )
    return [(int(left), int(width), top == "3", colour) for left, width, top, colour in found]


def test_bars_are_drawn_to_scale_from_zero():
    names = ("word", "label", "influence", "low", "high", "lower_bound", "documents", "evidence")
    rows = pd.DataFrame(
        [
            ("up", "joy", 0.5, 0.25, 0.75, 0.3, 9, "consistent"),
            ("down", "joy", -0.125, -0.25, 0.0, 0.0, 9, "uncertain"),
            ("rare", "joy", 0.0625, np.nan, np.nan, 0.0, 1, "insufficient"),
            ("none", "joy", np.nan, np.nan, np.nan, np.nan, 1, "insufficient"),
        ],
        columns=names,
    )
    # 1 of influence is as long as the bar: it reaches from -0.25 to 0.75.
    unit, zero = _WIDTH, _WIDTH / 4
    found = blocks_of(rows)
    assert "nan" not in rows_html(rows)
    assert [block[:3] for block in found] == [
        (round(zero), round(unit / 2), True),
        (round(unit / 2), round(unit / 2), False),
        (round(zero - unit / 8), round(unit / 8), True),
        (0, round(unit / 4), False),
        (round(zero), round(unit / 16), True),
    ]
    towards, against = found[0][3], found[2][3]
    assert towards == tint(FOR, 0.8) != against == tint(AGAINST, 0.8)
    assert found[4][3] == towards
    assert found[1][3] == found[3][3] == "currentColor"
    nothing = rows.iloc[3:].assign(influence=0.0)
    assert blocks_of(nothing) == []
    (speck,) = blocks_of(rows.iloc[2:3].assign(influence=1e-9, low=np.nan))
    assert speck[1] == round(unit)  # the only one, so the largest
