"""Times: milliseconds since 1970 inside, the contract's text outside."""

from __future__ import annotations

import functools
import re
import time
from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 100  # characters of a time; in longer ones the patterns below would go to and fro for hours
MILLISECONDS_A_DAY = 86_400_000


def now_ms() -> int:
    """Return the present time."""
    return time.time_ns() // 1_000_000


def to_text(milliseconds: int) -> str:
    """Return UTC without zone and with six fractional digits.

    >>> to_text(1465816002075)
    '2016-06-13T11:06:42.075000'
    """
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{_minute(minutes)}:{rest // 1000:02}.{rest % 1000:03}000"


@functools.lru_cache(1024)
def _minute(minutes: int) -> str:
    """Return date, hour and minute of a minute, counted from 1970; a page of faces has few of them."""
    day, rest = divmod(minutes, 1440)
    return f"{date.fromordinal(_EPOCH.toordinal() + day).isoformat()}T{rest // 60:02}:{rest % 60:02}"


def from_text(text: str) -> int:
    """Return the milliseconds of an ISO 8601 text; without a zone it is UTC. Raises ValueError.

    >>> from_text("2016-06-13T14:06:42.0759+03:00")
    1465816002075
    >>> [to_text(from_text(text))[:10] for text in ("2016", "2016-06", "2016-165", "2016-W24-1", "2016-06-12T24:00")]
    ['2016-01-01', '2016-06-01', '2016-06-13', '2016-06-13', '2016-06-13']
    """
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError("too long")
    try:
        moment = _moment(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as error:  # a zone, or the end of a day, that leads out of the calendar
        raise ValueError(text) from error


def _moment(text: str) -> datetime:
    """Return what ISO 8601 means by a text, also the forms that Python does not read."""
    text = text.replace("\N{MINUS SIGN}", "-")
    text = re.sub(r"^\+0*([0-9]{4})(?=-|$)", r"\1", text)  # an expanded year
    # A + that was not escaped in a query has become a blank.
    text = re.sub(r"([0-9][T ][0-9]{2}.*) ([0-9]{2}(?::?[0-9]{2})?)$", r"\1+\2", text)
    if match := re.fullmatch(r"([0-9]{4})(-[0-9]{2})?", text):
        text = f"{match[1]}{match[2] or '-01'}-01"
    elif match := re.fullmatch(r"([0-9]{4})-?([0-9]{3})(T.+)?", text):
        day = datetime.strptime(f"{match[1]}-{match[2]}", "%Y-%j").date()  # noqa: DTZ007 - a date has no zone
        if day.year != int(match[1]):
            raise ValueError("a year of 365 days")
        text = f"{day.isoformat()}{match[3] or ''}"
    text, more = _plain_time(text)
    return datetime.fromisoformat(text) + more


def _plain_time(text: str) -> tuple[str, timedelta]:
    """Return a text that Python reads, and what is to be added to what it means.

    >>> _plain_time("2016-06-13T24:00Z"), _plain_time("2016-12-31T23:59:60"), _plain_time("2016-06-13T11.5")[1]
    (('2016-06-13T00:00Z', datetime.timedelta(days=1)), ('2016-12-31T23:59:59', datetime.timedelta(seconds=1)), \
datetime.timedelta(seconds=1800))
    """
    if match := re.fullmatch(r"(.+T)24((?::?00(?::?00(?:[.,]0+)?)?)?(?:[Z+-].*)?)", text):
        return f"{match[1]}00{match[2]}", timedelta(days=1)
    if match := re.fullmatch(r"(.+[T ][0-9]{2}:?[0-9]{2}:?)60((?:[.,][0-9]+)?(?:[Z+-].*)?)", text):  # a leap second
        return f"{match[1]}59{match[2]}", timedelta(seconds=1)
    if match := re.fullmatch(r"(.+[T ][0-9]{2}(:?[0-9]{2})?)[.,]([0-9]+)([Z+-].*)?", text):  # of an hour, a minute
        unit = timedelta(minutes=1) if match[2] else timedelta(hours=1)
        return f"{match[1]}{match[4] or ''}", unit * float(f"0.{match[3][:12]}")
    return text, timedelta()
