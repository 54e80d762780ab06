"""The ``store`` fixture: every backend, one after the other, behind the same tests."""

from __future__ import annotations

import os
import uuid

import pytest

from facenapi.config.options import Config
from facenapi.storage.mongo import MongoStore
from facenapi.storage.sqlite import SqliteStore
from tests.support import ferret
from tests.support.wire import WireDouble

FERRET = ferret.program()
REAL_URI = os.environ.get("FACENAPI_TEST_MONGO_URI", "")
BACKENDS = [
    "sqlite-full",
    "motor-double",
    "pymongo-double",
    *(["pymongo-ferret"] if FERRET else []),
    *(["motor-real", "pymongo-real"] if REAL_URI else []),
]
# These differ from others by a pragma, or by a driver that is tried on the double: random operations go to them, too.
VARIANTS = ["sqlite-normal", *(["motor-ferret"] if FERRET else [])]
# One of each kind; the others are left to scripts/test.
DAILY = ("sqlite-full", "pymongo-double")

# FerretDB reads the whole collection for every query: what asks it much asks it less often.
QUICK_BACKENDS = [name for name in BACKENDS + VARIANTS if not name.endswith("-ferret")]


def stores(names):
    """The names as parameters, those that are not for every day marked."""
    return [pytest.param(name, marks=() if name in DAILY else pytest.mark.slow) for name in names]


def pytest_terminal_summary(terminalreporter):
    """Say which stores were tested: nobody may think that a real MongoDB was when it was not."""
    if terminalreporter.config.option.markexpr == "not slow":
        terminalreporter.write_line(f"Stores tested: {', '.join(DAILY)}; scripts/test tests all")
        return
    real = "" if REAL_URI else "; no real MongoDB (set FACENAPI_TEST_MONGO_URI)"
    other = "" if FERRET else "; no FerretDB (scripts/build_ferretdb makes it)"
    terminalreporter.write_line(f"Stores tested: {', '.join(BACKENDS + VARIANTS)}{other}{real}")


@pytest.fixture
def double():
    """A MongoDB double."""
    with WireDouble() as double:
        yield double


@pytest.fixture(scope="session")
def ferretdb(tmp_path_factory):
    """A FerretDB that says it is a standalone server."""
    with ferret.Ferret(tmp_path_factory.mktemp("ferretdb")) as server:
        yield server


def mongo_config(double: WireDouble | ferret.Ferret, **options) -> Config:
    """The options that lead to a server here."""
    return Config(mongo_host="127.0.0.1", mongo_port=double.port, **options)


def open_store(name: str, request, folder):
    """Return a store, closed and empty, by the name of its backend."""
    kind, place = name.split("-")
    if kind == "sqlite":
        return SqliteStore(folder / "data", place)
    if place == "double":
        return MongoStore(mongo_config(request.getfixturevalue("double"), mongo_driver=kind))
    name = f"facenapi_test_{uuid.uuid4().hex[:12]}"
    if place == "ferret":
        return MongoStore(mongo_config(request.getfixturevalue("ferretdb"), mongo_db=name, mongo_driver=kind))
    return MongoStore(Config(mongo_uri=REAL_URI, mongo_db=name, mongo_driver=kind))


@pytest.fixture(params=stores(BACKENDS))
def store(request, io_loop, tmp_path):
    """A store that is open and empty."""
    store = open_store(request.param, request, tmp_path)
    io_loop.run_sync(store.start)
    yield store
    if request.param.endswith(("-real", "-ferret")):
        io_loop.run_sync(store.driver.drop)
    io_loop.run_sync(store.close)
