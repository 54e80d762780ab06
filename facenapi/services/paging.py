"""Pages of lists that are ordered newest first, and whether there is one before and one after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from facenapi.storage.base import Page

T = TypeVar("T")

Fetch = Callable[[Sequence[Page]], Awaitable[list[list[T]]]]


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """A page of a list.

    ``next_max_id`` and ``prev_min_id`` are the (exclusive) bounds of the neighbours, None at the ends.
    """

    items: list[T]
    next_max_id: int | None
    prev_min_id: int | None


async def window(fetch: Fetch[T], id_of: Callable[[T], int], page: Page) -> Window[T]:
    """Fetch a page and look beyond it in both directions; nothing lies between a bound and what is beyond it."""
    backwards = page.min_id is not None
    older = [] if page.min_id is None else [Page(1, max_id=page.min_id + 1)]
    below_max = 0 if page.max_id is None else max(page.max_id - 1, 0)  # ids begin at 1
    newer = [] if page.max_id is None else [Page(1, min_id=below_max)]
    items, *others = await fetch([replace(page, limit=page.limit + 1), *older, *newer])
    has_older, has_newer = any(others[: len(older)]), any(others[len(older) :])
    if len(items) > page.limit:
        # Fetched backwards, the entry beyond the page is the newest.
        items = items[1:] if backwards else items[:-1]
        has_older, has_newer = has_older or not backwards, has_newer or backwards
    # With nothing left here, there may still be something on the side the client came from.
    first = id_of(items[0]) if items else below_max
    last = id_of(items[-1]) if items else (page.min_id or 0) + 1
    return Window(items, last if has_older else None, first if has_newer else None)


def single(fetch: Callable[[Page], Awaitable[list[T]]]) -> Fetch[T]:
    """Return what :func:`window` needs, of what fetches one page."""

    async def fetch_all(pages: Sequence[Page]) -> list[list[T]]:
        return list(await asyncio.gather(*map(fetch, pages)))

    return fetch_all
