"""Ids: layout, growth, limits."""

from __future__ import annotations

import itertools
import random

import pytest

from facenapi.errors import Unavailable
from facenapi.storage.ids import EARLIEST_S, MAX_ID, IdMaker, cell_of, make_id, seconds_of

NOW = 1_700_000_000.0


def test_layout_is_ticks_of_400_microseconds_then_cell():
    assert make_id(1.0, 0) == 2500 << 10
    assert make_id(0.0004, 1023) == (1 << 10) + 1023
    face_id = make_id(1_465_816_266.5, 77)
    assert (cell_of(face_id), seconds_of(face_id)) == (77, 1_465_816_266.5)


def test_ids_are_exact_in_json_until_2081():
    assert make_id(3_502_828_800, 1023) < MAX_ID < make_id(3_534_364_800, 0)  # 1 January 2081, 2082


@pytest.mark.parametrize("cell", [-1, 1024])
def test_a_cell_outside_the_table_is_refused(cell):
    with pytest.raises(ValueError, match="cell"):
        make_id(1.0, cell)


def test_ids_grow_when_the_clock_stands_still_or_runs_back():
    times = iter([NOW + 1] * 1000 + [NOW] * 1000)
    maker = IdMaker(clock=lambda: next(times))
    cells = [random.Random(1).randrange(1024) for _ in range(2000)]
    ids = [maker.next(cell) for cell in cells]
    assert all(one < other for one, other in itertools.pairwise(ids))
    assert [cell_of(face_id) for face_id in ids] == cells


def test_a_clock_that_was_wrong_by_hours_is_forgotten():
    times = iter([NOW, NOW + 1e8, NOW + 1e8])
    maker = IdMaker(last=make_id(2e9, 0), clock=lambda: next(times))
    assert maker.next(3) == make_id(NOW, 3)
    assert maker.next(2) == make_id(NOW + 1e8, 2)
    assert maker.next(1) == make_id(NOW + 1e8, 1) + 1024


@pytest.mark.parametrize("seconds", [3_534_364_800, 1e12, -1e9, 0.0, EARLIEST_S - 1])
def test_no_id_is_made_that_clients_could_not_use_or_that_is_decades_off(seconds):
    maker = IdMaker(clock=lambda: seconds)
    with pytest.raises(Unavailable, match="clock"):
        maker.next(1)
    maker._clock = lambda: NOW
    assert maker.next(1) == make_id(NOW, 1)


def test_ids_start_above_the_last_one_stored():
    maker = IdMaker(last=make_id(NOW + 9, 5), clock=lambda: NOW)
    assert maker.next(6) == make_id(NOW + 9, 6)
    assert maker.next(6) == make_id(NOW + 9, 6) + 1024
