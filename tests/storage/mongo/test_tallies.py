"""Counts that are remembered: as right as those that are made anew, and made from little."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from facenapi.storage.base import FaceChange, FaceFilter, Page
from facenapi.storage.mongo import MongoStore, faces, tallies
from facenapi.storage.mongo.driver import int64
from tests.storage.conftest import mongo_config
from tests.storage.mongo.support import everything, seen
from tests.storage.samples import add, new_face
from tests.storage.test_differential import walk

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Remember all but the smallest counts, and wait for nobody's late writes."""
    monkeypatch.setattr(tallies, "BIG", 2)
    monkeypatch.setattr(tallies, "MARGIN_MS", -1000)


async def look(store, owner="ann"):
    """Return what the store says of metas and of its first person, and what its faces say."""
    told = [(count, face.id) for count, face in await store.list_metas(owner, None, Page(1000))]
    person = await store.get_person(owner, 1)
    there = await store.list_faces(owner, FaceFilter(), Page(1000))
    metas: dict[str, list[int]] = {}
    for face in there:
        metas.setdefault(face.meta, []).append(face.id)
    of_person = [face for face in there if face.person_id == 1]
    expected = sorted(((len(ids), min(ids)) for ids in metas.values()), key=lambda entry: -entry[1])
    ends = (of_person[0].meta, len(of_person), of_person[-1]) if of_person else ("", 0, None)
    return (told, person and (person.meta, person.count, person.face)), (expected, person and ends)


async def looked(store, times: int = 3, owner: str = "ann"):
    """Look until all is remembered, and find it right each time."""
    for _ in range(times):
        told, expected = await look(store, owner)
        assert told == expected


async def test_only_what_has_changed_is_counted_again(store, double):
    person = await store.new_person("ann")
    added = [(await store.add_faces([new_face(meta="a", person_id=person)]))[0] for _ in range(40)]
    await looked(store)
    double.commands.plans.counted = counted = []
    await looked(store, 1)
    assert counted == []
    await add(store, "a", person_id=person)
    await looked(store, 1)
    assert 2 <= sum(counted) <= 8
    counted.clear()
    await store.delete_face("ann", added[20].id)
    await store.update_face("ann", added[0].id, FaceChange(meta="b"))
    await looked(store, 1)
    assert sum(counted) <= 16
    # What may be rolled back is not remembered.
    grouped = [command for command in seen(double, "aggregate", "faces") if "_id" in command["pipeline"][0]["$match"]]
    assert {command["readConcern"]["level"] for command in grouped} == {"majority"}


@pytest.mark.slow
async def test_changes_of_all_servers_are_counted(store, double):
    other = MongoStore(mongo_config(double))
    await other.start()
    servers = (store, other)
    await store.add_gallery("ann", "staff")
    for _ in range(2):
        await store.new_person("ann")
    chance = random.Random(5)
    for step in range(40):
        at = servers[step % 2]
        there = await everything(at)
        old = chance.choice(there) if there else None
        what = chance.choice(["add", "add", "edit", "move", "delete", "restore"]) if len(there) > 8 else "add"
        if what == "add":
            await at.add_faces([new_face(meta=chance.choice("ab"), person_id=chance.choice((1, 2)))])
        elif what == "edit":
            change = FaceChange(meta=chance.choice("ab"), person_id=chance.choice((1, 2)))
            await at.update_face("ann", old.id, change)
        elif what == "move":
            await at.update_face("ann", old.id, FaceChange(add_galleries=("staff",)))
        else:
            await at.delete_face("ann", old.id)
            if what == "restore":
                await servers[1 - step % 2].restore_faces([old])
        for server in servers:
            await looked(server, 1)
    assert len(store._memory.tallies) > 2
    await other.close()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["pymongo-double"], indirect=True)
async def test_random_operations_beside_remembered_counts(store, monkeypatch):
    monkeypatch.setattr(tallies, "BIG", 0)
    monkeypatch.setattr(tallies, "SPANS", 8)
    await walk(store, seed=3, steps=300)
    assert store._memory.tallies


async def test_what_is_committed_late_is_counted(store, double, monkeypatch):
    [first, *_] = await add(store, *"aaaa")
    monkeypatch.setattr(tallies, "MARK_S", 0.0)
    await looked(store)
    monkeypatch.setattr(tallies, "MARGIN_MS", 60_000)
    held = await store.stamp(1)
    await add(store, "a")
    await looked(store)
    late = replace(first, id=first.id + 1024, rev=held.revs[0])
    await store.faces.insert_one(faces.document_of(late, held.changed_ms))
    await looked(store)
    assert (await store.list_metas("ann", None, Page()))[0].faces == 6


async def test_nothing_is_remembered_before_late_writes_are_there(store, double, monkeypatch):
    monkeypatch.setattr(tallies, "MARGIN_MS", 10_000)
    await add(store, *"aaaa")
    await looked(store)
    assert not store._memory.tallies


@pytest.mark.parametrize("why", ["epoch", "many", "old", "large"])
async def test_counting_begins_anew(store, double, monkeypatch, why):
    await add(store, *"aaaabbb")
    await looked(store)
    memory = store._memory
    assert len(memory.tallies) == 2
    if why == "epoch":
        await store.begin_epoch()
    elif why == "many":
        monkeypatch.setattr(tallies, "MOST_CHANGES", 3)
        await add(store, *"abab")
    elif why == "old":
        monkeypatch.setattr(tallies, "LIFE_S", 0.0)
    elif why == "large":
        monkeypatch.setattr(tallies, "MOST_SPANS", 1)
        await add(store, *"ccc")
    await looked(store)
    assert (store._memory is memory) == (why == "large")
    if why == "large":
        assert sum(len(tally.spans) for tally in memory.tallies.values()) <= 1


async def test_a_count_that_lists_contradict_is_made_anew(store, double):
    """As where a deletion has reached no majority: lists do not show the face any more."""
    person = await store.new_person("ann")
    [face, *_] = await add(store, *"aaaa", person_id=person)
    await looked(store)
    memory = store._memory
    await store.faces.delete_one({"_id": int64(face.id)})
    await looked(store, 1)
    assert store._memory is not memory


@pytest.mark.parametrize("store", ["pymongo-double"], indirect=True)
@pytest.mark.parametrize("first", [True, False])
async def test_a_count_that_is_put_in_late_hides_no_change(store, monkeypatch, first):
    """One counts slowly; others have counted a later change when that is put in, between two steps of a third."""
    monkeypatch.setattr(tallies, "SPANS", 1_000_000)  # each face has its own
    await add(store, *"aaaa")
    await looked(store, 1 if first else 3)  # after one it is known that there are many; the next counts them all
    count, gates = store._by_span, []

    async def slow(*args):
        found = await count(*args)
        if gates:
            await gates.pop(0).wait()
        return found

    monkeypatch.setattr(store, "_by_span", slow)

    async def begin():
        """Ask, and let the count be read but not put in."""
        gates.append(asyncio.Event())
        gate = gates[0]
        asked = asyncio.create_task(store.list_metas("ann", None, Page()))
        while gates:
            await asyncio.sleep(0.001)
        return gate, asked

    if first:
        slowest = await begin()
        await add(store, "a")
    else:
        [face] = await add(store, "a")
        slowest = await begin()
        await store.delete_face("ann", face.id)
    await looked(store, 1)
    await add(store, "a")
    last = await begin()
    for gate, asked in (slowest, last):
        gate.set()
        [seen_then] = await asked
    assert seen_then.faces == (6 if first else 5)
    await looked(store, 1)


@pytest.mark.parametrize("store", ["pymongo-double"], indirect=True)
@pytest.mark.slow
async def test_a_burst_of_faces_does_not_cut_a_long_time_into_many_spans(store, monkeypatch):
    monkeypatch.setattr(tallies, "SPANS", 8)
    some = await add(store, *"aaa", *"b" * 40)
    day = 86_400 * 2500 << 10
    await store.delete_faces("ann", FaceFilter(meta="b"))
    await store.restore_faces([replace(f, id=f.id - n * day) for n, f in enumerate(some[3:], 1)])
    await looked(store, 4)
    assert {len(tally.spans) for tally in store._memory.tallies.values()} <= set(range(1, 18))
    assert len(store._memory.tallies) == 2


async def test_not_all_of_a_page_begin_to_be_remembered_at_once(store, monkeypatch):
    monkeypatch.setattr(tallies, "MOST_NEW", 2)
    # Spans of one id: where a machine halts, one value may have longer ones, with which all others begin anew.
    monkeypatch.setattr(tallies, "SPANS", 2**62)
    await add(store, *"aaabbbccc")
    await looked(store, 2)
    known = [len(tally.spans) > 0 for tally in store._memory.tallies.values()]
    assert sorted(known) == [False, True, True]
    await looked(store)
    assert all(tally.spans for tally in store._memory.tallies.values())


async def test_who_asks_for_few_does_not_read_the_feed(store, double):
    await add(store, *"aaaab")
    await looked(store)
    assert store._memory.tallies
    double.seen.clear()
    [few] = await store.list_metas("ann", None, Page(1))
    assert few.first.meta == "b"
    assert [command for command in seen(double, "find", "faces") if "rev" in command["filter"]] == []
    await store.list_metas("ann", None, Page())
    assert [command for command in seen(double, "find", "faces") if "rev" in command["filter"]] != []
