"""Random operations on a store and on :class:`Oracle`: every answer must be the same."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from facenapi.storage.base import (
    Camera,
    Face,
    FaceChange,
    FaceFilter,
    MetaSummary,
    NewFace,
    Page,
    UnknownGalleryError,
    UnknownPersonError,
)
from tests.storage.conftest import BACKENDS, QUICK_BACKENDS, VARIANTS
from tests.storage.oracle import DAY_MS, Oracle
from tests.support.effort import LONG

OWNERS = ("ann", "bob")
GALLERIES = ("staff", "guests", "b")
METAS = ("", "Ann", "ann", "Zoë", "x\0y")
CAMERAS = ("Cam-1", "cam1", "door", "0f-0F")
START = 1_700_000_000_000
# Few faces meet each other more often, and the double is slow with many.
MANY = 60


class Walk:
    """A random walk over the operations of a store. Each method below is one kind of step."""

    def __init__(self, store, seed: int) -> None:
        self.store = store
        self.oracle = Oracle()
        self.random = random.Random(seed)
        self.tombstones: list[Face] = []
        self.followed: dict[int, tuple[int, Face | None]] = {}
        self.rev = 0

    async def step(self) -> None:
        await self.random.choice(
            (
                *[self.add] * 4,
                *[self.edit] * 3,
                self.delete,
                self.delete_some,
                self.restore,
                *[self.look] * 3,
                self.metas,
                *[self.gallery] * 2,
                self.person,
                self.camera,
                self.follow,
            )
        )()

    # -- choices --------------------------------------------------------------------------------
    def maybe(self, chance: float, value):
        return value if self.random.random() < chance else None

    def owner(self) -> str:
        return self.random.choice(OWNERS)

    def time(self) -> int:
        return self.random.choice((START, -START)) + self.random.randrange(10 * DAY_MS)

    def names(self, most: int = 2) -> tuple[str, ...]:
        return tuple(self.random.sample(("default", *GALLERIES), self.random.randint(0, most)))

    def face_id(self, owner: str) -> int:
        known = sorted(self.oracle.of(self.random.choice((owner, owner, owner, *OWNERS))))
        return self.random.choice(known) if known else 12345

    def person_id(self) -> int:
        return self.random.randint(1, 6)

    def where(self) -> FaceFilter:
        events = self.random.random() < 0.5
        cameras = tuple(self.random.choices(CAMERAS, k=self.random.randint(0, 3)))
        return FaceFilter(
            gallery=self.maybe(0.3, self.random.choice(("default", *GALLERIES))),
            meta=self.maybe(0.3, self.random.choice(METAS)),
            person_id=self.maybe(0.2, self.person_id()),
            events=events and self.random.random() < 0.8,
            cam_ids=self.maybe(0.5 if events else 0.05, cameras),
            start_ms=self.maybe(0.2, self.time()),
            end_ms=self.maybe(0.2, self.time()),
            friend=self.maybe(0.2, self.random.random() < 0.5),
        )

    def page(self, keys: list[int]) -> Page:
        keys = [*keys, 0, 2**53]
        return Page(
            self.random.choice((1, 2, 5, 100)),
            self.maybe(0.4, self.random.choice(keys)),
            self.maybe(0.4, self.random.choice(keys)),
        )

    def new_face(self, owner: str) -> NewFace:
        return NewFace(
            owner,
            self.random.randrange(1024),
            -5,
            0,
            self.random.randrange(9999),
            70,
            self.random.randbytes(16),
            self.random.choice(("m1", "m2")),
            "0" * 32,
            self.time(),
            meta=self.random.choice(METAS),
            galleries=self.names(),
            photo=self.random.choice(("", "http://x/y")),
            person_id=self.maybe(0.3, self.person_id()),
            friend=self.maybe(0.5, self.random.random() < 0.5),
            cam_id=self.maybe(0.6, self.random.choice(CAMERAS)),
            age=self.maybe(0.3, 31.25),
            gender=self.maybe(0.3, "female"),
            emotions=self.maybe(0.3, ("sad", "happy")),
            thumbnail=self.maybe(0.1, "t"),
            normalized=self.maybe(0.1, "n"),
        )

    # -- comparing ------------------------------------------------------------------------------
    async def same(self, name: str, *args) -> None:
        """Run an operation on both; compare the answers, or the exceptions."""
        try:
            expected = getattr(self.oracle, name)(*args)
        except (UnknownGalleryError, UnknownPersonError) as error:
            with pytest.raises(type(error)):
                await getattr(self.store, name)(*args)
        else:
            assert unrevised(await getattr(self.store, name)(*args)) == unrevised(expected), (name, args)

    # -- steps ----------------------------------------------------------------------------------
    async def add(self) -> None:
        if len(self.oracle.faces) > MANY:
            await self.delete_some()
            return
        owner = self.owner()
        faces = [self.new_face(owner) for _ in range(self.random.choice((1, 1, 1, 3)))]
        if not all(self.oracle.knows(owner, face.galleries, face.person_id) for face in faces):
            with pytest.raises((UnknownGalleryError, UnknownPersonError)):
                await self.store.add_faces(faces)
            return
        added = await self.store.add_faces(faces)
        for face, stored in zip(faces, added, strict=True):
            names = ("default", *sorted(set(face.galleries) - {"default"}))
            fields = {name: getattr(face, name) for name in NewFace.__slots__}
            assert stored == Face(**{**fields, "galleries": names}, id=stored.id, rev=stored.rev)
            assert stored.id % 1024 == face.cell
            assert stored.id not in self.oracle.faces
        self.oracle.add_faces(added)

    async def edit(self) -> None:
        owner = self.owner()
        change = FaceChange(
            meta=self.maybe(0.4, self.random.choice(METAS)),
            person_id=self.maybe(0.3, self.person_id()),
            set_galleries=self.maybe(0.2, self.names(3)),
            add_galleries=self.maybe(0.4, self.names()) or (),
            del_galleries=self.maybe(0.4, self.names()) or (),
            model=self.maybe(0.1, "m3"),
        )
        await self.same("update_face", owner, self.face_id(owner), change)

    async def delete(self) -> None:
        owner = self.owner()
        face_id = self.face_id(owner)
        self.tombstones.extend(self.oracle.get_faces(owner, [face_id]).values())
        await self.same("delete_face", owner, face_id)

    async def delete_some(self) -> None:
        owner, where, limit = self.owner(), self.where(), self.random.choice((1, 3, 10))
        expected = self.oracle.delete_faces(owner, where, limit)
        assert unrevised(await self.store.delete_faces(owner, where, limit)) == unrevised(expected)
        self.tombstones.extend(expected)

    async def restore(self) -> None:
        faces = self.random.sample(self.tombstones, min(2, len(self.tombstones)))
        for face in faces:
            self.oracle.galleries.setdefault(face.owner, set()).update(face.galleries[1:])
            for name in face.galleries:
                await self.store.add_gallery(face.owner, name)
            if face.person_id is not None:
                self.oracle.no_persons.discard((face.owner, face.person_id))
                await self.store.restore_persons(face.owner, [face.person_id])
        new = {face.id: face for face in faces if face.id not in self.oracle.faces}
        assert await self.store.restore_faces(faces) == len(new)
        self.oracle.add_faces(new.values())

    async def look(self) -> None:
        owner = self.owner()
        where, page = self.where(), self.page(sorted(self.oracle.faces))
        await self.same("list_faces", owner, where, page)
        await self.same("get_faces", owner, [self.face_id(owner), self.face_id(owner)])
        await self.same("count_faces", owner, self.random.choice((None, "default", *GALLERIES)))

    async def metas(self) -> None:
        gallery = self.random.choice((None, "default", *GALLERIES))
        await self.same("list_metas", self.owner(), gallery, self.page(sorted(self.oracle.faces)))

    async def gallery(self) -> None:
        owner, name = self.owner(), self.random.choice(("default", *GALLERIES))
        step = self.random.choice(("add_gallery", "add_gallery", "remove_gallery", "has_gallery"))
        await self.same(step, owner, name)
        await self.same("list_galleries", owner)

    async def person(self) -> None:
        owner = self.owner()
        if self.oracle.persons.get(owner, 0) < 5:
            await self.same("new_person", owner)
        elif self.random.random() < 0.1:
            await self.same("remove_persons", owner, [self.person_id()])
        await self.same("get_person", owner, self.person_id())
        await self.same("list_persons", owner, self.page([1, 2, 3, 4, 5]))
        start, end = sorted((self.time(), self.time()))
        await self.same("sighting_days", owner, self.person_id(), self.random.choice(CAMERAS), start, end)

    async def camera(self) -> None:
        owner, cam_id = self.owner(), self.random.choice(CAMERAS)
        fields = {"meta": self.random.choice(METAS), "roi": [1, 2, 3, 4]} | self.random.choice(
            ({}, {"detector": "a"})
        )
        step = self.random.choice(("add", "update", "delete", "get"))
        if step == "add":
            await self.same("add_camera", Camera(cam_id, owner, fields))
        elif step == "update":
            await self.same("update_camera", owner, cam_id, {"enabled": True, "meta": "new", "detector": None})
        elif step == "delete":
            await self.same("delete_camera", owner, cam_id)
        await self.same("get_camera", owner, cam_id)
        await self.same("list_cameras", owner, self.maybe(0.5, "a"))

    async def follow(self) -> None:
        """Read the feed as a shard does, then hold what is known of it against the truth."""
        more = True
        while more:
            changes = await self.store.changes_since(self.rev, self.random.choice((2, 7, 100)))
            for face in changes.faces:
                self.learn(face.id, face.rev, face)
            for stone in changes.tombstones:
                self.learn(stone.id, stone.rev, None)
            self.rev, more = changes.next_rev, changes.more
        known = {i: face for i, (_, face) in self.followed.items() if face}
        assert unrevised(known) == unrevised(self.oracle.faces)

    def learn(self, face_id: int, rev: int, face: Face | None) -> None:
        if rev > self.followed.get(face_id, (0, None))[0]:
            self.followed[face_id] = (rev, face)


def unrevised(answer):
    """Return an answer without revisions, which only the store knows."""
    if isinstance(answer, Face):
        return replace(answer, rev=0)
    if isinstance(answer, list):
        return [unrevised(entry) for entry in answer]
    if isinstance(answer, dict):
        return {key: unrevised(value) for key, value in answer.items()}
    if isinstance(answer, MetaSummary):
        return answer._replace(first=unrevised(answer.first))
    if getattr(answer, "face", None) is not None:
        return replace(answer, face=unrevised(answer.face))
    return answer


async def walk(store, seed: int, steps: int) -> None:
    walker = Walk(store, seed)
    for _ in range(steps):
        await walker.step()
    await walker.follow()


async def test_150_random_operations(store):
    await walk(store, seed=1, steps=150)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=280)
@pytest.mark.parametrize("store", QUICK_BACKENDS, indirect=True)
@pytest.mark.parametrize("seed", range(10, 50 if LONG else 12))
async def test_thousands_of_random_operations(store, seed):
    await walk(store, seed, steps=500)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=280)
@pytest.mark.parametrize("store", [name for name in BACKENDS + VARIANTS if name not in QUICK_BACKENDS], indirect=True)
async def test_500_random_operations_on_ferretdb(store, request):
    """Of which motor, which asks it by the same PyMongo, does its part."""
    await walk(store, seed=10, steps=150 if "motor" in request.node.name else 500)
