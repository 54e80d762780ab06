"""FerretDB, a server of somebody else's that speaks MongoDB's protocol, in its own process, for tests and trials.

``scripts/build_ferretdb`` makes the program. It keeps its data in SQLite files and says that it is a standalone
server, or, if it is told to, the only one of a replica set. Clients reach it through a :class:`Gate`, because of
two updates at once in FerretDB 1 one may be lost: it reads, changes and writes without a lock. MongoDB never does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "var" / "tools"
WRITES = {b"insert", b"update", b"delete", b"findAndModify", b"findandmodify", b"createIndexes", b"dropDatabase"}


def program() -> Path | None:
    """Return the program, or None where it was not built."""
    given = os.environ.get("FACENAPI_TEST_FERRETDB")
    if given:
        return Path(given)
    return max(TOOLS.glob("ferretdb-v*[0-9]"), default=None)


class Ferret:
    """A context manager: FerretDB behind a gate, whose ``port`` is for clients. It may be killed and started again.

    ``replica_set``: its name; a client must then connect directly, for the server names itself, not the gate.
    """

    def __init__(self, folder: Path, replica_set: str = "") -> None:
        path = program()
        if path is None:
            raise RuntimeError("FerretDB is not built: run scripts/build_ferretdb")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._behind = free.getsockname()[1]
        self._log = folder / "ferretdb.log"
        self._words = [
            str(path),
            f"--listen-addr=127.0.0.1:{self._behind}",
            "--handler=sqlite",
            f"--sqlite-url=file:{folder}/",
            f"--state-dir={folder}",
            "--telemetry=disable",
            "--debug-addr=-",
            "--log-level=error",
            f"--repl-set-name={replica_set}",
        ]
        self.gate = Gate(self._behind)
        self.start()

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.gate.port

    def start(self) -> None:
        """Start the process and wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._words, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._behind), 1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"FerretDB did not start:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and the wait for its end."""
        self.process.terminate()
        self.process.wait(30)

    def close(self) -> None:
        """End the process and the gate."""
        self.gate.close()
        self.kill()

    def __enter__(self) -> Ferret:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Gate:
    """A proxy of MongoDB's protocol on a free port: one write at a time passes, and it can be cut."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="gate")
        self._thread.start()
        self._ready.wait(10)

    def cut(self) -> None:
        """Break all connections and take no new ones."""
        self._call(self._shut)

    def mend(self) -> None:
        """Take connections again."""
        self._call(self._open)

    def close(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _call(self, method) -> None:
        asyncio.run_coroutine_threadsafe(method(), self._loop).result(10)

    async def _serve(self) -> None:
        self._loop, self._stop, self._turn = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        await self._open()
        self._ready.set()
        await self._stop.wait()
        await self._shut()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        behind = None
        try:
            behind_reader, behind = await asyncio.open_connection("127.0.0.1", self._behind)
            while True:
                message = await _read(reader)
                async with self._turn if _name(message) in WRITES else contextlib.AsyncExitStack():
                    behind.write(message)
                    answer = await _read(behind_reader)
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, behind):
                if end is not None:
                    end.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(16)
    return head + await reader.readexactly(struct.unpack_from("<i", head)[0] - 16)


def _name(message: bytes) -> bytes:
    """Return the name of a command: the first key of the first document of an OP_MSG."""
    if struct.unpack_from("<i", message, 12)[0] != 2013:
        return b""
    return message[26 : message.index(b"\0", 26)]
