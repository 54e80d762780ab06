"""Fixtures for the tests of search: a store that is only a change feed, and Milvus Lite."""

import time
from types import SimpleNamespace

import pytest

from tests.search.lite import MilvusLite
from tests.search.support import FeedStore


@pytest.fixture
def store():
    return FeedStore()


@pytest.fixture
def lite(tmp_path, monkeypatch):
    """A Milvus Lite whose client does not sleep for half a second before it looks for each of three indexes."""
    clock = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(seconds / 50))
    monkeypatch.setattr("pymilvus.client.grpc_handler.time", clock)
    server = MilvusLite(tmp_path)
    yield server
    server.stop()
