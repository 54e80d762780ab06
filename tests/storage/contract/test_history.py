"""Every backend: any combination of filters finds what is there, page by page, while faces come and go."""

from __future__ import annotations

import random

import pytest

from facenapi.storage.base import Face, Page
from tests.storage.conftest import QUICK_BACKENDS
from tests.storage.oracle import Oracle
from tests.storage.samples import ids
from tests.support.skewed import FEW, HALF, OWNER, PERSONS, World, fill

WORLD = World(240, pace=0.1)


class Flux:
    """A store and what it should hold, of which some is taken away and given back between any two looks."""

    def __init__(self, store, seed: int) -> None:
        self.store, self.oracle, self.random = store, Oracle(), random.Random(seed)
        self.gone: list[Face] = []

    async def begin(self) -> None:
        await fill(self.store, WORLD)
        self.oracle.galleries[OWNER] = {HALF, FEW}
        self.oracle.persons[OWNER] = PERSONS
        self.oracle.add_faces(WORLD.faces())

    async def change(self) -> None:
        if len(self.gone) > 30:
            back = [self.gone.pop(self.random.randrange(len(self.gone))) for _ in range(10)]
            assert await self.store.restore_faces(back) == len(back)
            self.oracle.add_faces(back)
        face_id = self.random.choice(list(self.oracle.faces))
        self.gone.append(self.oracle.delete_face(OWNER, face_id))
        assert (await self.store.delete_face(OWNER, face_id)).id == face_id

    async def walk(self, where, limit: int) -> None:
        """Go down a list by its cursors, then back up again."""
        page = Page(limit, max_id=self.random.choice((None, None, WORLD.id_at(self.random.random()))))
        found = []
        for _ in range(3):
            expected = ids(self.oracle.list_faces(OWNER, where, page))
            assert ids(await self.store.list_faces(OWNER, where, page)) == expected, (where, page)
            if not expected:
                break
            found, page = expected, Page(limit, max_id=expected[-1])
            await self.change()
        if found:
            page = Page(limit, min_id=found[-1])
            expected = ids(self.oracle.list_faces(OWNER, where, page))
            assert ids(await self.store.list_faces(OWNER, where, page)) == expected, (where, page)


@pytest.mark.gen_test(timeout=120)
@pytest.mark.parametrize(
    "store", [pytest.param(name, marks=() if "sqlite-full" in name else pytest.mark.slow) for name in QUICK_BACKENDS],
    indirect=True,
)  # fmt: skip
async def test_any_filters_find_what_is_there_page_by_page(store, request):
    flux = Flux(store, seed=15)
    await flux.begin()
    filters = [*WORLD.history().values(), *WORLD.lists().values()]
    some = filters if "sqlite-normal" in request.node.name else flux.random.sample(filters, 25)
    for where in some:
        await flux.walk(where, flux.random.choice((1, 7, 40)))
    for gallery in (None, HALF, FEW):
        page = Page(9)
        while expected := flux.oracle.list_metas(OWNER, gallery, page):
            found = await store.list_metas(OWNER, gallery, page)
            assert [(meta.faces, meta.first.id) for meta in found] == [
                (meta.faces, meta.first.id) for meta in expected
            ]
            page = Page(9, max_id=expected[-1].first.id)
            await flux.change()
    assert [finding for finding in await store.report() if not finding.well] == []
