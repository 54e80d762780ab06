"""Confuse the histories of stores, snapshots and shards, and look for an answer that the store contradicts.

    scripts/trial_history.py [--rounds 200] [--quick] [--json] [--seed 1]

Two embedded stores, each with a shard over HTTP and a client that searches through it. Between the rounds something
happens that operators do by mistake or in need: a database put back by hand or by ``facenapi restore``, also while
the shard runs, and used past where it was; the shard's snapshot of another time; the folders of the shards swapped;
a server asking the shard of the other; the clock set (ids are then made by one that is off). After each, faces are
added, changed and deleted, and once a shard says that it is ready, strict searches must find each face that the
store has, in the gallery where it is, and nothing else. The shard of the other store must never count as live.

Bounds: 200 rounds, no answer that the store contradicts, every round ends with a shard that is ready. Exit status 1
otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from facenapi.errors import Overloaded, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.remote.client import RemoteShard
from facenapi.search.remote.server import ShardServer
from facenapi.search.shard import Query, delete_of, upsert_of
from facenapi.storage.base import FaceChange, FaceFilter, NewFace, Page
from facenapi.storage.ids import IdMaker
from facenapi.storage.sqlite import SqliteStore
from facenapi.storage.sqlite.copy import back_up, put_back

DIM, OWNER, MODEL, GALLERY = 32, "owner", "model", "vip"
PATIENCE_S = 30


class Site:
    """A store with its server's client, a shard's server, and copies of both from other times."""

    def __init__(self, folder: Path, random_: random.Random) -> None:
        self.folder, self.random = folder, random_
        self.store_folder, self.shard_folder = folder / "store", folder / "shard"
        self.vectors: dict[bytes, np.ndarray] = {}
        self.store: SqliteStore | None = None
        self.shard: ShardServer | None = None
        self.port = 0
        self.offset_s = 0.0
        self.copies: list[Path] = []
        self.snapshots: list[Path] = []

    async def open_store(self) -> None:
        """Start as a server starts."""
        self.store = SqliteStore(self.store_folder, "normal")
        await self.store.start()
        last = self.store._ids._last
        self.store._ids = IdMaker(last, lambda: time.time() + self.offset_s)
        await self.store.add_gallery(OWNER, GALLERY)

    async def close_store(self) -> None:
        """Stop as a server stops."""
        if self.store is not None:
            await self.store.close()
            self.store = None

    async def open_shard(self) -> None:
        """Start the shard on a store of its own connections, as its process does."""
        own = SqliteStore(self.store_folder, "normal", shared=True)
        await own.start()
        self.shard = ShardServer(LocalShard(self.shard_folder, own, poll_s=0.05, snapshot_s=0.5), "127.0.0.1", 0)
        self.shard.own = own  # type: ignore[attr-defined]
        self.port = await self.shard.start()

    async def close_shard(self) -> None:
        """Stop the shard, with a last snapshot."""
        if self.shard is not None:
            await self.shard.close()
            await self.shard.own.close()  # type: ignore[attr-defined]
            self.shard = None

    async def write(self, client: ShardClient) -> None:
        """Add, change and delete some faces; tell the shard if it hears."""
        assert self.store is not None
        faces = await self.store.list_faces(OWNER, FaceFilter(), Page(1000))
        for _ in range(self.random.randrange(1, 8)):
            what = self.random.random()
            if what < 0.6 or len(faces) < 3:
                vector = np.random.default_rng(self.random.getrandbits(32)).standard_normal(DIM).astype(np.float32)
                vector /= np.linalg.norm(vector)
                galleries = ("default", GALLERY) if self.random.random() < 0.5 else ("default",)
                cell = self.random.randrange(1024)
                new = NewFace(OWNER, cell, 0, 0, 1, 1, vector.tobytes(), MODEL, "", 0, galleries=galleries)
                changes = [upsert_of(face) for face in await self.store.add_faces([new])]
            elif what < 0.8:
                face = self.random.choice(faces)
                names = {"del_galleries" if GALLERY in face.galleries else "add_galleries": (GALLERY,)}
                changed = await self.store.update_face(OWNER, face.id, FaceChange(**names))
                changes = [] if changed is None else [upsert_of(changed)]
            else:
                gone = await self.store.delete_face(OWNER, self.random.choice(faces).id)
                changes = [] if gone is None else [delete_of(gone)]
            await client.tell(changes)


class Trial:
    """Two sites and what happens to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.sites = [Site(folder / name, self.random) for name in ("a", "b")]
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def start(self) -> None:
        """Begin with two stores and their shards."""
        for site in self.sites:
            site.folder.mkdir()
            await site.open_store()
            await site.open_shard()

    async def stop(self) -> None:
        """End everything."""
        for site in self.sites:
            await site.close_shard()
            await site.close_store()

    async def disturb(self, site: Site) -> str:
        """Let one thing happen to a site; return what."""
        other = next(one for one in self.sites if one is not site)
        happening = self.random.choice(
            ["keep", "put back by hand", "restore", "put back under the shard", "old snapshot", "swapped", "clock"]
        )
        if happening == "keep" or not site.copies:
            await self._keep(site)
            return "keep"
        if happening == "clock":
            site.offset_s = self.random.choice([0.0, -3600.0, 3600.0, 86_400.0 * 30, -86_400.0])
        under_shard = happening == "put back under the shard"
        if not under_shard:
            await site.close_shard()
        await site.close_store()
        if happening in ("put back by hand", "put back under the shard"):
            shutil.rmtree(site.store_folder)
            shutil.copytree(self.random.choice(site.copies), site.store_folder)
        elif happening == "restore":
            copy = self.random.choice(site.copies) / "facenapi.sqlite"
            await asyncio.to_thread(
                put_back, copy, site.store_folder, site.store_folder.parent / "photos", replace=True
            )
        elif happening == "old snapshot" and site.snapshots:
            shutil.rmtree(site.shard_folder)
            shutil.copytree(self.random.choice(site.snapshots), site.shard_folder)
        elif happening == "swapped":
            await other.close_shard()
            aside = site.folder / "aside"
            site.shard_folder.rename(aside)
            other.shard_folder.rename(site.shard_folder)
            aside.rename(other.shard_folder)
            await other.open_shard()
        await site.open_store()
        if under_shard:  # its files are gone: it must say so, and can be used when it is started again
            await self.strangers(site, site)
            await site.close_shard()
        if site.shard is None:
            await site.open_shard()
        return happening

    async def _keep(self, site: Site) -> None:
        """Make a copy of the store and of the shard's folder, to come back to."""
        number = len(site.copies)
        copy = site.folder / f"copy-{number}"
        copy.mkdir()
        await asyncio.to_thread(back_up, site.store_folder, copy / "facenapi.sqlite")
        (copy / "store.marker").touch()
        site.copies.append(copy)
        await site.close_shard()
        shutil.copytree(site.shard_folder, site.folder / f"snapshot-{number}")
        site.snapshots.append(site.folder / f"snapshot-{number}")
        await site.open_shard()

    async def round(self, number: int) -> None:
        """Let something happen, work, and compare."""
        site = self.random.choice(self.sites)
        other = next(one for one in self.sites if one is not site)
        happening = await self.disturb(site)
        self.counts[happening] += 1
        await self.strangers(site, other)
        for one in (site, other):
            shard = RemoteShard(f"127.0.0.1:{one.port}", store=one.store, ping_s=0.05)
            client = ShardClient([(shard, None)])
            await client.start()
            try:
                if self.random.random() < 0.5:
                    await one.write(client)  # before it is ready, too
                await self.until_ready(shard, f"round {number}, {happening}")
                await one.write(client)
                await self.compare(one, client, f"round {number}, {happening}")
            finally:
                await client.close()

    async def strangers(self, site: Site, other: Site) -> None:
        """Ask the shard of another store: it must not count as live."""
        shard = RemoteShard(f"127.0.0.1:{other.port}", store=site.store, ping_s=60)
        await shard.start()
        if shard.ready:
            self.wrong.append("the shard of another store, or of files that are gone, counts as live")
        await shard.close()

    async def until_ready(self, shard: RemoteShard, when: str) -> None:
        """Wait for a shard to catch up."""
        end = time.monotonic() + PATIENCE_S
        while not shard.ready:
            if time.monotonic() > end:
                raise SystemExit(f"{when}: the shard is not ready: {shard.info()}")
            await asyncio.sleep(0.02)

    async def compare(self, site: Site, client: ShardClient, when: str) -> None:
        """Search for every face that there is, in both galleries."""
        assert site.store is not None
        await asyncio.sleep(0.12)  # what the shard did not hear comes by the feed
        faces = await site.store.list_faces(OWNER, FaceFilter(), Page(10_000))
        for tag in (None, GALLERY):
            wanted = {face.id for face in faces if tag is None or tag in face.galleries}
            for face in faces:
                probe = np.frombuffer(face.embedding, "<f4").copy()
                try:
                    answer = await client.search(Query(OWNER, MODEL, probe, 1000, 0.99, tag), strict=True)
                except (Unavailable, Overloaded):
                    self.counts["503"] += 1
                    continue
                self.counts["answers"] += 1
                found = {hit.id for hit in answer.hits}
                if found != ({face.id} & wanted):
                    self.wrong.append(f"{when}: {tag}: {sorted(found)} instead of {sorted({face.id} & wanted)}")


async def run(rounds: int, seed: int, folder: Path, *, quiet: bool) -> dict[str, object]:
    """Run all rounds; return the figures."""
    trial = Trial(folder, seed)
    await trial.start()
    try:
        for number in range(rounds):
            await trial.round(number)
            if not quiet and number % 10 == 9:
                print(f"{number + 1:4} {dict(trial.counts)} wrong: {len(trial.wrong)}", flush=True)
    finally:
        await trial.stop()
    return {"rounds": rounds, "wrong": len(trial.wrong), "first": trial.wrong[:3], **trial.counts}


def main() -> None:
    """Run as the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 rounds")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rounds = 20 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(rounds, options.seed, Path(folder), quiet=options.json))
    if options.json:
        print(json.dumps(figures))
    print(f"trial_history: {rounds} rounds, {figures.get('answers', 0)} answers, {figures['wrong']} contradicted")
    sys.exit(bool(figures["wrong"]))


if __name__ == "__main__":
    main()
