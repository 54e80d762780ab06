"""HTTP calls to what talks nonsense: each caller says so in its own way, and its loops go on."""

import asyncio

import pytest

from facenapi.errors import BadImage, Unavailable
from facenapi.photos.fetch import Fetcher
from facenapi.photos.targets import Targets
from facenapi.process.supervised import faults
from facenapi.search.remote.client import RemoteShard
from facenapi.storage.pictures.photos import WebDavFiles
from tests.support.effort import daily
from tests.support.rawserver import RawServer

OK = b"HTTP/1.1 200 OK\r\n"
NONSENSE = {
    "a head of 200 kB": OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    "a line without end": b"HTTP/1.1 200 " + b"O" * 100_000,
    "a length below zero": OK + b"Content-Length: -5\r\n\r\nabc",
    "a length that is no number": OK + b"Content-Length: many\r\n\r\nabc",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a chunk of no length": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a line of a chunk that never ends": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000,
    "gzip that is none": OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    "a header that is none": OK + b"no colon here\r\nContent-Length: 0\r\n\r\n",
    "a body cut off": OK + b"Content-Length: 500\r\n\r\nabc",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "nothing": b"",
}


async def of_a_shard(server):
    shard = RemoteShard(server.url.split("/")[2], ping_s=0.01, connect_timeout_s=0.3)
    await shard.start()
    for _ in range(200):
        await asyncio.sleep(0.01)
        if all(loop.runs >= 3 for loop in shard.loops):
            break
    assert [loop.failures for loop in shard.loops] == [0]
    assert not faults(shard.loops)
    assert not shard.ready
    assert shard.info()["reason"]
    await shard.close()


async def of_a_photo(server):
    fetcher = Fetcher(0.5, 10_000, 4, targets=Targets(private=True))
    with pytest.raises(BadImage):
        await fetcher.fetch(server.url, "photo")
    fetcher.close()


async def of_a_photo_storage(server):
    files = WebDavFiles(server.url.rpartition("/")[0], 0.5, 4, server.folder)
    await files.start()
    with pytest.raises(Unavailable):
        await files.put("0123456789abcdef-2026112800-0123456789012345678901_thumb.jpg", b"b")
    await files.close()


@pytest.mark.parametrize("caller", daily([of_a_photo, of_a_shard, of_a_photo_storage]))
@pytest.mark.parametrize("payload", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_an_outage_like_any_other(tmp_path, payload, caller):
    if caller is of_a_photo and b"gzip" in payload:
        return  # a photo is taken as it comes
    server = RawServer(payload)
    server.folder = tmp_path
    await caller(server)
    server.stop()
