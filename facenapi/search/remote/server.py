"""A search shard as a process of its own: ``facenapi shard``.

It holds the cells that the table gives to its address, keeps up with the store by itself, and serves
searches over HTTP (:mod:`.handlers`) to the API servers that prove to belong to it (:mod:`.admission`).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.process import onnx_runtime
from facenapi.process.supervised import Loops, ending
from facenapi.search.local import LocalShard
from facenapi.search.remote.admission import Admission
from facenapi.search.remote.handlers import ROUTES
from facenapi.search.remote.metrics import Metrics
from facenapi.search.remote.peers import check_host, secret_of
from facenapi.search.table import read_table, split_address

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

MAX_BODY = 256 << 20
RETRY_S = 2.0


class ShardServer:
    """One shard with its port. ``store`` is started and closed by the caller."""

    def __init__(self, shard: LocalShard, host: str, port: int, secret: str = "") -> None:
        check_host(host, secret)
        self.shard = shard
        self._host, self._port = host, port
        self._http: HTTPServer | None = None
        self._loading: asyncio.Task[None] | None = None
        self.loops = Loops("The shard")
        self.admission = Admission(shard, secret, self.loops)
        self.metrics = Metrics(shard)

    @classmethod
    def from_config(cls, config: Config, store: Store) -> ShardServer:
        """Return the shard of ``shard_address`` in the table; raise StartupError if it is not in there, or cannot run
        here."""
        onnx_runtime.load()
        table = read_table(Path(config.tntapi_servers_file))
        cells = table.get(config.shard_address)
        if cells is None:
            raise StartupError(
                f"shard_address: {config.shard_address!r} is not in {config.tntapi_servers_file}, "
                f"which has {', '.join(table)}"
            )
        host, port = split_address(config.shard_address, "shard_address")
        shard = LocalShard(Path(config.data_dir) / f"shard-{host}-{port}", store, cells)
        return cls(shard, host, port, secret_of(config))

    async def start(self) -> int:
        """Open the port, begin to load, and return the port's number; raise StartupError if it is taken."""
        try:
            sockets = bind_sockets(self._port, self._host)
        except OSError as error:
            raise StartupError(f"Cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        own = {"shard": self.shard, "admission": self.admission, "metrics": self.metrics}
        routes = [(path, handler, own) for path, handler in ROUTES]
        self._http = HTTPServer(Application(routes, log_function=lambda _: None), max_buffer_size=MAX_BODY)
        self._http.add_sockets(sockets)
        self._loading = asyncio.create_task(self._load())
        port: int = sockets[0].getsockname()[1]
        return port

    async def loaded(self) -> None:
        """Wait until the shard has caught up with the store. After ``start``.

        Raises StartupError if it never will: another process has its folder, or it cannot be used.
        """
        assert self._loading is not None
        await asyncio.shield(self._loading)

    async def close(self) -> None:
        """Stop serving and save; may be called twice."""
        await self.loops.stop()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._http is not None:
            self._http.stop()
            await self._http.close_all_connections()
        await self.shard.close()

    async def _load(self) -> None:
        while not ending():
            try:
                await self.shard.start()
            except (Unavailable, Overloaded) as error:
                self.admission.waits = f"It waits for the store: {error.reason}"
                log.warning("The shard waits for the store: %s", error)
            else:
                return
            await asyncio.sleep(RETRY_S)
