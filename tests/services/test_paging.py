"""Pages of a list that others change: hypothesis walks them forth and back."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from facenapi.services.paging import single, window
from facenapi.storage.base import Page

IDS = st.sets(st.integers(1, 60)).map(lambda ids: sorted(ids, reverse=True))


def look(ids, page):
    """Return a window of a list, fetched as a store would."""

    async def fetch(asked):
        low = -1 if asked.min_id is None else asked.min_id
        found = [item for item in ids if low < item and (asked.max_id is None or item < asked.max_id)]
        return found[-asked.limit :] if asked.min_id is not None else found[: asked.limit]

    return asyncio.run(window(single(fetch), lambda item: item, page))


@given(IDS, st.integers(1, 7))
def test_forth_and_back_see_everything_once(ids, limit):
    forth, page = [], Page(limit)
    while True:
        found = look(ids, page)
        forth.append(found.items)
        if found.next_max_id is None:
            break
        page = Page(limit, max_id=found.next_max_id)
    assert [item for items in forth for item in items] == ids
    back = [found.items]
    while found.prev_min_id is not None:
        found = look(ids, Page(limit, min_id=found.prev_min_id))
        back.append(found.items)
    assert [item for items in reversed(back) for item in items] == ids


@given(IDS, st.integers(1, 7), st.integers(1, 61))
def test_links_lead_on_exactly_where_there_is_more(ids, limit, bound):
    older = look(ids, Page(limit, max_id=bound))
    first = older.items[0] if older.items else bound - 1
    assert (older.prev_min_id is not None) is any(item > first for item in ids)
    assert (older.next_max_id is not None) is (len([item for item in ids if item < bound]) > limit)
    newer = look(ids, Page(limit, min_id=bound))
    last = newer.items[-1] if newer.items else bound + 1
    assert (newer.next_max_id is not None) is any(item < last for item in ids)
    assert (newer.prev_min_id is not None) is (len([item for item in ids if item > bound]) > limit)


@given(IDS, st.integers(1, 7), st.integers(0, 61), st.integers(0, 61))
def test_a_page_between_two_bounds_links_beyond_both(ids, limit, low, high):
    found = look(ids, Page(limit, min_id=low, max_id=high))
    inside = [item for item in ids if low < item < high]
    assert found.items == inside[-limit:]
    first, last = (found.items[0], found.items[-1]) if found.items else (max(high - 1, 0), low + 1)
    assert (found.prev_min_id is not None) is any(item > first for item in ids)
    assert (found.next_max_id is not None) is any(item < last for item in ids)


@given(IDS, st.sets(st.integers(1, 60)), st.sets(st.integers(61, 90)), st.integers(1, 5))
def test_what_stays_is_seen_once_while_others_come_and_go(ids, gone, come, limit):
    seen, page, now = [], Page(limit), ids
    while True:
        found = look(now, page)
        seen += found.items
        if found.next_max_id is None:
            break
        page = Page(limit, max_id=found.next_max_id)
        now = sorted({*ids, *come} - gone, reverse=True)
    assert len(seen) == len(set(seen))
    assert [item for item in seen if item not in gone] == [item for item in ids if item not in gone]
