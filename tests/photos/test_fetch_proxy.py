"""Fetching photos through a proxy (option fetch_proxy)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from facenapi.config.reader import ConfigError, load
from facenapi.errors import BadImage
from tests.photos.test_fetch import make_fetcher, ok
from tests.support.effort import daily
from tests.support.rawserver import RawServer
from tests.support.server import serving


async def test_a_proxy_is_asked_instead_of_the_host():
    """The proxy answers for a name that nobody resolves here."""
    proxy = RawServer(ok(b"from the proxy"))
    address = proxy.url.removesuffix("/photo.jpg")
    fetcher = make_fetcher(allow_private=False, proxy=address)
    assert await fetcher.fetch("http://photos.invalid/a.jpg", "photo") == b"from the proxy"
    fetcher.close()
    proxy.stop()
    silent = RawServer(ok(b"z" * 900), 0.3)
    fetcher = make_fetcher(allow_private=False, proxy=silent.url.removesuffix("/photo.jpg"), timeout_s=0.5)
    with pytest.raises(BadImage, match=r"did not answer within 0\.5 seconds"):
        await fetcher.fetch("http://photos.invalid/a.jpg", "photo")
    fetcher.close()
    silent.stop()
    large = RawServer(ok(b"x" * 5000))
    fetcher = make_fetcher(allow_private=False, proxy=large.url.removesuffix("/photo.jpg"))
    with pytest.raises(BadImage, match="larger than 1000 bytes"):
        await fetcher.fetch("http://photos.invalid/a.jpg", "photo")
    fetcher.close()
    large.stop()


@pytest.mark.parametrize("url", daily(["https://photos.invalid/a.jpg", "http://photos.invalid/a.jpg"]))
@pytest.mark.parametrize("payload", daily([b"", b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 400]), ids=["silent", "endless"])
@pytest.mark.parametrize("why", daily(["given up", "late"]))
async def test_a_proxy_is_let_go_when_nobody_waits_for_the_photo_any_more(url, payload, why, caplog):
    """By a client that hangs up, or by the deadline: the connection ends, and its place is free again."""
    came, went = asyncio.Event(), asyncio.Event()

    async def proxy(reader, writer):
        writer.write(payload)
        came.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        went.set()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    fetcher = make_fetcher(proxy=address, max_clients=1, timeout_s=0.5 if why == "late" else 1000.0)
    fetched = asyncio.ensure_future(fetcher.fetch(url, "photo"))
    await came.wait()
    if why == "given up":
        fetched.cancel()
    [outcome] = await asyncio.gather(fetched, return_exceptions=True)
    assert isinstance(outcome, BadImage if why == "late" else asyncio.CancelledError)
    await went.wait()
    while fetcher._running:
        await asyncio.sleep(0.01)
    fetcher.close()
    server.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("proxy", ["http://", "https://h:1", "http://h:99999", "http://user:hunter2@h:1", "h/x"])
def test_what_is_no_proxy_is_a_mistake_of_the_configuration(proxy):
    with pytest.raises(ConfigError, match="fetch_proxy: must be a proxy without user and password") as caught:
        load([f"--fetch_proxy={proxy}"], Path("/none"), {})
    assert "hunter2" not in str(caught.value)


async def test_a_server_with_a_proxy_stops_without_an_error(tmp_path):
    """It closes what it has twice, so that nothing stays open where the first time fails."""
    async with serving(tmp_path, fetch_proxy="127.0.0.1:1") as client:
        await client.app.drain()
        await client.app.close()
