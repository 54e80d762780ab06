"""A history as it is in the field: a camera and a person with half of all events, times that are told late or wrong.

Faces arrive at a steady pace. Their times are whole tens of seconds, so many are the same. One camera says 1970, one
tells of each day three days later, all others at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from facenapi.storage.base import Face, FaceFilter, Page, Store
from facenapi.storage.ids import make_id

OWNER = "ann"
BEGIN_S = 1_704_067_200  # 2024-01-01
HALF, FEW = "half", "few"  # galleries
MANY, RARE = "many", "rare"  # metas
MAIN, SIDE, WRONG, LATE = "main", "side", "wrong-clock", "late"  # cameras; the person of half of all is never at SIDE
CAMERAS = (MAIN, SIDE, WRONG, LATE, *(f"camera-{number}" for number in range(40)))
EVERYWHERE = 1  # the person with half of all events, never a friend
PERSONS = 300
DAY_MS = 86_400_000


@dataclass(frozen=True)
class World:
    """How many faces, how many numbers each has, and how many arrive in a second."""

    count: int
    dim: int = 4
    pace: float = 5.0

    def id_at(self, part: float) -> int:
        """Return an id at a part of the whole time, 0 to 1."""
        return make_id(BEGIN_S + part * self.count / self.pace, 0)

    def time_at(self, part: float) -> int:
        """Return the time in milliseconds at a part of the whole time."""
        return round(1000 * (BEGIN_S + part * self.count / self.pace))

    def faces(self) -> Iterator[Face]:
        """Yield all faces in the order of their arrival."""
        random = Random(self.count)
        for number in range(self.count):
            seconds = BEGIN_S + number / self.pace
            cam_id, person_id = _seen(random) if number % 10 else (None, None)
            names = ["default", *([HALF] if number % 2 else []), *([FEW] if number % 200 == 0 else [])]
            yield Face(
                OWNER, number % 1024, 10, 10, 90, 90, random.randbytes(4 * self.dim), "net", f"{number:032x}",
                _told(cam_id, round(1000 * seconds)), meta=_meta(number, self.count), galleries=tuple(names),
                photo="http://example.org/photo.jpg", person_id=person_id, cam_id=cam_id,
                friend=None if cam_id is None else person_id not in (None, EVERYWHERE) and random.random() < 0.1,
                id=make_id(seconds, number % 1024), rev=0,
            )  # fmt: skip

    def times(self) -> dict[str, tuple[int | None, int | None]]:
        """Return ranges of time by name: start and end."""
        moment = self.time_at(0.5) // 10_000 * 10_000
        return {
            "": (None, None),
            "before the last tenth": (None, self.time_at(0.9)),
            "before the second tenth": (None, self.time_at(0.1)),
            "since the last tenth": (self.time_at(0.9), None),
            "the fourth tenth": (self.time_at(0.3), self.time_at(0.4)),
            "some minutes": (moment, moment + 180_000),
            "one moment": (moment, moment),
            "1970": (None, DAY_MS * 365),
            "before all": (None, -1),
        }

    def pages(self, limit: int) -> dict[str, Page]:
        """Return pages by name: of the newest, from the middle, and of the oldest."""
        return {
            "first": Page(limit),
            "middle": Page(limit, max_id=self.id_at(0.5)),
            "last": Page(limit, max_id=self.id_at(limit / self.count)),
            "middle, backwards": Page(limit, min_id=self.id_at(0.5)),
        }

    def history(self) -> dict[tuple[str, ...], FaceFilter]:
        """Return all combinations of filters of the history; of their names those that are not there are empty."""
        persons = {"": None, "half of all": EVERYWHERE, "another": 7, "nobody": PERSONS + 1}
        cameras = {
            "": None,
            "main": (MAIN,),
            "side": (SIDE,),
            "wrong clock": (WRONG,),
            "late": (LATE,),
            "two": (MAIN, SIDE),
            "eight": CAMERAS[:8],
            "unknown": ("none",),
        }
        friends = {"": None, "friends": True, "others": False}
        return {
            (person, camera, friend, when): FaceFilter(
                events=True, person_id=persons[person], cam_ids=cameras[camera], friend=friends[friend],
                start_ms=start, end_ms=end,
            )
            for (when, (start, end)), person, camera, friend in itertools.product(
                self.times().items(), persons, cameras, friends
            )
        }  # fmt: skip

    def lists(self) -> dict[tuple[str, ...], FaceFilter]:
        """Return all combinations of filters of the lists of faces."""
        galleries = {"": None, "half": HALF, "few": FEW, "no such": "none"}
        metas = {"": None, "many": MANY, "rare": RARE, "no such": "none"}
        found = {
            (gallery, meta): FaceFilter(gallery=galleries[gallery], meta=metas[meta])
            for gallery, meta in itertools.product(galleries, metas)
        }
        persons = {"half of all": EVERYWHERE, "another": 7, "nobody": PERSONS + 1}
        return found | {("person", name): FaceFilter(person_id=number) for name, number in persons.items()}


async def fill(store: Store, world: World, batch: int = 1000) -> None:
    """Put the world into an empty store."""
    await store.restore_persons(OWNER, range(1, PERSONS + 1))
    for name in (HALF, FEW):
        await store.add_gallery(OWNER, name)
    faces = world.faces()
    while some := list(itertools.islice(faces, batch)):
        await store.restore_faces(some)


def _seen(random: Random) -> tuple[str, int | None]:
    """Return the camera and the person of an event."""
    chance = random.random()
    camera = MAIN if chance < 0.5 else SIDE if chance < 0.6 else WRONG if chance < 0.61 else LATE
    if chance >= 0.63:
        camera = random.choice(CAMERAS[4:])
    if camera != SIDE and random.random() < 0.55:
        return camera, EVERYWHERE
    return camera, random.choice((None, *range(2, PERSONS + 1)))


def _told(cam_id: str | None, now_ms: int) -> int:
    """Return the time that a camera tells with a face."""
    if cam_id == WRONG:
        return (now_ms - 1000 * BEGIN_S) // 10_000 * 10_000
    return (now_ms - (3 * DAY_MS if cam_id == LATE else 0)) // 10_000 * 10_000


def _meta(number: int, count: int) -> str:
    if number % 5 == 0:
        return MANY
    return RARE if number % (count // 3) == 1 else f"person {number // 10}"
