"""How large the report page is, and how fast it opens and answers, at 50,000 words x 28 classes.

The texts are generated: every word once, the rest by Zipf's law, with gold labels at random; the
matrix is folded from them. Opening is
timed from outside until the page is ready; answers inside, from the event to the frame after it.
The maps of a class follow their list a frame later, and are timed on their own.
"""

import argparse
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from common import save, show
from datasets import ClassLabel, Dataset, Features, List, Value
from playwright.sync_api import Page, sync_playwright

from hf_attn_attr.influence import InfluenceMatrix, association, fold
from hf_attn_attr.report.material import Material
from hf_attn_attr.report.page import page as html_of

LENGTH = 12
TARGETS = {"size": 5.0, "opening": 1_000.0, "filter": 100.0, "search": 100.0}

# A message posted from an animation frame arrives when the frame has been painted.
PAINTED = """() => {
  window.painted = () => new Promise(done => requestAnimationFrame(() => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(null);
  }));
}"""
TYPE = """async ([label, text]) => {
  const inputs = [...document.querySelectorAll("input, select")];
  const control = inputs.find(one => one.labels[0]?.textContent === label);
  const start = performance.now();
  control.value = text;
  control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
  await painted();
  return performance.now() - start;
}"""
MAPS = """async label => {
  const selects = [...document.querySelectorAll("select")];
  const select = selects.find(one => one.labels[0]?.textContent === "Class");
  const start = performance.now();
  select.value = label;
  select.dispatchEvent(new Event("change"));
  const maps = [...document.querySelectorAll("canvas")];
  const drawn = () => maps.every(map => map.ariaLabel?.includes(label));
  while (!drawn()) await painted();
  return performance.now() - start;
}"""
GO = """async fragment => {
  const start = performance.now();
  location.hash = fragment;
  await new Promise(done => addEventListener("hashchange", done, {once: true}));
  await painted();
  return performance.now() - start;
}"""


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--words", type=int, default=50_000)
    options.add_argument("--classes", type=int, default=28)
    options.add_argument("--texts", type=int, default=60_000)
    options.add_argument("--repeats", type=int, default=7)
    given = options.parse_args()
    columns = generated(given.words, given.classes, given.texts)
    matrix = fold(columns, provenance={"method": "contribution"})
    matrix = matrix.with_association(association(columns))
    start = time.perf_counter()
    html = html_of(Material("generated", matrix, {}, [], columns))
    writing = time.perf_counter() - start
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(html, encoding="utf-8")
        numbered, milliseconds = measure(path, matrix, given.repeats)
    report(matrix, numbered, len(html.encode()) / 1e6, writing, milliseconds)


def generated(n_words: int, n_classes: int, n_texts: int) -> Dataset:
    """Extracted texts of so many words, each of which occurs."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_words + 1)
    drawn = rng.choice(n_words, n_texts * LENGTH - n_words, p=share / share.sum())
    ids = rng.permutation(np.concatenate([np.arange(n_words), drawn]))
    letters = rng.choice(list("aeiounrstldmkpbg"), (n_words, 10))
    lengths = rng.integers(3, 10, n_words)
    vocabulary = [
        "".join(row[:length]) + str(number % 97)
        for number, (row, length) in enumerate(zip(letters, lengths, strict=True))
    ]
    vocabulary = list(dict.fromkeys(vocabulary))
    vocabulary += [f"more{number}x" for number in range(n_words - len(vocabulary))]
    words = np.array(vocabulary, object)[ids]
    push = rng.standard_t(3, (n_words, n_classes)) * 0.3
    phi = (push[ids] + rng.normal(0, 0.4, (len(ids), n_classes))).astype(np.float32)
    weights = rng.gamma(1, size=(n_texts, LENGTH))
    logits = phi.reshape(n_texts, LENGTH, n_classes).sum(axis=1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    names = [f"class {number}" for number in range(n_classes)]
    starts = np.cumsum(
        [[0] + [len(word) + 1 for word in row[:-1]] for row in words.reshape(n_texts, LENGTH)],
        axis=1,
    )
    ends = starts.reshape(-1) + [len(word) for word in words]
    floats, integers, label = List(Value("float32")), List(Value("int32")), ClassLabel(names=names)
    features = Features(
        text=Value("string"), words=List(Value("string")), word_start=integers, word_end=integers,
        attention=floats, attribution=floats, attribution_context=floats, probabilities=floats,
        prediction=label, label=label,
    )  # fmt: skip
    arrays = {
        "text": [" ".join(row) for row in words.reshape(n_texts, LENGTH)],
        "words": ragged(pa.array(words.tolist()), n_texts),
        "word_start": ragged(starts.reshape(-1), n_texts),
        "word_end": ragged(ends, n_texts),
        "attention": ragged((weights / weights.sum(axis=1, keepdims=True)).reshape(-1), n_texts),
        "attribution": ragged(phi.reshape(-1), n_texts),
        "attribution_context": ragged((phi * rng.uniform(0, 1, phi.shape)).reshape(-1), n_texts),
        "probabilities": ragged((odds / odds.sum(axis=1, keepdims=True)).reshape(-1), n_texts),
        "prediction": logits.argmax(axis=1),
        "label": rng.integers(0, n_classes, n_texts),
    }
    return Dataset(pa.table(arrays).cast(features.arrow_schema))


def ragged(flat: Any, rows: int) -> pa.Array:
    """Lists of equal length."""
    offsets = np.linspace(0, len(flat), rows + 1).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def measure(
    path: Path, matrix: InfluenceMatrix, repeats: int
) -> tuple[int, dict[str, list[float]]]:
    """How many words have numbers on the page, and milliseconds of each action."""
    frequent = matrix.words[int(matrix.document_count.argmax())]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        found: dict[str, list[float]] = {}
        for number in range(repeats):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]")
            found.setdefault("opening", []).append((time.perf_counter() - start) * 1e3)
            page.evaluate(PAINTED)
            told = re.search(r"([\d,]+) words have numbers here", page.inner_text("main"))
            assert told
            for name, act in actions(number, frequent):
                found.setdefault(name, []).append(act(page))
                page.wait_for_timeout(300)  # maps of this action are not part of the next
            context.close()
        browser.close()
    return int(told[1].replace(",", "")), found


def actions(number: int, frequent: str) -> list[tuple[str, Callable[[Page], float]]]:
    """What a reader does, by name, in this order; `number` makes each time a little different."""
    label, other = f"class {number}", f"class {number + 1}"
    return [
        ("view: a class", lambda page: page.evaluate(GO, "view=class")),
        ("filter: another class", lambda page: page.evaluate(TYPE, ["Class", label])),
        ("maps: of another class", lambda page: page.evaluate(MAPS, other)),
        ("filter: another measure", lambda page: page.evaluate(TYPE, ["Measure", "lift"])),
        ("search: one letter", lambda page: page.evaluate(TYPE, ["Search", "aeioun"[number % 6]])),
        ("search: three letters", lambda page: page.evaluate(TYPE, ["Search", "ras"])),
        ("search: cleared", lambda page: page.evaluate(TYPE, ["Search", ""])),
        ("filter: texts at least", lambda page: page.evaluate(TYPE, ["Texts, at least", "10"])),
        ("search: a word", lambda page: page.evaluate(GO, f"view=word&word={frequent}")),
        ("search: a mistyped word", lambda page: page.evaluate(GO, f"view=word&word={frequent}x")),
        ("view: texts", lambda page: page.evaluate(GO, "view=texts")),
        ("search: texts", lambda page: page.evaluate(TYPE, ["Search", "ra"])),
    ]


def report(
    matrix: InfluenceMatrix,
    numbered: int,
    size: float,
    writing: float,
    milliseconds: dict[str, list[float]],
) -> None:
    """Print and save the table."""
    enough = int((matrix.document_count >= 3).sum())
    rows = [("size", "", f"{size:.2f} MB", "", f"<= {TARGETS['size']:.0f} MB")]
    for name, values in milliseconds.items():
        target = TARGETS.get(name.split(":")[0])
        wanted = "" if target is None else f"< {target:,.0f} ms"
        spread = (min(values), median(values), max(values))
        rows.append((name, *(f"{value:.0f} ms" for value in spread), wanted))
    show(
        f"{len(matrix.words):,} words x {len(matrix.labels)} classes; {enough:,} words in 3 texts "
        f"or more, {numbered:,} with numbers on the page; written in {writing:.1f} s",
        ("what", "least", "median", "most", "target"),
        rows,
    )
    result = {
        "words": len(matrix.words),
        "in_three_texts": enough,
        "with_numbers": numbered,
        "classes": len(matrix.labels),
        "texts": matrix.manifest["texts"],
        "megabytes": size,
        "seconds_to_write": writing,
        "milliseconds": milliseconds,
    }
    save("report", result)


if __name__ == "__main__":
    main()
