"""What runs again and again beside the requests: one way to run it, so that none ends unnoticed.

Whatever a work raises is logged and counted, costs a pause that grows, and the work goes on. A work that fails
several times in a row for a reason that nobody has thought of, or that hangs, is not healthy, and neither is who
needs it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facenapi.errors import Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

log = logging.getLogger(__name__)

MOST_PAUSE_S = 60.0
FIRST_PAUSE_S = 1.0
SICK_AFTER = 3  # failures in a row


def ending() -> bool:
    """Whether the task that asks was cancelled: drivers lose that now and then, and only raise what they meant to."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def pause_after(failures: int, most_s: float = MOST_PAUSE_S) -> float:
    """Return for how many seconds to leave alone what has failed so many times in a row."""
    return min(most_s, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20))


@dataclass(slots=True, eq=False)
class Loop:
    """A work under way, and how it has gone so far. ``patience_s``: how long one run may take."""

    who: str
    what: str
    work: Callable[[], Awaitable[None]]
    every_s: float
    patience_s: float
    once: bool = False  # it ends when it has succeeded
    task: asyncio.Task[None] | None = None
    runs: int = 0
    failures: int = 0  # all that nobody had thought of
    in_a_row: int = 0
    away: bool = False  # the last run met a database or an engine that is away, which others tell of
    error: str = ""
    began: float | None = field(default=None)

    @property
    def fault(self) -> str:
        """Why it is not healthy; "" if it is."""
        if self.task is not None and self.task.done() and not self.once:
            return f"{self.who} has stopped to {self.what}"
        if self.in_a_row >= SICK_AFTER:
            return f"{self.who} fails to {self.what}: {self.error}"
        if self.began is not None and time.monotonic() - self.began > self.patience_s:
            return f"{self.who} hangs when it has to {self.what}"
        return ""

    async def run(self, first_s: float) -> None:
        """Do the work with pauses until cancelled."""
        pause = first_s
        while not ending():
            await asyncio.sleep(pause)
            pause = await self._once()
            if self.once and not self.away and not self.in_a_row:
                return

    async def stop(self) -> None:
        """End it; may be called twice."""
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _once(self) -> float:
        """Do it once; return after how long again."""
        self.began = time.monotonic()
        self.runs += 1
        try:
            await self.work()
        except (Unavailable, Overloaded) as error:
            if not self.away:
                log.warning("%s cannot %s: %s", self.who, self.what, error)
            self.away, self.in_a_row = True, 0
        except asyncio.CancelledError:
            if ending():
                raise
            self._note(RuntimeError("it was cancelled"))  # by something that it called, not by stop()
        except Exception as error:  # noqa: BLE001 - whatever it is, the work has to go on
            self._note(error)
        else:
            self.away, self.in_a_row, self.error = False, 0, ""
        finally:
            self.began = None
        if not self.in_a_row:
            return self.every_s
        return max(self.every_s, pause_after(self.in_a_row))

    def _note(self, error: Exception) -> None:
        self.failures += 1
        self.in_a_row += 1
        self.error = type(error).__name__  # the message may hold an address or worse
        log.error("%s failed to %s, and tries again", self.who, self.what, exc_info=error)


class Loops:
    """The works of one part of the process; none of them can take it down."""

    def __init__(self, who: str) -> None:
        """``who``: who does them, for log and metrics."""
        self._who = who
        self._loops: list[Loop] = []

    def __iter__(self) -> Iterator[Loop]:
        return iter(self._loops)

    def repeat(
        self,
        what: str,
        work: Callable[[], Awaitable[None]],
        every_s: float,
        *,
        first_s: float | None = None,
        patience_s: float = float("inf"),
    ) -> Loop:
        """Do a work from now on with pauses, until :meth:`stop`; ``what`` follows "cannot" and "failed to"."""
        loop = Loop(self._who, what, work, every_s, patience_s)
        self._loops.append(loop)
        loop.task = asyncio.create_task(loop.run(every_s if first_s is None else first_s), name=what)
        return loop

    def once(self, what: str, work: Callable[[], Awaitable[None]]) -> Loop:
        """Do a work in the background, again with pauses if it fails, until it has succeeded."""
        loop = Loop(self._who, what, work, FIRST_PAUSE_S, float("inf"), once=True)
        self._loops.append(loop)
        loop.task = asyncio.create_task(loop.run(0), name=what)
        return loop

    async def end(self, loop: Loop) -> None:
        """End one work; may be called twice."""
        await loop.stop()
        self._loops = [other for other in self._loops if other is not loop]

    async def stop(self) -> None:
        """End all works; may be called twice."""
        for loop in list(self._loops):
            await self.end(loop)


def faults(loops: Iterable[Loop]) -> list[str]:
    """Return why some are not healthy, a sentence each."""
    return [fault for loop in loops if (fault := loop.fault)]


def gauges(loops: Iterable[Loop]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield figures for /metrics: those of works of one name together."""
    named: dict[tuple[str, str], list[Loop]] = {}
    for loop in loops:
        named.setdefault((loop.who, loop.what), []).append(loop)
    for (who, what), alike in named.items():
        labels = {"who": who, "what": what}
        yield "loop_runs", labels, sum(loop.runs for loop in alike)
        yield "loop_failures", labels, sum(loop.failures for loop in alike)
        yield "loop_healthy", labels, not faults(alike)
