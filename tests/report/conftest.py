"""A real browser without a window, and reports to open in it."""

import os
import shutil

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_attn_attr.influence import association, fold
from hf_attn_attr.report.material import Material
from hf_attn_attr.report.page import page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LABELS = ["joy", "fear", "<b>odd</b> \u202elabel"]
HOSTILE = [
    *("<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</script><!--", "&amp;"),
    *("\u202eevil", "a\u2028b", "\x1b[31mred", "\u05e9\u05dc\u05d5\u05dd", "javascript:alert(1)"),
    *("x" * 10_000, "__proto__", "constructor", "=1+1", "%3Cb%3E&view=texts", "\U0001f600"),
]


def without_tool(reason):
    """Skip; but where continuous integration runs, a browser is there or the run fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, or another one on the PATH."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without_tool("playwright is not installed: pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        without_tool("no Chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root, as in containers, Chromium's own sandbox cannot start.
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


@pytest.fixture
def show(browser):
    """Opens a file at a fragment; at the end nothing was asked of a network or complained about."""
    contexts, troubles = [], []

    def open_page(path, fragment="", **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        context.set_default_timeout(5_000)
        shown = context.new_page()
        wanted = path.as_uri()
        shown.on("console", lambda message: troubles.append(message.text))
        shown.on("pageerror", lambda error: troubles.append(error.stack))
        shown.on("dialog", lambda dialog: troubles.append(dialog.message))
        shown.on(
            "request",
            lambda request: (
                request.url.split("#")[0] in (wanted, "data:,") or troubles.append(request.url)
            ),
        )
        shown.goto(f"{wanted}#{fragment}")
        shown.wait_for_selector("html[data-ready]")
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles


def example_columns(labels=LABELS, texts=400, seed=0):
    """Extracted texts of a few ordinary words, and of words that would break a careless page."""
    rng = np.random.default_rng(seed)
    vocabulary = [*(f"word{i}" for i in range(30)), "happy", "happier", "sad", *HOSTILE]
    push = rng.normal(size=(len(vocabulary), len(labels)))
    rows = {name: [] for name in ("text", "label", "words", "word_start", "word_end", "attention")}
    rows |= {name: [] for name in ("attribution", "attribution_context", "probabilities")}
    rows["prediction"] = []
    for number in range(texts):
        chosen = rng.choice(len(vocabulary), rng.integers(1, 9))
        words = [vocabulary[i] for i in chosen]
        starts = np.cumsum([6, *(len(word) + 1 for word in words[:-1])])
        phi = push[chosen] + rng.normal(0, 0.3, (len(words), len(labels)))
        weights = rng.gamma(1, size=len(words)) + 0.1
        logits = phi.sum(axis=0)
        probabilities = np.exp(logits - logits.max())
        rows["text"].append(f"{number:04}> " + " ".join(words) + " <")
        rows["words"].append(words)
        rows["word_start"].append(starts)
        rows["word_end"].append(starts + [len(word) for word in words])
        rows["attention"].append(weights / weights.sum())
        rows["attribution"].append(phi.reshape(-1))
        rows["attribution_context"].append(phi.reshape(-1) * 0.4)
        rows["probabilities"].append(probabilities / probabilities.sum())
        rows["prediction"].append(int(logits.argmax()))
        rows["label"].append(int((logits + rng.normal(0, 1.5, len(labels))).argmax()))
    floats, names = List(Value("float32")), ClassLabel(names=labels)
    return Dataset.from_dict(
        rows,
        features=Features(
            text=Value("string"),
            label=names,
            words=List(Value("string")),
            word_start=List(Value("int32")),
            word_end=List(Value("int32")),
            **{name: floats for name in rows if name.startswith("att") or name[:4] == "prob"},
            prediction=names,
        ),
    )


def folded(columns):
    """The matrix of some columns, and what their gold labels say."""
    matrix = fold(columns, provenance={"method": "contribution"})
    return matrix.with_association(association(columns))


def standing(matrix):
    """The evidence, and "unsupported" where the data do not bear it out, (words, labels)."""
    supported = (matrix.association_q_value <= 0.05) & (matrix.influence * matrix.log_odds > 0)
    unsupported = (matrix.evidence == "consistent") & ~supported
    return np.where(unsupported, "unsupported", matrix.evidence)


@pytest.fixture(scope="session")
def columns():
    return example_columns()


@pytest.fixture(scope="session")
def matrix(columns):
    return folded(columns)


@pytest.fixture(scope="session")
def material(matrix, columns):
    checks = [
        {
            "name": "influence",
            "question": "Do the <i>top</i> words drive it?",
            "verdict": "partly supported",
            "reasons": ["joy: not supported.", "2 of 3 classes."],
        }
    ]
    training = {"metrics": {"accuracy": 0.87}}
    return Material("<u>my</u> model", matrix, training, checks, columns)


@pytest.fixture(scope="session")
def report(material, tmp_path_factory):
    """A report with everything there can be in it."""
    other = example_columns(texts=180)
    matrix = folded(other)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(material, Material("other", matrix, {}, [], None)), encoding="utf-8")
    return path
