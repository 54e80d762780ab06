"""Milvus for tests: Milvus Lite behind a real socket, and shards in it.

What brings pymilvus, pandas, pyarrow and faiss is imported where it is used: most tests do without.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facenapi.search.shard import Query

if TYPE_CHECKING:
    from facenapi.search.milvus.engine import Engine
    from facenapi.search.milvus.shard import MilvusShard


class MilvusLite:
    """A Milvus Lite that serves on loopback, in this process; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self.start()

    def start(self) -> None:
        """Serve what the folder has, on the port of before."""
        from milvus_lite.adapter.grpc.server import start_server_in_thread  # noqa: PLC0415

        self._server, self._data, self.port = start_server_in_thread(str(self._folder / "lite.db"), port=self.port)

    def stop(self) -> None:
        """Stop serving, as if the machine had died for whoever is connected."""
        self._server.stop(0).wait()
        self._data.close()

    def engine(self, **more: Any) -> Engine:
        """Return a client's engine, not connected yet."""
        from facenapi.search.milvus.engine import Engine  # noqa: PLC0415

        return Engine(f"http://127.0.0.1:{self.port}", **more)


class Valve:
    """A port in front of another one. When it is shut nothing passes and nothing is closed: the other side hangs."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._passing = asyncio.Event()
        self._joined: list[asyncio.Task[Any] | None] = []
        self.open, self.shut = self._passing.set, self._passing.clear

    async def __aenter__(self) -> Valve:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.open()
        await asyncio.gather(*filter(None, self._joined))

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._joined.append(asyncio.current_task())
        reader_behind, writer_behind = await asyncio.open_connection("127.0.0.1", self._behind)
        await asyncio.gather(self._pass(reader, writer_behind), self._pass(reader_behind, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the other direction ends, too
        finally:
            writer.close()


async def started(lite: MilvusLite, store: Any, **more: Any) -> MilvusShard:
    """Return a shard that follows a store closely."""
    from facenapi.search.milvus.shard import MilvusShard  # noqa: PLC0415

    shard = MilvusShard(lite.engine(**more), store, poll_s=0.05)
    await shard.start()
    return shard


def query(vector, n=1, floor=None, tag=None, *, owner="o", model="m"):
    """Return a query with what a test does not care about filled in."""
    return Query(owner, model, vector, n, floor, tag)


async def found(shard, *arguments, **more) -> list[int]:
    """Return the ids that a shard finds."""
    return [hit.id for hit in await shard.search(query(*arguments, **more))]


async def until(condition) -> None:
    """Wait for a background thing; the test's own timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.01)
