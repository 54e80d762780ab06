"""Export and import: everything arrives, from either backend in either; a stop in between costs nothing."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json

import pytest

from facenapi.storage.base import Camera, FaceChange, FaceFilter, Page
from facenapi.storage.sqlite import SqliteStore
from facenapi.storage.sqlite.persons import remove_abandoned
from facenapi.storage.transfer import exports, imports
from facenapi.storage.transfer.exports import export_owner, export_owners
from facenapi.storage.transfer.imports import import_owner
from facenapi.storage.transfer.lines import TransferError
from tests.storage.samples import add, new_face
from tests.storage.test_differential import unrevised
from tests.support.effort import daily


@pytest.fixture
def other(io_loop, tmp_path):
    """An embedded store to export to and from."""
    store = SqliteStore(tmp_path / "other")
    io_loop.run_sync(store.start)
    yield store
    io_loop.run_sync(store.close)


def small_batches(monkeypatch, size):
    for module in (exports, imports):
        monkeypatch.setattr(module, "BATCH", size)


async def fill(store, faces=12):
    await store.add_gallery("ann", "staff")
    await store.add_gallery("ann", "empty")
    for _ in range(3):
        await store.new_person("ann")
    await store.add_camera(Camera("c-1", "ann", {"meta": "Door", "roi": [1, 2, 3, 4]}))
    for i in range(faces):
        await store.add_faces(
            [
                new_face(
                    meta=f"Zoë {i // 2}",
                    galleries=("staff",) if i % 2 else (),
                    person_id=1 + i % 3,
                    cam_id="C1",
                    friend=True,
                    age=31.337 + i,
                    gender="male",
                    emotions=("sad", "happy"),
                    embedding=bytes(range(i, i + 64)),
                    photo="http://x",
                    thumbnail="/t",
                    normalized="/n",
                )
            ]
        )
    await store.add_faces([new_face(owner="bob")])
    await store.delete_face("ann", (await everything(store))[1].id)


async def everything(store, owner="ann"):
    return await store.list_faces(owner, FaceFilter(), Page(10_000))


async def whole(store, owner="ann"):
    """All that an owner has, without revisions."""
    return unrevised(
        [
            await everything(store, owner),
            await store.list_galleries(owner),
            await store.list_cameras(owner),
            *await store.list_persons(owner, Page(1000)),
            *await store.list_metas(owner, "staff", Page(1000)),
        ]
    )


async def test_into_another_store_and_back(store, other, tmp_path):
    await fill(store)
    seen = []
    path = tmp_path / "ann.ndjson"
    assert await export_owner(store, "ann", path, lambda *done: seen.append(done)) == 11
    assert seen[-1] == (11, 11)
    assert await import_owner(other, path, progress=lambda *done: seen.append(done)) == 11
    assert seen[-1] == (11, 11)
    assert await whole(other) == await whole(store)
    assert await everything(other, "bob") == []
    assert await other.new_person("ann") == 4

    before = await whole(store)
    await store.delete_faces("ann", FaceFilter())
    again = tmp_path / "again.ndjson"
    await export_owner(other, "ann", again)
    assert again.read_bytes().splitlines()[1:5] == path.read_bytes().splitlines()[1:5]
    assert await import_owner(store, again) == 11
    assert (await whole(store))[0] == before[0]
    assert await import_owner(store, again) == 0


async def test_what_was_changed_since_an_import_stays_when_it_is_repeated(other, tmp_path):
    await fill(other)
    path = tmp_path / "ann.ndjson"
    await export_owner(other, "ann", path)
    await other.update_camera("ann", "c-1", {"meta": "Gate", "roi": None})
    await other.update_face("ann", (await everything(other))[0].id, FaceChange(meta="Sam"))
    before = await whole(other)
    assert await import_owner(other, path) == 0
    assert await whole(other) == before


async def test_under_another_name(other, tmp_path):
    await fill(other)
    path = tmp_path / "ann.ndjson"
    await export_owner(other, "ann", path)
    with pytest.raises(TransferError, match="another owner"):
        await import_owner(other, path, "carl")
    fresh = SqliteStore(tmp_path / "fresh")
    await fresh.start()
    assert await import_owner(fresh, path, "carl") == 11
    assert {face.owner for face in await everything(fresh, "carl")} == {"carl"}
    await fresh.close()


class Stopped(Exception):
    """The export was interrupted."""


@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_an_export_that_was_stopped_goes_on(other, tmp_path, monkeypatch, cut):
    small_batches(monkeypatch, 3)
    await fill(other)
    path, part = tmp_path / "a", tmp_path / "a.part"

    def stop(done, total):
        if done > 5:
            raise Stopped

    with pytest.raises(Stopped):
        await export_owner(other, "ann", path, stop)
    assert not path.exists()
    part.write_bytes(part.read_bytes()[: part.stat().st_size - cut])
    await other.add_gallery("ann", "late")
    newest, person = (await everything(other))[0], await other.new_person("ann")
    await other.update_face("ann", newest.id, FaceChange(add_galleries=("late",), person_id=person))
    assert await export_owner(other, "ann", path) == 11
    assert not part.exists()
    await export_owner(other, "ann", tmp_path / "b")
    one, two = ([json.loads(line) for line in (tmp_path / name).read_text().splitlines()] for name in "ab")
    assert [line for line in one if "face" in line] == [line for line in two if "face" in line]
    fresh = SqliteStore(tmp_path / "fresh")
    await fresh.start()
    assert await import_owner(fresh, path) == 11
    assert await whole(fresh) == await whole(other)
    await fresh.close()


@pytest.mark.slow
async def test_an_export_cut_down_to_anything_can_be_finished(other, tmp_path):
    await fill(other, 3)
    path, part = tmp_path / "a", tmp_path / "a.part"
    await export_owner(other, "ann", path)
    content = path.read_bytes()
    for size in range(0, len(content) + 1, 7):
        part.write_bytes(content[:size])
        await export_owner(other, "ann", path)
        assert path.read_bytes() == content


@pytest.mark.parametrize("owners", [["ann"], ["ann", "bob"]])
async def test_two_exports_do_not_write_one_file(other, tmp_path, monkeypatch, owners):
    small_batches(monkeypatch, 3)
    await fill(other)
    path = tmp_path / "a"

    async def export():
        if len(owners) == 1:
            return await export_owner(other, "ann", path)
        return await export_owners(other, owners, path)

    started, ended = asyncio.Event(), asyncio.Event()
    listed = other.list_faces

    async def slowly(*arguments):
        started.set()
        await ended.wait()
        return await listed(*arguments)

    monkeypatch.setattr(other, "list_faces", slowly)
    first = asyncio.create_task(export())
    await started.wait()
    with pytest.raises(TransferError, match="another process is writing it"):
        await asyncio.wait_for(export(), 5)
    ended.set()
    assert await first == 10 + len(owners)
    assert [json.loads(line) for line in path.read_text().splitlines()]
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["a"]


async def test_an_export_needs_no_locks(other, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    await add(other, "a", "b")
    assert await export_owner(other, "ann", tmp_path / "a") == 2
    assert [path.name for path in tmp_path.glob("a*")] == ["a"]


async def test_an_unfinished_export_of_another_owner_is_kept(other, tmp_path):
    await fill(other, 3)
    await export_owner(other, "ann", tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "a.part")
    with pytest.raises(TransferError, match="another owner"):
        await export_owner(other, "bob", tmp_path / "a")


async def test_an_import_that_was_stopped_goes_on(store, other, tmp_path, monkeypatch):
    small_batches(monkeypatch, 3)
    await fill(other)
    path = tmp_path / "a"
    await export_owner(other, "ann", path)

    def stop(done, total):
        if done > 5:
            raise Stopped

    with pytest.raises(Stopped):
        await import_owner(store, path, progress=stop)
    assert await import_owner(store, path) == 5
    assert await whole(store) == await whole(other)


def change_face(text, **values):
    lines = text.splitlines()
    face = json.loads(lines[-2])["face"] | values
    return "\n".join([*lines[:-2], json.dumps({"face": face}), lines[-1], ""])


@pytest.mark.parametrize(
    ("damage", "message"),
    daily([
        *((lambda text, bad=bad: text.replace('{"person":1}', f'{{"person":{bad}}}'), "not a person: bad id")
          for bad in (2**63 - 1, -5)),  # the counter would go on from there, for good
        (lambda text: "", "line 1"),
        (lambda text: "[]\n", "line 1"),
        (lambda text: '{"facenapi": {"version": 99}}\n', "version 1"),
        (lambda text: '{"facenapi": {"version": 1}}\n', "no owner"),
        (lambda text: text[: -len(text.splitlines()[-1]) - 1], "too early"),
        (lambda text: text[:-30], "damaged"),
        (lambda text: text.replace('{"end":2}', '{"end":3}'), "should have 3"),
        (lambda text: text.replace('{"end":2}', '{"surprise":3}'), "surprise"),
        (lambda text: change_face(text, embedding="AAAAA==="), "line"),
        (lambda text: change_face(text, embedding="AAAA"), "32-bit"),
        (lambda text: change_face(text, id=2**60), "bad id"),
        (lambda text: change_face(text, id="7"), "bad id"),
        (lambda text: change_face(text, password="x"), "password"),
    ], 7),
)  # fmt: skip
async def test_a_damaged_file_is_refused_with_its_line(other, tmp_path, damage, message):
    await fill(other, 3)
    path = tmp_path / "a"
    await export_owner(other, "ann", path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(TransferError, match=message):
        await import_owner(other, path)


@pytest.mark.parametrize(("kind", "value"), [("gallery", "staff"), ("person", 1)])
async def test_a_file_that_does_not_name_what_its_faces_have_is_refused(other, tmp_path, kind, value):
    await other.add_gallery("ann", "staff")
    await add(other, "a", galleries=("staff",), person_id=await other.new_person("ann"))
    path = tmp_path / "a"
    await export_owner(other, "ann", path)
    lines = [line for line in path.read_text().splitlines() if json.loads(line) != {kind: value}]
    path.write_text("".join(f"{line}\n" for line in lines))
    fresh = SqliteStore(tmp_path / "fresh")
    await fresh.start()
    with pytest.raises(TransferError, match=f"the {kind} {value}"):
        await import_owner(fresh, path)
    await fresh.close()


async def test_a_server_that_is_started_beside_an_import_does_not_stop_it(other, tmp_path, monkeypatch):
    small_batches(monkeypatch, 2)
    for _ in range(3):
        await add(other, "a", "b", person_id=await other.new_person("ann"))
    path = tmp_path / "a"
    await export_owner(other, "ann", path)
    fresh = SqliteStore(tmp_path / "fresh")
    await fresh.start()
    restore, starts = fresh.restore_faces, [1]

    async def after_a_start(faces):
        while faces and starts:
            await fresh._write(remove_abandoned)
            starts.pop()
        return await restore(faces)

    fresh.restore_faces = after_a_start
    assert await import_owner(fresh, path) == 6
    assert not starts
    assert await fresh.list_persons("ann", Page()) == await other.list_persons("ann", Page())
    await fresh.close()
