"""Pictures show the words they should, whatever is in them."""

import importlib.util

import pytest
from influence.texts import accumulated, random_rows
from matplotlib.figure import Figure
from PIL import Image

from hf_attn_attr import plots
from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.markup import printable

LABELS = ("joy", "$f_ear$", "anger")
WORDS = ["$x^2$", "\\frac{", "a_b", "\u202eabc", "glad", "na\u00efve"]


@pytest.fixture(scope="module")
def matrix():
    rows = random_rows(0, 200, labels=LABELS, vocabulary=WORDS)
    for text, terms in zip(rows["words"], rows["attribution"], strict=True):
        for position, word in enumerate(text):
            terms[3 * position + WORDS.index(word) % 3] += 3
    return accumulated(rows, labels=LABELS).finalize()


@pytest.mark.parametrize("label", LABELS)
def test_bars_and_points_are_those_of_the_top_words(matrix, label):
    ax = plots.plot_top_words(matrix, label, 5, Figure().subplots())
    rows = matrix.top_words(label, 5)
    assert len(rows) >= 2
    shown = ax.get_yticklabels()
    assert [text.get_text() for text in shown] == [printable(word) for word in rows["word"]]
    assert not any(text.get_parse_math() for text in (*shown, ax.title))
    assert ax.get_title() == label
    assert [bar.get_width() for bar in ax.patches] == rows["influence"].tolist()
    points, _, (bars,) = ax.containers[1]
    assert points.get_xdata().tolist() == rows["mean"].tolist()
    ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
    for end, (_, row) in zip(ends, rows.iterrows(), strict=True):
        assert end == pytest.approx([row["low"], row["high"]])


def test_a_picture_has_a_panel_for_each_class(matrix, tmp_path):
    for name in ("a.png", "b.png"):
        plots.save_picture(matrix, tmp_path / name, k=4)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1200, 200)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_cannot_be_drawn_is_named(matrix, monkeypatch, tmp_path):
    with pytest.raises(InvalidInputError, match="'boredom' is not a label"):
        plots.plot_top_words(matrix, "boredom", ax=Figure().subplots())
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    with pytest.raises(InvalidInputError, match="need matplotlib"):
        plots.save_picture(matrix, tmp_path / "a.png")
    assert importlib.util.find_spec("matplotlib")
    assert not list(tmp_path.iterdir())
