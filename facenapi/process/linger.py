"""Closing a connection so that the client gets to read what it was told.

A socket that is closed with bytes unread is reset, and the answer is lost with it. So our side is shut first, and
what still comes is thrown away for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

_SECONDS = 3.0
_MOST = 64  # connections that linger at a time
_PIECE = 1 << 18


class Lingerer:
    """Sees connections off."""

    def __init__(self) -> None:
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        self._waste = bytearray(_PIECE)

    def take(self, connection: socket.socket) -> None:
        """See a connection off; it is ours from now on. With too many of them, close it."""
        try:
            connection.setblocking(False)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
            return
        if len(self._timers) >= _MOST:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(_SECONDS, self._end, connection)
        loop.add_reader(connection, self._discard, connection)

    def _discard(self, connection: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                if connection.recv_into(self._waste):
                    return
            except BlockingIOError:
                raise
            except OSError:
                pass
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        self._timers.pop(connection).cancel()
        asyncio.get_running_loop().remove_reader(connection)
        connection.close()

    def close(self) -> None:
        """Let all go."""
        for connection in list(self._timers):
            self._end(connection)
