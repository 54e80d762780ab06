"""Times: milliseconds since 1970 inside, the contract's text outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_A_DAY = 86_400_000


def now_ms() -> int:
    """Return the present time."""
    return time.time_ns() // 1_000_000


def to_text(milliseconds: int) -> str:
    """Return UTC without zone and with six fractional digits.

    >>> to_text(1465816002075)
    '2016-06-13T11:06:42.075000'
    """
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def from_text(text: str) -> int:
    """Return the milliseconds of an ISO 8601 text; without a zone it is UTC. Raises ValueError.

    >>> from_text("2016-06-13T14:06:42.0759+03:00")
    1465816002075
    """
    moment = datetime.fromisoformat(text.strip().upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as error:  # a zone that leads out of the calendar
        raise ValueError(text) from error
