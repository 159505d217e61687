"""Imports go downward only, and the influence side never needs torch."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hf_attn_attr"
STOREYS = (
    {"errors", "lazy"},
    {
        "files",
        "layout",
        "metrics",
        "batching",
        "quiet",
        "markup",
        "colours",
        "terminal_bars",
        "patterns",
    },
    {"remote", "cards", "sizes"},
    {"models", "tokenization", "influence", "demo", "highlighting"},
    {"attribution", "data", "word_rules", "classifier", "loading", "terminal", "onnx_classifier"},
    {"encoding", "vectors"},
    {"merging", "windows"},
    {"arrays", "piecewise"},
    {"extraction", "columns"},
    {"training", "cost", "answering", "report", "onnx_export"},
    {"evaluation"},
    {"workflow", "attribution_pipeline"},
    {"demonstration", "hub", "engines"},
    {"cli"},
)
FLOORS = {room: floor for floor, rooms in enumerate(STOREYS) for room in rooms}
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in FLOORS
)


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(room within the package or None, top-level module) of every import in a file."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((None, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if node.level == depth:
                yield from ((part, "") for part in ([parts[0]] if parts[0] else []))
            elif node.level == 0 and parts[0] == "hf_attn_attr":
                yield (parts[1] if len(parts) > 1 else None), ""
            elif node.level == 0:
                yield None, parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    for target, _ in imports(path):
        if target in FLOORS and target != room(path):
            assert FLOORS[target] < FLOORS[room(path)], f"{path} imports {target}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "influence").glob("*.py")), ids=lambda p: p.stem)
def test_influence_needs_no_model_library(path):
    assert {module for _, module in imports(path)}.isdisjoint({"torch", "transformers"})


def test_model_files_import_only_torch_transformers_and_each_other():
    allowed = {"torch", "transformers", "huggingface_hub"}
    standard = {"typing", "collections", "contextlib", "dataclasses", "threading"}
    standard |= {"zlib", "unicodedata"}
    for path in (PACKAGE / "models").glob("*.py"):
        for target, module in imports(path):
            assert target is None, f"{path} imports {target} of the package"
            assert module in allowed | standard, f"{path} imports {module}"
