"""Where the time of a request goes: named stages, summed up per request.

A handler begins a ledger; whatever runs on its behalf, in this task or in tasks that it starts, adds to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NAMES = ("fetch", "queue", "decode", "detect", "quality", "embed", "attributes", "search", "store")

_ledger: ContextVar[dict[str, float] | None] = ContextVar("ledger", default=None)


def begin() -> dict[str, float]:
    """Begin the ledger of a request and return it: seconds by stage."""
    ledger: dict[str, float] = {}
    _ledger.set(ledger)
    return ledger


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time that the body takes, waiting included, to the request that this is part of."""
    ledger = _ledger.get()
    start = time.perf_counter()
    try:
        yield
    finally:
        if ledger is not None:
            ledger[name] = ledger.get(name, 0.0) + time.perf_counter() - start
