"""Which servers a shard lets in, and what it says of itself to them and to people."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from facenapi.errors import Overloaded, Unavailable
from facenapi.process.supervised import Loops, faults
from facenapi.search.remote.client import FOREIGN
from facenapi.search.remote.peers import WIRE, Hello, digest, fault_of_server

if TYPE_CHECKING:
    from facenapi.search.local import LocalShard

log = logging.getLogger(__name__)

_ACCEPTED_S, _MOST_PEERS = 10.0, 1000


class Admission:
    """What a shard is, and who may search it. ``waits``: what it waits for as long as it is not ready."""

    def __init__(self, shard: LocalShard, secret: str, loops: Loops) -> None:
        self.waits = "It is being loaded"
        self.secret = secret
        self._shard, self._loops = shard, loops
        self._refused = ""
        self._accepted: dict[tuple[str, str], float] = {}

    def about(self) -> dict[str, Any]:
        """Return all that the shard says of itself."""
        info = self._shard.info()
        reason = "; ".join(faults([*self._loops, *self._shard.loops])) if info["ready"] else self.waits
        return {
            **info,
            "ready": not reason,
            "reason": reason,
            "wire": WIRE,
            "source": str(self._shard.source or ""),
            "cells": digest(self._shard.cells),
            "dimensions": self._shard.dimensions(),
            "refused": self._refused,
        }

    async def check_peer(self, header: str) -> None:
        """Raise HTTPError unless a server that says this of itself belongs here; what was found holds for a while."""
        key = (header, str(self._shard.source))
        if self._accepted.get(key, 0.0) > time.monotonic():
            return
        try:
            hello = Hello.parse(header)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        try:
            fault = fault_of_server(hello, self.about(), await self._shard.lineage())
        except (Unavailable, Overloaded) as error:
            raise HTTPError(503, "The store is away: %s", error, reason="Not ready") from error
        if fault:
            if fault != self._refused:
                log.warning("A server was refused: %s", fault)
            self._refused = fault
            raise HTTPError(FOREIGN, "%s", fault)
        if len(self._accepted) > _MOST_PEERS:
            self._accepted.clear()
        self._accepted[key] = time.monotonic() + _ACCEPTED_S
