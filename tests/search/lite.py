"""Milvus for tests: Milvus Lite behind a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from milvus_lite.adapter.grpc.server import start_server_in_thread

from facenapi.search.milvus.engine import Engine


class MilvusLite:
    """A Milvus Lite that serves on loopback, in this process; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self.start()

    def start(self) -> None:
        """Serve what the folder has, on the port of before."""
        self._server, self._data, self.port = start_server_in_thread(str(self._folder / "lite.db"), port=self.port)

    def stop(self) -> None:
        """Stop serving, as if the machine had died for whoever is connected."""
        self._server.stop(0).wait()
        self._data.close()

    def engine(self, **more: Any) -> Engine:
        """Return a client's engine, not connected yet."""
        return Engine(f"http://127.0.0.1:{self.port}", **more)
