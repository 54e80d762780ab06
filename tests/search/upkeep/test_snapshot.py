"""Snapshots: whole or rebuilt, whatever happens to the files."""

import asyncio
import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from facenapi.search.index import products
from facenapi.search.index.index import Index
from facenapi.search.index.stored import DamagedError
from facenapi.search.local import LocalShard
from facenapi.search.shard import Delete, Query, upsert_of
from facenapi.search.upkeep import files
from facenapi.search.upkeep.builder import Builder, BuildError, load_segment
from facenapi.search.upkeep.snapshot import Snapshots, state_of
from tests.conftest import ROOT
from tests.search import corrupt
from tests.search.support import FeedStore, built_with_a_graph, face, faces_like
from tests.support.effort import LONG, daily


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    """Two collections, of another dimension each, with one segment and a few faces in the tail."""
    folder = tmp_path_factory.mktemp("snapshot")
    index, snapshots = Index(100), Snapshots(folder)
    for dim in corrupt.DIMS:
        for number, vector in enumerate(corrupt.photos(dim)):
            assert index.take(upsert_of(face(number, vector, number + 1, owner=str(dim)))) is None
        collection = index.collections[str(dim), "m"]
        plan = collection.plan()
        collection.publish(plan, built_with_a_graph(plan, snapshots.segment_folder()))
        assert collection.live == corrupt.COUNT
    states = [(key, c.version, c, state_of(c)) for key, c in index.collections.items()]
    snapshots.save(states, corrupt.COUNT, None)
    return folder


def run_trials(snapshot, folder, first, last):
    """Run trials in a process of their own and return their lines."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.search.corrupt", str(snapshot), str(folder), str(first), str(last)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"after {done.stdout.splitlines()[-1:]}: {done.stderr[-800:]}"
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000 if LONG else 500, 250))
def test_damaged_files_are_seen_and_never_crash(snapshot, tmp_path, first):
    lines = run_trials(snapshot, tmp_path / "copy", first, first + 250)
    assert len(lines) == 250
    assert {line.split()[2] for line in lines} == {damage.__name__ for damage in corrupt.DAMAGES}
    assert {line.split()[3] for line in lines} >= {"0", "1"}


@pytest.mark.slow
async def test_a_damaged_segment_is_rebuilt_from_the_store(tmp_path, caplog):
    store, vectors = FeedStore(), faces_like(700)
    changes = [store.put(number, vector, ("vip",) * (number % 2)) for number, vector in enumerate(vectors)]
    for damage in ("segment-*/vectors", "manifest.json", None):
        caplog.clear()
        shard = LocalShard(tmp_path, store, poll_s=0.02, capacity=300, niceness=0)
        await shard.start()
        await shard.apply(changes)
        while not shard.info()["segments"] or shard.info()["waiting_buffers"]:
            await asyncio.sleep(0.02)
        for number in (1, 351, 699):
            hits = await shard.search(Query("o", "m", vectors[number], 1, 0.5, "vip"))
            assert [hit.id for hit in hits] == [number]
        assert shard.info()["faces"] == 700
        await shard.close()
        if damage:
            (path,) = tmp_path.glob(damage)
            path.write_bytes(path.read_bytes()[:-5])
    shard = LocalShard(tmp_path, store, poll_s=0.02, capacity=300, niceness=0)
    await shard.start()
    assert shard.info()["segments"] == 1
    await shard.close()


def test_a_file_that_killed_the_process_twice_is_not_loaded_again(snapshot):
    folder = next(snapshot.glob("segment-*"))
    (folder / "loading").write_bytes(b"..")
    with pytest.raises(DamagedError, match="twice"):
        load_segment(folder)
    (folder / "loading").unlink()
    assert load_segment(folder).count > 0
    assert not (folder / "loading").exists()


@pytest.fixture
def plan():
    index = Index(10)
    for number, vector in enumerate(faces_like(12)):
        index.take(upsert_of(face(number, vector, 1)))
    return index.collections["o", "m"].plan()


def test_a_segment_that_the_runtime_does_not_take_is_one_that_could_not_be_built(tmp_path, plan, monkeypatch):
    """As where memory has run out: its own errors have no base but Exception."""
    monkeypatch.setattr(products, "_network", lambda *_: b"no network")
    with pytest.raises(BuildError, match="cannot be loaded: ONNX Runtime takes no 10 rows"):
        Builder(0).build(plan, tmp_path / "segment")
    assert not [*tmp_path.iterdir()]


def test_a_build_that_fails_says_why(tmp_path, plan):
    builder = Builder(0)
    builder.stop()
    with pytest.raises(BuildError, match="exit code -9"):
        builder.build(plan, tmp_path / "segment")
    assert not [*tmp_path.iterdir()]


def test_what_is_half_done_takes_no_room(tmp_path, monkeypatch):
    index, snapshots = Index(10), Snapshots(tmp_path)
    index.take(upsert_of(face(1, faces_like(1)[0], 1)))
    collection = index.collections["o", "m"]
    entries = [(("o", "m"), collection.version, collection, state_of(collection))]
    snapshots.save(entries, 1, None)
    there = {*tmp_path.iterdir()}

    def half(path, **_):
        path.write_bytes(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="No space"):
        snapshots.save(entries, 2, None)
    assert {*tmp_path.iterdir()} == there
    (tmp_path / "segment-killed").mkdir()
    (tmp_path / "segment-killed" / "source0.npz").write_bytes(b"PK")
    assert Snapshots(tmp_path).load(Index(10)).rev == 1
    assert {*tmp_path.iterdir()} == there


@pytest.mark.parametrize("count", daily([1, 30]))
def test_a_segment_may_be_tiny(tmp_path, count):
    index, vectors = Index(40), faces_like(41)
    for number, vector in enumerate(vectors):
        index.take(upsert_of(face(number, vector, 1)))
    collection = index.collections["o", "m"]
    for number in range(count, 40):
        collection.delete(number, 2)
    plan = collection.plan()
    collection.publish(plan, Builder(0).build(plan, tmp_path / "segment"))
    assert sorted(hit.id for hit in collection.search([vectors[0]], 99)[0]) == [*range(count), 40]
    assert [hit.id for hit in collection.search([vectors[0]], 1, 0.9)[0]] == [0]


async def test_a_snapshot_of_an_older_version_is_made_anew_from_the_store(tmp_path, caplog):
    store, vectors = FeedStore(), faces_like(20)
    changes = [store.put(number, vector) for number, vector in enumerate(vectors)]
    files.write_json(
        tmp_path / "manifest.json", {"format": 1, "rev": 20, "cells": None, "number": 1, "collections": []}
    )
    shard = LocalShard(tmp_path, store)
    await shard.start()
    assert "format 1 instead of" in caplog.text
    assert [hit.id for hit in await shard.search(Query("o", "m", vectors[7], 1))] == [changes[7].id]
    await shard.close()


def test_what_is_deleted_is_not_written_again(tmp_path):
    index, snapshots, vectors = Index(100), Snapshots(tmp_path), faces_like(3)
    changes = [upsert_of(face(number, vector, number + 1)) for number, vector in enumerate(vectors)]
    for change in (*changes, Delete("o", 1, 9)):
        index.take(change)
    collection = index.collections["o", "m"]
    snapshots.save([(("o", "m"), collection.version, collection, state_of(collection))], 9, None)
    [written] = tmp_path.glob("state-*.npz")
    assert [vector.tobytes() in written.read_bytes() for vector in vectors] == [True, False, True]
    again = Index(100)
    assert Snapshots(tmp_path).load(again).rev == 9
    assert {hit.id for hit in again.search([Query("o", "m", vectors[1], 9)])[0]} == {0, 2}
