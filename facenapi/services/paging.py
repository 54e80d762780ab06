"""Pages of lists that are ordered newest first, and whether there is one before and one after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from facenapi.storage.base import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """A page of a list.

    ``next_max_id`` and ``prev_min_id`` are the (exclusive) bounds of the neighbours, None at the ends.
    """

    items: list[T]
    next_max_id: int | None
    prev_min_id: int | None


async def window(fetch: Callable[[Page], Awaitable[list[T]]], id_of: Callable[[T], int], page: Page) -> Window[T]:
    """Fetch a page and look one entry beyond it in both directions."""
    items = await fetch(replace(page, limit=page.limit + 1))
    backwards = page.min_id is not None
    beyond = len(items) > page.limit
    if beyond:
        # Fetched backwards, the entry beyond the page is the newest.
        items = items[1:] if backwards else items[:-1]
    if not items:  # nothing is left here, but there may be something on the side the client came from
        return Window(
            [],
            page.min_id + 1 if page.min_id is not None and await fetch(Page(1, max_id=page.min_id + 1)) else None,
            page.max_id - 1
            if page.max_id and not backwards and await fetch(Page(1, min_id=page.max_id - 1))
            else None,
        )
    first, last = id_of(items[0]), id_of(items[-1])
    newer = beyond if backwards else page.max_id is not None and bool(await fetch(Page(1, min_id=first)))
    older = bool(await fetch(Page(1, max_id=last))) if backwards else beyond
    return Window(items, last if older else None, first if newer else None)
