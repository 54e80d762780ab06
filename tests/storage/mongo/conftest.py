"""A MongoStore on the double, with either driver."""

from __future__ import annotations

import pymongo.common
import pytest

from facenapi.storage.mongo import MongoStore, base, faces
from tests.storage.conftest import mongo_config


@pytest.fixture(params=["pymongo", pytest.param("motor", marks=pytest.mark.slow)])
def kind(request):
    return request.param


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let the driver look at once at a server again that it has lost."""
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.01)


@pytest.fixture
def store(io_loop, double, kind, monkeypatch):
    monkeypatch.setattr(base, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(faces, "PAUSES", (0.0, 0.0, 0.0))
    store = MongoStore(mongo_config(double, mongo_driver=kind))
    io_loop.run_sync(store.start)
    double.seen.clear()
    yield store
    double.faults.clear()
    io_loop.run_sync(store.close)
