"""Mutated artifacts and random Unicode strings: `make fuzz`.

    python tests/faults/fuzz.py --artifacts 200000 --strings 50000 --seed 0

A mutant is a saved matrix, folder of columns or accumulator with some bytes of one file changed. It
has to be refused with one of our errors, or to give what the sound one gives. One in ten is vouched
for: its digests are made right again, as somebody who means harm would; then other content may be
read, but any error must be ours. A string has to come back exactly from the tokenizer's offsets,
HTML, Markdown and CSV, and to hold nothing that drives a terminal.
"""

import argparse
import csv
import hashlib
import io
import json
import random
import re
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from influence.test_folding import dataset_of  # noqa: E402
from influence.test_storage import same  # noqa: E402
from influence.texts import LABELS, VOCABULARY, accumulated, random_rows  # noqa: E402
from test_markup import HOSTILE, Reader, shown  # noqa: E402

from hf_attn_attr import InfluenceAccumulator, InfluenceMatrix, train_tokenizer  # noqa: E402
from hf_attn_attr.columns import load_columns, save_columns  # noqa: E402
from hf_attn_attr.encoding import encode  # noqa: E402
from hf_attn_attr.errors import AttnAttrError  # noqa: E402
from hf_attn_attr.files import sealed_json  # noqa: E402
from hf_attn_attr.markup import csv as csv_cell  # noqa: E402
from hf_attn_attr.markup import csv_quoting, html, markdown, printable  # noqa: E402

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "fuzz.json"
BATCH = 250
OURS = AttnAttrError


class Artifact(NamedTuple):
    """A saved file, what reads it, and whether that gave what the sound file gives."""

    path: Path
    data: bytes
    read: Callable[[], Any]
    equal: Callable[[Any], bool]
    manifest: Path | None


def artifacts(folder: Path) -> list[Artifact]:
    """Saved files of each kind in `folder`."""
    rows = random_rows(0, 12, vocabulary=VOCABULARY[:9])
    accumulated(rows).finalize({"corpus": "fuzz"}).save_pretrained(folder / "matrix")
    save_columns(dataset_of(rows), folder / "columns", {"labels": list(LABELS)})
    accumulated(rows).save(folder / "state")
    place = folder / "matrix" / "influence"

    def matrix() -> Any:
        return InfluenceMatrix.from_pretrained(place)

    def columns() -> Any:
        dataset, provenance = load_columns(folder / "columns")
        return dataset.to_list(), provenance

    def state() -> Any:
        return InfluenceAccumulator.load(folder / "state")

    def kept(accumulator: InfluenceAccumulator) -> bytes:
        accumulator.save(folder / "again")
        return (folder / "again").read_bytes()

    sound_matrix, sound_columns, sound_state = matrix(), columns(), kept(state())

    def is_matrix(found: InfluenceMatrix) -> bool:
        return found.manifest == sound_matrix.manifest and same(found, sound_matrix)

    told = [
        (place / "influence.parquet", matrix, is_matrix, place / "manifest.json"),
        (place / "manifest.json", matrix, is_matrix, None),
        (folder / "columns" / "columns.parquet", columns, sound_columns.__eq__,
         folder / "columns" / "columns.json"),
        (folder / "columns" / "columns.json", columns, sound_columns.__eq__, None),
        (folder / "state", state, lambda found: kept(found) == sound_state, None),
    ]  # fmt: skip
    return [Artifact(path, path.read_bytes(), *rest) for path, *rest in told]


def mutated(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """`data` with one to four changes; `other` is where bytes are spliced in from."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randrange(len(found) + 1)
        length = min(int(rng.expovariate(1 / 16)) + 1, len(found))
        kind = rng.randrange(9)
        if kind <= 1 and start < len(found):
            found[start] ^= 1 << rng.randrange(8)
        elif kind == 2:
            found[start : start + length] = rng.randbytes(length)
        elif kind == 3:
            del found[start : start + length]
        elif kind == 4:
            found[start:start] = rng.randbytes(length)
        elif kind == 5:
            found[start : start + length] = bytes(length)
        elif kind == 6:
            del found[start:]
        elif kind == 7:
            source = rng.randrange(len(other))
            found[start : start + length] = other[source : source + length]
        else:  # a number of the file: a large one
            found[start : start + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"9999"))
    return bytes(found)


def vouched(artifact: Artifact, mutant: bytes, rng: random.Random) -> tuple[Path, bytes] | None:
    """The file with the digest, made to fit the mutant; a manifest with another value."""
    if artifact.path.suffix == ".parquet":
        path = artifact.manifest
        assert path is not None
        manifest = json.loads(path.read_bytes())
        holder = manifest["files"][artifact.path.name] if "files" in manifest else manifest
        holder["sha256"] = hashlib.sha256(mutant).hexdigest()
    elif artifact.path.suffix == ".json":
        path, manifest = artifact.path, json.loads(artifact.data)
        places = [manifest, *(value for value in manifest.values() if isinstance(value, dict))]
        holder = rng.choice([place for place in places if place])
        odd = (None, -1, 2**63, 1e308, "", "../x", [], {}, [[]], True, "\u0000", [1, "a"], {"a": 1})
        holder[rng.choice(sorted(holder))] = rng.choice(odd)
    else:
        return None
    manifest.pop("manifest_sha256", None)
    return path, sealed_json(manifest)


def fuzz_artifacts(count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of `count` mutants, and a line for each that should not be."""
    rng, counts, wrong = random.Random(seed), Counter[str](), []
    found = artifacts(folder)
    while counts["mutants"] < count:
        artifact = rng.choice(found)
        mutant = mutated(artifact.data, rng, rng.choice(found).data)
        if mutant == artifact.data:
            continue
        files = {artifact.path: mutant}
        is_vouched = False
        if rng.random() < 0.1 and (also := vouched(artifact, mutant, rng)) is not None:
            is_vouched, files = True, {**files, also[0]: also[1]}
        before = {path: path.read_bytes() for path in files}
        for path, data in files.items():
            path.write_bytes(data)
        kind = " vouched for" if is_vouched else ""
        counts["mutants"] += 1
        try:
            value = artifact.read()
        except OURS:
            counts["refused" + kind] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            counts["crashes"] += 1
            wrong.append(f"{artifact.path.name}{kind}: {type(error).__name__}: {error}")
        else:
            if artifact.equal(value):
                counts["accepted with equal content" + kind] += 1
            elif is_vouched:
                counts["accepted with other content vouched for"] += 1
            else:
                counts["silent accepts"] += 1
                wrong.append(f"{artifact.path.name}: accepted with other content")
        for path, data in before.items():
            path.write_bytes(data)
    for artifact in found:
        assert artifact.equal(artifact.read()), artifact.path
    return counts, wrong


# Strings

_RANGES = [
    *((0x20, 0x7F), (0, 0x20), (0x7F, 0xA0), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530)),
    *((0x590, 0x780), (0x900, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070)),
    *((0x2070, 0x2C00), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xE000, 0xE010)),
    *((0xF900, 0x10000), (0x10000, 0x11000), (0x1F1E6, 0x1F200), (0x1F300, 0x1FAFF)),
    *((0xE0000, 0xE0080), (0x10FFF0, 0x110000)),
]  # fmt: skip
_DRIVES = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def strings(rng: random.Random) -> Iterator[str]:
    """Random texts of mixed scripts, marks, controls and markup, without end."""
    while True:
        parts = []
        for _ in range(rng.randrange(1, 9)):
            if rng.random() < 0.3:
                parts.append(rng.choice(HOSTILE))
            else:
                low, high = rng.choice(_RANGES)
                parts += [chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 6))]
        yield "".join(parts)


def _sliced(tokenizer: Any, texts: list[str]) -> set[int]:
    wrong = set()
    for number, (text, encoded) in enumerate(
        zip(texts, encode(tokenizer, texts, 10_000), strict=True)
    ):
        position, gaps = 0, ""
        for start, end in encoded.spans:
            if not position <= start < end <= len(text):
                wrong.add(number)
            gaps += text[position:start]
            position = end
        if (gaps + text[position:]).strip():
            wrong.add(number)
    return wrong


def _in_html(texts: list[str]) -> set[int]:
    wrong = set()
    for number, text in enumerate(texts):
        reader = Reader()
        try:
            reader.feed(f'<b title="{html(text)}">{html(text)}</b>')
            reader.close()
            sound = reader.text == reader.title == printable(text)
        except AssertionError:
            sound = False
        if not sound:
            wrong.add(number)
    return wrong


def _in_markdown(texts: list[str]) -> set[int]:
    source = "| a | b |\n| --- | --- |\n" + "".join(f"| {markdown(text)} | 1 |\n" for text in texts)
    wanted = [["a", "b"], *([printable(text), "1"] for text in texts)]
    try:
        if shown(source) == wanted:
            return set()
    except AssertionError:
        pass
    return set(range(len(texts))) if len(texts) == 1 else _each(_in_markdown, texts)


def _in_csv(texts: list[str]) -> set[int]:
    kept = [text.replace("\0", "") for text in texts]  # no reader of CSV takes NUL
    cells = pd.DataFrame({"word": list(map(csv_cell, kept)), "number": 1.5})
    told = cells.to_csv(index=False, lineterminator="\n", quoting=csv_quoting(kept))
    read = [row["word"] for row in csv.DictReader(io.StringIO(told, newline=""))]
    back = [re.sub(r"^'(?='*[=+\-@\t\r])", "", cell) for cell in read]
    formula = ("=", "+", "-", "@", "\t", "\r")
    if back == kept and not any(cell.startswith(formula) for cell in read):
        return set()
    return set(range(len(texts))) if len(texts) == 1 else _each(_in_csv, texts)


def _on_a_terminal(texts: list[str]) -> set[int]:
    return {i for i, text in enumerate(texts) if _DRIVES.search(printable(text))}


def _each(check: Callable[[list[str]], set[int]], texts: list[str]) -> set[int]:
    return {number for number, text in enumerate(texts) if check([text])}


def fuzz_strings(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Outcomes of `count` strings, and a line for each that did not come back."""
    rng, counts, wrong = random.Random(seed), Counter[str](), []
    source = strings(rng)
    tokenizer = train_tokenizer([next(source) for _ in range(200)] * 2)
    checks = {
        "offsets": lambda texts: _sliced(tokenizer, texts), "html": _in_html,
        "markdown": _in_markdown, "csv": _in_csv, "terminal": _on_a_terminal,
    }  # fmt: skip
    while counts["strings"] < count:
        texts = [next(source) for _ in range(min(BATCH, count - counts["strings"]))]
        counts["strings"] += len(texts)
        for name, check in checks.items():
            failed = check(texts)
            counts[name] += len(failed)
            wrong += [f"{name}: {texts[number]!a}" for number in failed]
    return counts, wrong


def run(artifacts: int, strings: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """What is written to fuzz.json, and what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        mutants, wrong = fuzz_artifacts(artifacts, seed, Path(folder))
    texts, also = fuzz_strings(strings, seed)
    for name in ("crashes", "silent accepts"):
        mutants[name] += 0
    told = {"seed": seed, "unicode": unicodedata.unidata_version}
    return {**told, "artifacts": dict(mutants), "strings": dict(texts)}, wrong + also


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=200_000)
    parser.add_argument("--strings", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    result, wrong = run(arguments.artifacts, arguments.strings, arguments.seed)
    print(json.dumps(result, indent=1))  # noqa: T201
    print("\n".join(wrong[:50]))  # noqa: T201
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
