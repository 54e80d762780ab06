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
    """Fetch a page and look beyond it in both directions."""
    backwards = page.min_id is not None
    whole = replace(page, limit=page.limit + 1)
    behind = _behind(page)
    items, *others = await fetch([whole] if behind is None else [whole, behind])
    beyond = len(items) > page.limit
    if beyond:
        # Fetched backwards, the entry beyond the page is the newest.
        items = items[1:] if backwards else items[:-1]
    # With nothing left here, there may still be something on the side the client came from.
    first = id_of(items[0]) if items else (page.max_id or 0) - 1
    last = id_of(items[-1]) if items else (page.min_id or 0) + 1
    older, newer = (any(others), beyond) if backwards else (beyond, any(others))
    return Window(items, last if older else None, first if newer else None)


def single(fetch: Callable[[Page], Awaitable[list[T]]]) -> Fetch[T]:
    """Return what :func:`window` needs, of what fetches one page."""

    async def fetch_all(pages: Sequence[Page]) -> list[list[T]]:
        return list(await asyncio.gather(*map(fetch, pages)))

    return fetch_all


def _behind(page: Page) -> Page | None:
    """Return what to look for on the side the client came from; nothing lies between that bound and the page."""
    if page.min_id is not None:
        return Page(1, max_id=page.min_id + 1)
    return Page(1, min_id=page.max_id - 1) if page.max_id else None
