"""Persons of new faces: those that were made for faces that are never stored go again."""

from __future__ import annotations

import asyncio

from facenapi.errors import Unavailable
from facenapi.services import enrol
from facenapi.storage.base import UnknownGalleryError, UnknownPersonError
from tests.support.server import BLUE, RED, picture, serving

TWO = picture((RED, (10, 10, 60, 60)), (BLUE, (100, 10, 140, 50)))


def failing(error):
    async def fail(*_, **__):
        raise error

    return fail


def returning(value):
    async def answer(*_, **__):
        return value

    return answer


async def refused(client) -> tuple[int, int]:
    """Post two people who cannot be stored; return the status and how many persons there are then."""
    reply = await client("POST", "/v1/face", parts={"photo": TWO, "mf_selector": "all"})
    owner = (await client.app.store.list_tokens())[0].owner
    assert await client.app.store.count_faces(owner) == 0
    return reply.status, len(await persons_of(client))


async def persons_of(client) -> list[int]:
    """Return the persons that there are, with a face or without."""
    owner = (await client.app.store.list_tokens())[0].owner
    return [number for number in range(1, 10) if await client.app.store.get_person(owner, number)]


async def test_persons_go_again_when_their_faces_are_refused(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        monkeypatch.setattr(client.app.store, "add_faces", failing(UnknownGalleryError("went a moment ago")))
        assert await refused(client) == (400, 0)


async def test_a_person_who_has_just_gone_is_no_mistake_of_the_server(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        face, other = await client.enrol(RED), (await client.enrol(BLUE))["person_id"]
        with monkeypatch.context() as patch:
            for name in ("add_faces", "update_face"):  # a command removes faces, and persons with them
                patch.setattr(client.app.store, name, failing(UnknownPersonError(1)))
            replies = [await client("POST", "/v1/face", parts={"photo": picture(RED)}),
                       await client("PUT", f"/v1/face/id/{face['id']}", json_body={"person_id": 7}),
                       await client("POST", "/v1/person/id/1/merge", json_body={"other": other})]  # fmt: skip
        assert [(reply.status, reply.json["code"]) for reply in replies] == [(503, "OVERLOADED")] * 3
        assert [person["id"] for person in (await client("GET", "/v1/persons")).json["results"]] == [other, 1]


async def test_a_face_that_two_clients_give_to_others_at_once_leaves_no_person_without_a_face(tmp_path):
    async with serving(tmp_path) as client:
        face = await client.enrol(RED)
        path = f"/v1/face/id/{face['id']}"
        puts = (client("PUT", path, json_body={"person_id": person}) for person in range(1, 7))
        assert {reply.status for reply in await asyncio.gather(*puts)} == {200}
        assert await persons_of(client) == [(await client("GET", path)).json["person_id"]]


async def test_who_has_no_face_yet_is_no_person_to_any_method(tmp_path):
    async with serving(tmp_path) as client:
        await client.app.store.new_person((await client.app.store.list_tokens())[0].owner)
        paths = ("person/id/1", "person/id/1/faces", "person/history/id/1")
        assert [(await client("GET", f"/v1/{path}")).status for path in paths] == [404] * 3
        assert (await client("GET", "/v1/persons")).json["results"] == []


async def test_persons_go_again_when_search_fails_before_all_faces_have_one(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        searches = [failing(Unavailable("away")), client.app.searcher.search]

        async def search(*arguments, **options):
            return await searches.pop()(*arguments, **options)

        monkeypatch.setattr(client.app.searcher, "search", search)
        assert await refused(client) == (503, 0)
        assert searches == []


async def test_faces_of_which_search_has_not_heard_that_they_are_gone_hide_no_person(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        for meta in ["gone"] * 20 + ["stays"]:
            face = await client.enrol(RED, meta=meta)
        with monkeypatch.context() as patch:
            patch.setattr(client.app.searcher, "tell", returning((0, 1)))
            assert (await client("DELETE", "/v1/face/meta/gone")).status == 204
        assert (await client.enrol(RED))["person_id"] == face["person_id"]


async def test_nobody_waits_for_a_slow_photo_storage_but_who_adds_a_face(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True, photo_storage="files") as client:
        face, other = await client.enrol(RED), await client.enrol(BLUE)
        stuck, save = asyncio.Event(), client.app.pictures.save

        async def wait(kept):
            await stuck.wait()
            await save(kept)

        monkeypatch.setattr(client.app.pictures, "save", wait)
        adding = [asyncio.ensure_future(client.enrol(BLUE, **more)) for more in ({}, {"person_id": "7"})]
        while client.app.photos.busy or client.app.requests.running < 2:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
            path = f"/v1/face/id/{other['id']}"
            assert (await client("PUT", path, json_body={"person_id": 5})).status == 200
        stuck.set()
        assert [face["person_id"] for face in await asyncio.gather(*adding)] == [5, 7]
        assert await persons_of(client) == [5, 7]


async def test_pictures_of_faces_that_find_no_person_go_again(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True, photo_storage="files") as client:
        for name in ("search", "is_friend"):
            with monkeypatch.context() as patch:
                patch.setattr(client.app.searcher if name == "search" else client.app.persons, name,
                              failing(Unavailable("away")))  # fmt: skip
                assert await refused(client) == (503, {"search": 0, "is_friend": 2}[name])
            assert [path for path in (tmp_path / "photos").rglob("*") if path.suffix in (".jpg", ".png")] == []
        assert not client.app.pictures.left_over
        monkeypatch.setattr(client.app.store, "add_faces", failing(KeyError("a mistake")))
        assert (await refused(client))[0] == 500
        assert client.app.pictures.left_over == 1


async def test_faces_whose_pictures_a_sweep_may_have_taken_are_not_stored(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True, photo_storage="files") as client:
        monkeypatch.setattr(enrol, "_LONGEST_S", -1.0)
        assert await refused(client) == (503, 0)
        assert [path for path in (tmp_path / "photos").rglob("*") if path.suffix in (".jpg", ".png")] == []


async def test_persons_stay_when_nobody_knows_whether_their_faces_are_stored(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        monkeypatch.setattr(client.app.store, "add_faces", failing(Unavailable("away")))
        assert await refused(client) == (503, 2)


async def test_a_merge_that_search_did_not_hear_of_is_repeated_to_its_end(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        one, other = [(await client.enrol(color))["person_id"] for color in (RED, BLUE)]
        path, body = f"/v1/person/id/{one}/merge", {"other": other}
        with monkeypatch.context() as patch:
            patch.setattr(client.app.searcher, "apply", failing(Unavailable("away")))
            assert (await client("POST", path, json_body=body)).status == 503
        reply = await client("POST", path, json_body=body)
        assert (reply.status, reply.json["count"]) == (200, 2)
        assert [person["id"] for person in (await client("GET", "/v1/persons")).json["results"]] == [one]
        assert (await client("POST", path, json_body=body)).status == 400


async def test_a_merge_that_stops_half_way_says_so_and_search_knows_what_was_moved(tmp_path, monkeypatch):
    async with serving(tmp_path, person_identify=True) as client:
        one, other = [(await client.enrol(color))["person_id"] for color in (RED, BLUE)]
        second = await client.enrol(BLUE)
        update, told = client.app.store.update_face, []

        async def half(owner, face_id, change):
            if face_id == second["id"]:
                raise UnknownPersonError(one)
            await asyncio.sleep(0.05)  # later than the one that fails
            return await update(owner, face_id, change)

        async def apply(changes):
            told.extend(changes)

        with monkeypatch.context() as patch:
            patch.setattr(client.app.store, "update_face", half)
            patch.setattr(client.app.searcher, "apply", apply)
            reply = await client("POST", f"/v1/person/id/{one}/merge", json_body={"other": other})
        assert (reply.status, len(told)) == (503, 1)
        assert "to repeat the merge does the rest" in reply.json["reason"]
        counts = [(await client("GET", f"/v1/person/id/{person}")).json["count"] for person in (one, other)]
        assert counts == [2, 1]
