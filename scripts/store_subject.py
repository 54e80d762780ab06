"""What ``bench_store.py`` measures: a store filled as a deployment's is, and the calls made of it."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facenapi.storage.base import Face, FaceChange, FaceFilter, NewFace, Page, Store

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

OWNER = "bench"
GALLERIES = [f"gallery-{i}" for i in range(20)]
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000


@dataclass
class Subject:
    """A store of a size, and what was measured of it."""

    size: int
    store: Store
    dim: int
    random: random.Random
    batch: int = 1000
    first: int = 0
    last: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def new_face(self, number: int) -> NewFace:
        """A face as a deployment has them; ``number`` decides meta, gallery, camera and time."""
        return NewFace(
            OWNER,
            self.random.randrange(1024),
            100,
            100,
            220,
            240,
            self.random.randbytes(4 * self.dim),
            "bench",
            "0" * 32,
            START_MS + number * 60_000,
            meta=f"person {number // 10}",
            galleries=(GALLERIES[number % len(GALLERIES)],),
            photo="http://example.org/photo.jpg",
            cam_id=f"camera-{number // 2 % 50}" if number % 2 else None,
        )

    async def fill(self) -> None:
        """Make galleries and load the faces in batches."""
        for name in GALLERIES:
            await self.store.add_gallery(OWNER, name)
        started, faces = time.perf_counter(), list[Face]()
        for start in range(0, self.size, self.batch):
            faces = await self.store.add_faces([self.new_face(i) for i in range(start, start + self.batch)])
            self.first = self.first or faces[0].id
        self.last = faces[-1].id
        self.rates["bulk load"] = self.size / (time.perf_counter() - started)

    async def write(self, clients: int, count: int) -> None:
        """Add faces one by one, from clients that each wait for their answer."""

        async def client() -> None:
            for _ in range(count // clients):
                await self.store.add_faces([self.new_face(self.random.randrange(self.size))])

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        self.rates[f"add, {clients} client{'s' * (clients > 1)}"] = count / (time.perf_counter() - started)

    async def scan(self) -> None:
        """Read the whole feed, as a shard does that starts from nothing."""
        started, count, rev, more = time.perf_counter(), 0, 0, True
        while more:
            changes = await self.store.changes_since(rev, 2000)
            count, rev, more = count + len(changes.faces), changes.next_rev, changes.more
        self.rates["full scan"] = count / (time.perf_counter() - started)

    def reads(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """The calls whose growth is bounded, each at a random place."""

        def place() -> Page:
            # In the newer half, so that every page is a full one.
            return Page(100, self.random.randint((self.first + self.last) // 2, self.last))

        def gallery() -> str:
            return self.random.choice(GALLERIES)

        def week() -> FaceFilter:
            start = START_MS + self.random.randrange(self.size) * 60_000
            return FaceFilter(events=True, start_ms=start, end_ms=start + DAY_MS // 4)

        everything = FaceFilter()
        return {
            "page of all": lambda: self.store.list_faces(OWNER, everything, place()),
            "page of a gallery": lambda: self.store.list_faces(OWNER, FaceFilter(gallery=gallery()), place()),
            "page of a camera": lambda: self.store.list_faces(
                OWNER, FaceFilter(cam_ids=(f"camera-{self.random.randrange(50)}",)), Page(20)
            ),
            "history of hours": lambda: self.store.list_faces(OWNER, week(), Page(100)),
            "count of a gallery": lambda: self.store.count_faces(OWNER, gallery()),
            "page of metas": lambda: self.store.list_metas(OWNER, None, place()),
            "metas of a gallery": lambda: self.store.list_metas(OWNER, gallery(), place()),
        }

    async def bulk(self, seconds: float) -> None:
        """Read the feed; for some seconds each change faces, delete by gallery, and restore what was deleted."""
        faces: dict[int, Face] = {}
        more, rev, started = True, 0, time.perf_counter()
        while more:
            changes = await self.store.changes_since(rev, 2000)
            faces |= {face.id: face for face in changes.faces}
            rev, more = changes.next_rev, changes.more
        self.rates["first load"] = len(faces) / (time.perf_counter() - started)
        left, gone, galleries = iter(list(faces)), dict[int, Face](), [*GALLERIES]

        async def regenerate() -> int:
            some = list(itertools.islice(left, 16))
            news = FaceChange(embedding=self.random.randbytes(4 * self.dim), model="newer")
            await asyncio.gather(*(self.store.update_face(OWNER, face_id, news) for face_id in some))
            return len(some)

        async def delete() -> int:
            while galleries:
                some = await self.store.delete_faces(OWNER, FaceFilter(gallery=galleries[-1]), 100)
                gone.update((face.id, face) for face in some)
                if some:
                    return len(some)
                galleries.pop()
            return 0

        async def restore() -> int:
            return await self.store.restore_faces([gone.popitem()[1] for _ in range(min(100, len(gone)))])

        await self.repeat("regenerate", regenerate, seconds)
        await self.repeat("delete galleries", delete, seconds)
        await self.repeat("restore", restore, seconds)

    async def repeat(self, name: str, step: Callable[[], Awaitable[int]], seconds: float) -> None:
        """Repeat a step until it has no more faces to work on, or the time is over."""
        started, count, done = time.perf_counter(), 0, 1
        while done and time.perf_counter() < started + seconds:
            done = await step()
            count += done
        self.rates[name] = count / (time.perf_counter() - started)
