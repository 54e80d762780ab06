"""Accepting connections, also when the system has none to give."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

_AT_ONCE = 128  # connections accepted before others get their turn
_PAUSE_S = 0.5  # after an error: the socket stays readable, so that going on would spin
_QUIET_S = 60.0  # between two lines in the log


class Acceptor:
    """Hands on what arrives at a listening socket, until it is stopped."""

    def __init__(self, listening: socket.socket, take: Callable[[socket.socket, Any], None]) -> None:
        self._socket = listening
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._told = -_QUIET_S
        self._resume()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._ready)

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no descriptors, no memory
                self._rest(error)
                return
            self._take(connection, address)

    def _rest(self, error: OSError) -> None:
        if time.monotonic() - self._told >= _QUIET_S:
            self._told = time.monotonic()
            log.error("Connections cannot be accepted: %s; trying again", error.strerror)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_S, self._resume)

    def stop(self) -> None:
        """Accept no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
