"""The ``store`` fixture: every backend, one after the other, behind the same tests."""

from __future__ import annotations

import pytest

from facenapi.storage.sqlite import SqliteStore

BACKENDS = ("sqlite-full", "sqlite-normal")


@pytest.fixture(params=BACKENDS)
def store(request, io_loop, tmp_path):
    """A store that is open and empty."""
    store = SqliteStore(tmp_path / "data", request.param.removeprefix("sqlite-"))
    io_loop.run_sync(store.start)
    yield store
    io_loop.run_sync(store.close)
