"""Times keep their millisecond through text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facenapi import clock

YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999


@given(st.integers(YEAR_1, YEAR_9999))
def test_every_millisecond_of_the_calendar_comes_back(milliseconds):
    text = clock.to_text(milliseconds)
    assert len(text) == len("2016-06-13T11:06:42.075000")
    assert clock.from_text(text) == clock.from_text(text + "Z") == milliseconds


@given(st.datetimes(timezones=st.timezones()))
def test_any_zone_is_turned_into_utc_or_refused(moment):
    try:
        milliseconds = clock.from_text(moment.isoformat())
    except ValueError:
        assert moment.year in (1, 9999)
    else:
        assert abs(milliseconds / 1000 - moment.timestamp()) < 0.002
        assert clock.from_text(clock.to_text(milliseconds)) == milliseconds


def test_a_day_that_a_year_does_not_have_is_refused():
    assert clock.to_text(clock.from_text("2016-366")) == "2016-12-31T00:00:00.000000"
    with pytest.raises(ValueError, match="365"):
        clock.from_text("2015-366")
