"""The server under test: a process of its own on a real socket, once with each store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.client import Api
from tests.support.fake_server import ForkedServer
from tests.support.wire import WireDouble

APP = "https://app.example.com"
# The second is left to scripts/test: what a store does differently, the suite of all stores finds.
STORES = ("sqlite", pytest.param("mongo", marks=pytest.mark.slow))


# Every path has these forms, which lead to one handler (tests/test_urls.py): two of them for every day.
DAILY_FORMS = (("/v1", "", "face"), ("/v0", "/", "faces"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Modules that say ONE_STORE are about requests, not about what is stored: the second would say the same."""

    def wanted(item):
        call = getattr(item, "callspec", None)
        return not (getattr(item.module, "ONE_STORE", False) and call and call.params.get("server") == "mongo")

    items[:] = filter(wanted, items)
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if "base" in params and not any(
            (base, params.get("slash", slash), params.get("word", word)) == (params["base"], slash, word)
            for base, slash, word in DAILY_FORMS
        ):
            item.add_marker(pytest.mark.slow)


@contextmanager
def serving(store: str, folder, *options: str) -> Iterator[ForkedServer]:
    """Serve with a store of this kind: the embedded one, or MongoDB's over the wire-protocol double."""
    if store == "sqlite":
        with ForkedServer(folder, *options) as server:
            yield server
        return
    with WireDouble() as double:
        mongo = ("--mongo_host=127.0.0.1", f"--mongo_port={double.port}", f"--mongo_db={folder.name}")
        with ForkedServer(folder, *mongo, *options) as server:
            yield server


@pytest.fixture(scope="session", params=STORES)
def server(request, tmp_path_factory):
    """The server that most tests share; each of them is an owner of its own."""
    options = ("--fetch_allow_private=True", "--max_body_size=2000000", "--max_photo_bytes=1000000")
    with serving(request.param, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.fixture
def api(server):
    """A client with a new owner."""
    return Api(server)


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """A server with a path prefix, for pages of two origins, that logs JSON at debug level."""
    options = (f"--cors_origins={APP},http://localhost:3000", "--base_path=/faces-api", "--log_format=json",
               "--logging=debug", "--rate_limit=0", "--trusted_proxies=127.0.0.1,10.0.0.0/8")  # fmt: skip
    with serving("sqlite", tmp_path_factory.mktemp("edge"), *options) as server:
        yield server
