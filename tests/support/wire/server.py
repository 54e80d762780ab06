"""The server of the double: sockets and faults, in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson.int64 import Int64

from tests.support.wire import messages
from tests.support.wire.commands import Commands, Refused

HELLO = {
    "helloOk": True,
    "isWritablePrimary": True,
    "ismaster": True,
    "secondary": False,
    "readOnly": False,
    "setName": "double",
    "setVersion": 1,
    "maxBsonObjectSize": 16 * 2**20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "logicalSessionTimeoutMinutes": 30,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "ok": 1.0,
}
OF_REPLICA_SET = ("setName", "setVersion", "hosts", "me", "primary", "secondary")
NOT_PRIMARY = Refused(10107, "NotWritablePrimary", "not primary", "RetryableWriteError").answer
UNCONFIRMED = {
    "code": 64,
    "codeName": "WriteConcernTimeout",
    "errmsg": "waiting for replication timed out",
    "errInfo": {"wtimeout": True},
}


@dataclass
class Fault:
    """What goes wrong with the next commands of a name.

    ``kind``: "drop before" or "drop after" execution (the connection ends), "not primary" (not executed),
    "unconfirmed" (executed, majority not reached in time), "slow" (answered after ``seconds``), "refuse"
    (not executed, answered by ``answer``). ``skip`` lets so many pass first, ``times`` says how often.
    """

    command: str
    kind: str
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    answer: dict[str, Any] | None = None
    collection: str | None = None


class WireDouble:
    """A context manager: a MongoDB on ``host:port`` that poses as the primary of a replica set, or stands alone."""

    def __init__(self, *, standalone: bool = False) -> None:
        """``standalone``: it belongs to no replica set."""
        self.commands = Commands(standalone=standalone)
        self.faults: list[Fault] = []
        self.hello: dict[str, Any] = dict.fromkeys(OF_REPLICA_SET) if standalone else {}
        self.ahead = timedelta()  # of the time that others have
        self.seen: list[dict[str, Any]] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="wire-double")

    def __enter__(self) -> WireDouble:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while answer := await self._answer(await messages.read(reader)):
                    writer.write(answer)
                    await writer.drain()
        except asyncio.CancelledError:
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, message: messages.Message) -> bytes | None:
        """Return the bytes of the answer; None ends the connection."""
        name = next(iter(message.command))
        if name.lower() in ("hello", "ismaster"):
            return messages.reply(message, self._hello())
        self.seen.append(message.command)
        fault = self._fault(name, message.command)
        if fault is None:
            return messages.reply(message, self._run(message.command))
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return messages.reply(message, self._run(message.command))
        if fault.kind == "drop before":
            return None
        if fault.kind in ("not primary", "refuse"):
            return messages.reply(message, fault.answer or NOT_PRIMARY)
        answer = self._run(message.command)
        if fault.kind == "drop after":
            return None
        assert fault.kind == "unconfirmed", fault.kind
        return messages.reply(message, {**answer, "writeConcernError": UNCONFIRMED})

    def _hello(self) -> dict[str, Any]:
        place = f"127.0.0.1:{self.port}"
        answer = {
            **HELLO,
            "hosts": [place],
            "me": place,
            "primary": place,
            "electionId": None,
            "localTime": datetime.now(UTC) + self.ahead,
            "connectionId": Int64(1),
            **self.hello,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def _fault(self, name: str, command: dict[str, Any]) -> Fault | None:
        for fault in self.faults:
            if fault.command == name and fault.collection in (None, command[name]) and fault.times:
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _run(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.commands.run(command)
        except Refused as refusal:
            return refusal.answer
