"""What the pictures show is what the matrix says."""

import dataclasses
import importlib.util
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import hf_attn_attr
from hf_attn_attr import (
    plot_attention,
    plot_heatmap,
    plot_model_vs_data,
    plot_top_words,
    plot_word,
    write_pictures,
)
from hf_attn_attr.colours import AGAINST, FOR
from hf_attn_attr.errors import InvalidInputError, MissingDependencyError
from hf_attn_attr.report import save_picture

from .conftest import LABELS

ANSWER = {
    "label": "joy",
    "score": 0.75,
    "words": [
        {"word": "so", "start": 0, "end": 2, "attention": 0.25, "attribution": -0.5},
        {"word": "$happy$", "start": 3, "end": 10, "attention": 0.75, "attribution": 2.0},
    ],
}


@pytest.fixture(autouse=True)
def no_window():
    """Figures that no display is needed for, closed after each test."""
    matplotlib.use("Agg")
    yield
    matplotlib.pyplot.close("all")


def drawn(ax):
    """Draw the figure for real, so that what cannot be drawn fails."""
    ax.figure.canvas.draw()
    return ax


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def stacks(ax, rows):
    """Bars of each row: (start, end, colour)."""
    bars = [bar for bar in ax.patches if isinstance(bar, Rectangle)]
    by_part = [bars[start : start + rows] for start in range(0, len(bars), rows)]
    return [
        [(bar.get_x(), bar.get_x() + bar.get_width(), to_hex(bar.get_facecolor())) for bar in row]
        for row in zip(*by_part, strict=True)
    ]


@pytest.mark.parametrize("negative", [False, True])
def test_top_words_are_drawn_with_parts_and_intervals(matrix, negative):
    ax = drawn(plot_top_words(matrix, "joy", 6, negative=negative))
    rows = matrix.top_words("joy", 6, negative=negative)
    names = [name.replace("\x1b", "\\x1b").replace("\u2028", "\\u2028") for name in rows["word"]]
    shown = [name[:27] + "…" if len(name) > 28 else name for name in names]
    assert labels_of(ax.yaxis) == shown
    for (own, context), row in zip(stacks(ax, len(rows)), rows.itertuples(), strict=True):
        assert own[1] - own[0] == pytest.approx(row.word_part)
        assert context[1] - context[0] == pytest.approx(row.context_part)
        if row.word_part * row.context_part > 0:
            assert context[0] == pytest.approx(own[1])
            assert context[1] == pytest.approx(row.influence)
        assert own[2] == (FOR if row.word_part > 0 else AGAINST)
    (lines,) = ax.collections
    ends = [segment[:, 0].tolist() for segment in lines.get_segments()]
    np.testing.assert_allclose(ends, rows[["low", "high"]])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_word_is_drawn_for_all_classes(matrix):
    ax = drawn(plot_word(matrix, "HAPPY"))
    rows = matrix.word("happy").sort_values("influence", ascending=False)
    assert labels_of(ax.yaxis) == [name.replace("\u202e", "\\u202e") for name in rows["label"]]
    (_, ticks) = ax.lines[:2]
    assert ticks.get_xdata().tolist() == rows["influence"].tolist()
    assert "happy" in ax.get_title(loc="left").lower()


def test_a_matrix_without_parts_has_one_bar_a_word(matrix):
    nothing = np.full(matrix.influence.shape, np.nan)
    whole = dataclasses.replace(matrix, word_part=nothing, context_part=nothing)
    ax = drawn(plot_top_words(whole, "joy", 5))
    wanted = whole.top_words("joy", 5)["influence"].tolist()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(wanted)


def test_a_heatmap_holds_the_influences(matrix):
    ax = drawn(plot_heatmap(matrix, ["happy", "sad", "word1"]))
    (image,) = ax.images
    wanted = [matrix.word(word)["influence"] for word in ("happy", "sad", "word1")]
    np.testing.assert_allclose(image.get_array(), wanted)
    assert image.norm.vmin == -image.norm.vmax
    assert labels_of(ax.yaxis) == ["happy", "sad", "word1"]
    own = plot_heatmap(matrix, k=2)
    top = [word for label in LABELS for word in matrix.top_words(label, 2)["word"]]
    assert len(labels_of(own.yaxis)) == len(set(top))


def test_the_model_is_drawn_against_the_data(matrix):
    ax = drawn(plot_model_vs_data(matrix, "fear", 5))
    rows = matrix.top_words("fear", 1000, by="documents")
    points = ax.collections[0].get_offsets()
    assert {tuple(point) for point in points} == set(
        zip(rows["log_odds"], rows["influence"], strict=True)
    )
    assert 0 < len(ax.texts) <= 5
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    unknown = dataclasses.replace(matrix, log_odds=np.full(matrix.influence.shape, np.nan))
    with pytest.raises(InvalidInputError, match="log-odds"):
        plot_model_vs_data(unknown, "fear")


def test_a_text_is_coloured_by_attribution_and_underlined_by_attention():
    ax = drawn(plot_attention(ANSWER))
    assert [text.get_text() for text in ax.texts] == ["so", "$happy$"]
    ground_so, line_so, ground_happy, line_happy = ax.patches
    assert to_hex(ground_so.get_facecolor()) == AGAINST
    assert to_hex(ground_happy.get_facecolor()) == FOR
    assert ground_happy.get_alpha() == pytest.approx(4 * ground_so.get_alpha())
    assert line_happy.get_width() == pytest.approx(7)
    assert line_so.get_width() == pytest.approx(2 / 3)
    places = [text.get_window_extent() for text in ax.texts]
    boxes = [patch.get_window_extent() for patch in (ground_so, ground_happy)]
    for place, box in zip(places, boxes, strict=True):
        assert place.width == pytest.approx(box.width, rel=0.1)


def test_a_text_with_attention_or_attribution_alone_is_drawn():
    for missing in ("attention", "attribution"):
        words = [{**word, missing: None} for word in ANSWER["words"]]
        drawn(plot_attention({**ANSWER, "words": words}))
    long = {**ANSWER, "words": ANSWER["words"] * 60}
    assert len({text.get_position()[1] for text in drawn(plot_attention(long)).texts}) > 5


@pytest.mark.parametrize("answer", [{}, {"words": []}, "text", None])
def test_what_is_no_answer_is_refused(answer):
    with pytest.raises(InvalidInputError, match="attention-attribution"):
        plot_attention(answer)


def test_formulas_and_hostile_words_are_drawn_as_they_are(matrix):
    words = {"happy": "$x^{$", "sad": "$\\frac{1}$", "word1": "_hidden"}
    renamed = [words.get(word, word) for word in matrix.words]
    order = np.argsort(renamed)
    changed = {
        name: getattr(matrix, name)[order]
        for name, value in vars(matrix).items()
        if isinstance(value, np.ndarray)
    }
    changed.pop("evidence", None)
    hostile = dataclasses.replace(matrix, words=tuple(sorted(renamed)), **changed)
    drawn(plot_heatmap(hostile, list(words.values())))
    drawn(plot_word(hostile, "$x^{$"))
    drawn(plot_top_words(hostile, "joy", 40))
    drawn(plot_model_vs_data(hostile, "joy", 40))


def test_axes_that_are_given_are_drawn_on(matrix):
    figure = Figure()
    axes = figure.subplots(2, 2)
    assert plot_top_words(matrix, "joy", ax=axes[0, 0]) is axes[0, 0]
    assert plot_word(matrix, "happy", ax=axes[0, 1]) is axes[0, 1]
    assert plot_model_vs_data(matrix, "joy", ax=axes[1, 0]) is axes[1, 0]
    assert plot_attention(ANSWER, ax=axes[1, 1]) is axes[1, 1]
    figure.canvas.draw()


def test_pictures_of_a_folder_are_the_same_bytes_twice(matrix, tmp_path):
    matrix.save_pretrained(tmp_path)
    files = write_pictures(tmp_path)
    assert [path.name for path in files] == ["top_words.png", "heatmap.png", "model_vs_data.png"]
    assert {path.parent for path in files} == {tmp_path / "pictures"}
    again = write_pictures(tmp_path, tmp_path / "again")
    for one, other in zip(files, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.read_bytes().startswith(b"\x89PNG")
        assert one.stat().st_size < 500_000


def test_a_matrix_of_attention_alone_has_no_pictures(matrix, tmp_path):
    nothing = np.full(matrix.influence.shape, np.nan)
    names = ("influence", "mean", "low", "high", "lower_bound", "word_part", "context_part")
    silent = dataclasses.replace(matrix, **dict.fromkeys(names, nothing))
    silent.save_pretrained(tmp_path)
    assert write_pictures(tmp_path) == []
    with pytest.raises(InvalidInputError, match="no influences"):
        plot_heatmap(silent, ["happy"])


def test_the_command_draws_pictures(command, matrix, tmp_path):
    matrix.save_pretrained(tmp_path)
    done = command("report", tmp_path, "--png", "-o", tmp_path / "page.html")
    assert done.status == 0
    assert done.out.count("Written:") == 4
    assert (tmp_path / "pictures" / "heatmap.png").is_file()


def test_without_matplotlib_the_error_says_what_to_install(matrix, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "hf_attn_attr.report.pictures.find_spec",
        lambda name: None if name == "matplotlib" else found(name),
    )
    with pytest.raises(MissingDependencyError, match=r"hf-attn-attr\[plots\]"):
        plot_word(matrix, "happy")
    assert issubclass(MissingDependencyError, (hf_attn_attr.AttnAttrError, ImportError))


def test_naming_the_functions_loads_no_drawing_library():
    code = (
        "import sys, hf_attn_attr as h; h.plot_word; h.InfluenceMatrix; h.write_report;"
        "print({'matplotlib', 'jinja2', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_one_picture_for_a_card(matrix, tmp_path):
    for name in ("a.png", "b.png"):
        save_picture(matrix, tmp_path / name, k=4)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
