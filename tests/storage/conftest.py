"""The ``store`` fixture: every backend, one after the other, behind the same tests."""

from __future__ import annotations

import os
import uuid

import pytest

from facenapi.config.options import Config
from facenapi.storage.mongo import MongoStore
from facenapi.storage.sqlite import SqliteStore
from tests.support.wire import WireDouble

REAL_URI = os.environ.get("FACENAPI_TEST_MONGO_URI", "")
BACKENDS = [
    "sqlite-full",
    "sqlite-normal",
    "motor-double",
    "pymongo-double",
    *(["motor-real", "pymongo-real"] if REAL_URI else []),
]


def pytest_terminal_summary(terminalreporter):
    """Say which stores were tested: nobody may think that a real MongoDB was when it was not."""
    real = "" if REAL_URI else "; no real MongoDB (set FACENAPI_TEST_MONGO_URI)"
    terminalreporter.write_line(f"Stores tested: {', '.join(BACKENDS)}{real}")


@pytest.fixture
def double():
    """A MongoDB double."""
    with WireDouble() as double:
        yield double


def mongo_config(double: WireDouble, **options) -> Config:
    """The options that lead to a double."""
    return Config(mongo_host="127.0.0.1", mongo_port=double.port, **options)


def open_store(name: str, request, folder):
    """Return a store, closed and empty, by the name of its backend."""
    kind, place = name.split("-")
    if kind == "sqlite":
        return SqliteStore(folder / "data", place)
    if place == "double":
        return MongoStore(mongo_config(request.getfixturevalue("double"), mongo_driver=kind))
    name = f"facenapi_test_{uuid.uuid4().hex[:12]}"
    return MongoStore(Config(mongo_uri=REAL_URI, mongo_db=name, mongo_driver=kind))


@pytest.fixture(params=BACKENDS)
def store(request, io_loop, tmp_path):
    """A store that is open and empty."""
    store = open_store(request.param, request, tmp_path)
    io_loop.run_sync(store.start)
    yield store
    if request.param.endswith("-real"):
        io_loop.run_sync(store.driver.drop)
    io_loop.run_sync(store.close)
