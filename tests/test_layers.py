"""The import graph, drawn from the code: arrows point downward only, no circles, and each driver has one home."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "facenapi"

# All that stands at the root, from the ground up. A room may use those on floors below its own.
FLOORS = (
    {"__init__", "errors", "geometry", "clock"},
    {"client"},
    {"api", "config", "console"},
    {"process"},
    {"photos", "storage"},
    {"detector", "search"},
    {"services"},
    {"handlers"},
    {"urls", "mass_enroll"},
    {"app"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}
LOOSE = {"__init__", "__main__", "app", "cli", "clock", "errors", "geometry", "urls"}

# Third-party packages that only one place may know.
HOMES = {
    "nmslib": {"search/index/graph.py"},
    "pymilvus": {"search/milvus"},
    "onnxruntime": {"process/onnx_runtime.py"},  # who may have it, see below
    "onnx": {"detector/packs/build", "commands/models.py"},
    "sqlite3": {"storage/sqlite", "storage/open.py"},
    "motor": {"storage/mongo"},
    "pymongo": {"storage/mongo"},
    "bson": {"storage/mongo"},
}
FORBIDDEN_IN_HANDLERS = {
    "numpy",
    "PIL",
    "sqlite3",
    "motor",
    "pymongo",
    "onnxruntime",
    "nmslib",
    "pymilvus",
}


def module_of(path: Path) -> str:
    """Return the dotted name of a file below the package: ``search.index.exact``; a package by its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def imported(path: Path) -> frozenset[str]:
    """Return all that a file imports, for type checking too, by full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            folders = ("facenapi", *path.relative_to(PACKAGE).parts)[: -node.level] if node.level else ()
            base = ".".join([*folders, *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def target(name: str) -> str | None:
    """Return which module of ours a full name means, if any."""
    parts = name.split(".")
    if parts[0] != "facenapi":
        return None
    for end in range(len(parts), 1, -1):
        if (module := ".".join(parts[1:end])) in MODULES:
            return module
    return "__init__"


@cache
def graph() -> dict[str, set[str]]:
    """Return which modules each module imports."""
    return {
        module: {other for name in imported(path) if (other := target(name)) not in (None, module)}
        for module, path in MODULES.items()
    }


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return a way round for each circle that a walk in depth runs into.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c', 'b']]
    """
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> None:
        if node in way:
            found.append([*way[way.index(node) :], node])
        elif node not in done:
            for following in sorted(edges.get(node, ())):
                walk(following, [*way, node])
            done.add(node)

    for node in sorted(edges):
        walk(node, [])
    return found


def rooms(parent: str) -> dict[str, set[str]]:
    """Return which rooms and loose modules directly below ``parent`` ("" is the root) import which others."""
    prefix = f"{parent}." if parent else ""
    edges: dict[str, set[str]] = {}
    for module, others in graph().items():
        if module.startswith(prefix):
            room = module.removeprefix(prefix).split(".")[0]
            inside = {other.removeprefix(prefix).split(".")[0] for other in others if other.startswith(prefix)}
            edges.setdefault(room, set()).update(inside - {room})
    return edges


def test_the_root_has_no_loose_modules_but_those_on_the_list():
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose == LOOSE
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | loose == set(FLOOR_OF)


def test_arrows_point_downward():
    upward = {
        (module, other)
        for module, others in graph().items()
        for other in others
        if (here := module.split(".")[0]) != (there := other.split(".")[0]) and FLOOR_OF[there] >= FLOOR_OF[here]
    }
    # On the ground, errors, geometry and clock may know each other; circles have a test of their own.
    assert {(module, other) for module, other in upward if FLOOR_OF[module.split(".")[0]] > 0} == set()


def test_no_module_is_part_of_a_circle():
    sys.setrecursionlimit(10_000)
    assert circles(graph()) == []


def test_the_client_needs_nothing_of_ours_and_only_httpx():
    """It is a distribution of its own under another name: imports of its own modules are relative."""
    paths = (PACKAGE / "client").rglob("*.py")
    names = {name for path in paths for name in imported(path)}
    assert {
        name for name in names if name.startswith("facenapi.") and not name.startswith("facenapi.client.")
    } == set()
    absolute = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"facenapi", "__future__"}
    # anyio comes with httpx; a photo may be an object of numpy's or Pillow's, which nobody has to have.
    assert absolute == {"httpx", "anyio", "numpy", "PIL"}


@pytest.mark.parametrize("parent", ["", "detector", "search", "storage"])
def test_no_room_is_part_of_a_circle(parent):
    assert circles(rooms(parent)) == []


@pytest.mark.parametrize("driver", HOMES)
def test_a_driver_has_one_home(driver):
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES.values()
        if driver in {name.split(".")[0] for name in imported(path)}
    }
    assert importers
    assert {name for name in importers if not any(name.startswith(home) for home in HOMES[driver])} == set()


def test_networks_and_products_of_codes_are_all_that_onnx_runtime_is_used_for():
    users = {module for module, others in graph().items() if "process.onnx_runtime" in others}
    assert users == {"detector.run.device", "search.index.products", "search.remote.server"}


def test_handlers_know_no_drivers():
    wrong = {
        (path.name, name)
        for path in (PACKAGE / "handlers").glob("*.py")
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN_IN_HANDLERS
    }
    assert wrong == set()


def test_every_room_is_in_the_architecture():
    """A reader gets from that page to any file in two steps: the room, then the file by its name."""
    page = (PACKAGE.parent / "docs" / "explanation" / "architecture.rst").read_text("utf-8")
    folders = {path.parent for path in MODULES.values()} - {PACKAGE, PACKAGE / "detector" / "packs" / "build"}
    rooms_there = Counter(folder.name for folder in folders)  # two have a "run"
    assert {room: page.count(f"``{room}/``") for room in rooms_there} == rooms_there
    assert {name for name in LOOSE - {"__init__"} if f"``{name}.py``" not in page} == set()


def test_pytest_walks_into_every_room(request):
    """Its own list of folders to leave out has names that are rooms here, "build" for one."""
    left_out = request.config.getini("norecursedirs")
    folders = {folder.name for top in ("tests", "facenapi") for folder in (PACKAGE.parent / top).rglob("[!_]*/")}
    assert {name for name in folders for pattern in left_out if fnmatch(name, pattern)} == set()
    assert "build" in folders
