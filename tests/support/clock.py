"""A server whose clock is set while it runs, by libfaketime, which scripts/test fetches where there is apt."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from tests.support.fake_server import FakeServer
from tests.support.live import ROOT

_PLACES = (Path("/usr/lib"), ROOT / "var" / "tools" / "libfaketime" / "usr" / "lib")


def library() -> Path | None:
    """Return the library, None where there is none."""
    return next((path for place in _PLACES for path in place.glob("*/faketime/libfaketimeMT.so.1")), None)


class ServerWithClock(FakeServer):
    """Its clock is right until it is told otherwise; what counts seconds, not dates, goes on as it did."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._moment = folder / "moment"
        self.set_clock("+0")
        super().__init__(folder, *options)

    def set_clock(self, moment: str) -> None:
        """Say what time it is there: ``+600`` seconds from the right one, or ``2082-01-01 00:00:00``."""
        self._moment.write_text(moment)

    def start(self, timeout_s: float = 120.0) -> None:
        """Start the process and wait until it serves."""
        words = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._moment),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        with mock.patch.dict("os.environ", words):
            super().start(timeout_s)
