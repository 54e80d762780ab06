"""A shard whose store is another one, or has another past than it had."""

import numpy as np
import pytest

from facenapi.errors import Unavailable
from facenapi.search.shard import Query
from tests.search.support import FeedStore, faces_like, query, started, until
from tests.support.effort import daily

VECTORS = faces_like(3000)


async def snapshot_of_700(tmp_path):
    """Leave the snapshot of a store behind whose revisions went from 1001 to 1700."""
    store = FeedStore()
    store.rev = 1000
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(VECTORS[:700])])
    await until(lambda: shard.info()["segments"])
    await shard.close()


@pytest.mark.parametrize(("rev", "said"), daily([(0, "is of another store"), (5000, "650 faces were searched for")]))
async def test_a_snapshot_of_another_store_is_put_right(tmp_path, caplog, rev, said):
    await snapshot_of_700(tmp_path)
    store = FeedStore()
    store.rev = rev  # below that of the snapshot: seen at once; above: by the comparison
    for number in range(600, 650):
        store.put(number, VECTORS[-number])
    shard = await started(tmp_path, store)
    await until(lambda: shard.info()["faces"] == 50)
    assert said in caplog.text
    await shard.apply([store.put(9000, VECTORS[0]), store.put(600, VECTORS[1]), store.remove(601)])
    found = [hit.id for hit in await shard.search(Query("o", "m", VECTORS[1], 100))]
    assert (found[0], len(found), 601 in found) == (600, 50, False)
    await until(lambda: shard.info()["faces"] == 50)
    await shard.close()


def put_back(store: FeedStore, rev: int, *, epoch: str | None = "2") -> FeedStore:
    """Return the store as it was at a revision, as a backup has it, opened by a server since then."""
    old = FeedStore(store.name)
    old.faces = {key: face for key, face in store.faces.items() if face.rev <= rev}
    old.epochs, old.rev = [entry for entry in store.epochs if entry[1] <= rev], rev
    if epoch:
        old.begin_epoch(epoch)
    return old


async def holds_what_the_store_has(shard, store):
    await until(lambda: shard.ready and shard.info()["faces"] == len(store.faces))
    for face_id, face in store.faces.items():
        hits = await shard.search(query(np.frombuffer(face.embedding, "<f4"), 1))
        assert (hits[0].id, hits[0].similarity > 0.999) == (face_id, True)


async def test_a_backup_that_was_used_past_the_snapshots_revision_is_read_anew(tmp_path, caplog):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    store = put_back(store, 10)
    for number in range(40):
        store.put(5 + number, VECTORS[100 + number])  # some ids are taken again, by other faces, in older revisions
    assert store.rev > 30
    shard = await started(tmp_path, store)
    await holds_what_the_store_has(shard, store)
    assert "is of another store, or of another past" in caplog.text
    await shard.close()


async def test_a_store_that_is_put_back_under_a_running_shard_is_read_anew(tmp_path, caplog):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    store.begin_epoch("1b")  # another server starts, which changes nothing
    store.put(30, VECTORS[30])
    await until(lambda: shard.info()["faces"] == 31)
    assert "begins anew" not in caplog.text
    old = put_back(store, 10)
    store.faces, store.epochs, store.rev = old.faces, old.epochs, old.rev
    for number in range(40):
        store.put(5 + number, VECTORS[100 + number])
    await until(lambda: "begins anew" in caplog.text)
    await holds_what_the_store_has(shard, store)
    await shard.close()


async def test_who_was_away_while_deletions_were_forgotten_reads_all_anew(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    for number in range(20):
        store.remove(number)
    store.tombstones.clear()
    store.floor = store.rev
    shard = await started(tmp_path, store, compare_s=1e9)
    assert shard.info()["faces"] == 10
    await shard.close()


def forgetful(monkeypatch):
    """A store of thirty faces, read in three pages, that has forgotten what was deleted before its 25th change."""
    monkeypatch.setattr("facenapi.search.upkeep.follower.PAGE", 10)
    store = FeedStore()
    for number in range(30):
        store.put(number, VECTORS[number])
    store.floor = 25
    return store


async def test_a_store_that_has_forgotten_deletions_is_read_to_its_end(tmp_path, caplog, monkeypatch):
    store = forgetful(monkeypatch)
    shard = await started(tmp_path, store)
    assert shard.info()["faces"] == 30
    await until(lambda: store.asked_from.count(20) == 2)  # the comparison reads all, too
    await until(lambda: store.asked_from.count(30) > 2)
    assert "begins anew" not in caplog.text
    await shard.close()


async def test_who_is_interrupted_while_reading_anew_is_not_ready_before_the_end(tmp_path, monkeypatch):
    store = forgetful(monkeypatch)
    shard = await started(tmp_path, store)
    pages, troubles, seen = store.changes_since, [20, 10], []

    async def in_trouble(rev, *more):
        if shard.ready and rev < 30:
            seen.append(shard.info()["faces"])
        if troubles and rev == troubles[-1]:
            troubles.pop()
            raise Unavailable("The database is down")
        return await pages(rev, *more)

    store.changes_since = in_trouble
    store.epochs = [("other", 0)]
    await until(lambda: not troubles)
    await holds_what_the_store_has(shard, store)
    assert set(seen) <= {30}
    await shard.close()


async def test_revisions_of_another_past_are_found_by_the_comparison(tmp_path, caplog):
    store = FeedStore()
    store.rev = 1000
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    past, store = store, FeedStore()
    for number in range(30):
        store.put(number, VECTORS[100 + number])  # the same ids, in revisions that look older
    store.rev, store.epochs = past.rev + 5, past.epochs  # and nothing else tells
    shard = await started(tmp_path, store)
    await until(lambda: "30 faces were searched for" in caplog.text)
    await until(lambda: shard.info()["revision"] == store.rev)
    await holds_what_the_store_has(shard, store)
    await shard.close()
