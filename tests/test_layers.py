"""Imports point downward only, and each driver has one home."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "facenapi"

# What a layer may import of ours; "base" stands for modules that know nobody.
BASE = {"errors", "folder_lock", "geometry", "options", "targets", "config", "clock", "jsonio", "stages", "workers"}
ALLOWED = {
    "storage": BASE | {"storage"},
    "search": BASE | {"storage", "search"},
    "detector": BASE | {"photo", "detector"},
    "services": BASE | {"kinds", "photo", "fetch", "detector", "search", "storage", "services"},
}
# Third-party packages that only one place may know.
HOMES = {
    "nmslib": {"search/segment.py"},
    "pymilvus": {"search/milvus"},
    "onnxruntime": {"detector"},
    "onnx": {"detector/build", "commands/models.py"},
    "sqlite3": {"storage/sqlite", "storage/open.py"},
    "motor": {"storage/mongo"},
    "pymongo": {"storage/mongo"},
    "bson": {"storage/mongo"},
}
FORBIDDEN_IN_HANDLERS = {"numpy", "PIL", "sqlite3", "motor", "pymongo", "onnxruntime", "nmslib", "pymilvus"}


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, those for type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_lies_below(layer):
    wrong = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in FILES
        if path.relative_to(PACKAGE).parts[0] == layer
        for name in imports(path)
        if name.startswith("facenapi.") and name.split(".")[1] not in ALLOWED[layer]
    }
    assert wrong == set()


@pytest.mark.parametrize("driver", HOMES)
def test_a_driver_has_one_home(driver):
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if driver in {name.split(".")[0] for name in imports(path)}
    }
    assert importers
    assert {name for name in importers if not any(name.startswith(home) for home in HOMES[driver])} == set()


def test_handlers_know_no_drivers():
    wrong = {
        (path.name, name)
        for path in (PACKAGE / "handlers").glob("*.py")
        for name in imports(path)
        if name.split(".")[0] in FORBIDDEN_IN_HANDLERS
    }
    assert wrong == set()
