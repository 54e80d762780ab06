"""Break search shards in the middle of work and count wrong answers and lost faces.

    scripts/trial_shards.py [--quick] [--json] [--trials 50]

Two ``ShardServer`` processes on 127.0.0.1 over one embedded store, and the client of the API. While faces
are added, deleted and searched for, a shard is killed (-9), hung (SIGSTOP), made slow, replaced by
something that says of itself what the shard said and answers nonsense, by something that only says that it is ready
(it must never count as live), or killed and restarted with an empty folder. Every answer is compared
with what was acknowledged; afterwards the client has to recover by itself and find every stored face.

Bounds: no wrong answer, no lost face, every trial ends in recovery. Exit status 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from facenapi.config.options import Config
from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.search.open import open_searcher
from facenapi.search.remote.server import ShardServer
from facenapi.search.shard import Query, delete_of, upsert_of
from facenapi.storage.base import NewFace, Token
from facenapi.storage.open import open_store

DIM, THRESHOLD, OWNER, MODEL = 64, 0.9, "owner", "model"
KINDS = ("kill", "hang", "slow", "nonsense", "stranger", "empty")
PATIENCE_S = 60


class Shard:
    """A shard's process, and what can be done to it."""

    def __init__(self, folder, address):
        self.folder, self.address = folder, address
        self.process = None

    def start(self):
        """Start the process."""
        command = [sys.executable, __file__, "--serve", str(self.folder), "--address", self.address]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        """Kill it as a crash would."""
        self.process.kill()
        self.process.wait()

    def empty(self):
        """Remove what it kept."""
        shutil.rmtree(self.folder / f"shard-{self.address.split(':')[1]}", ignore_errors=True)


async def serve(folder, address):
    """Be a shard: what the process does."""
    config = Config(data_dir=str(folder), tntapi_servers_file=str(folder / "tntapi.json"), shard_address=address)
    store = open_store(config, shared=True)
    await store.start()
    server = ShardServer.from_config(config, store)
    while True:
        try:
            await server.start()
            break
        except StartupError:
            await asyncio.sleep(0.1)
    await asyncio.Event().wait()


class Trial:
    """Faces that are known to be acknowledged, and the work that goes on during a fault."""

    def __init__(self, store, client, random):
        self.store, self.client, self.random = store, client, random
        self.stored, self.acknowledged, self.gone = {}, set(), set()
        self.counts = Counter()

    def probe(self):
        """Return a random unit vector: all of them differ so much that each finds only itself."""
        vector = self.random.standard_normal(DIM).astype(np.float32)
        return vector / np.linalg.norm(vector)

    async def add(self):
        """Enrol a face."""
        vector = self.probe()
        try:
            cell = self.client.pick_cell()
        except Unavailable:
            self.counts["503 add"] += 1
            return
        new = NewFace(OWNER, cell, 0, 0, 1, 1, vector.tobytes(), MODEL, "", time.time_ns() // 10**6)
        (face,) = await self.store.add_faces([new])
        self.stored[face.id] = vector
        try:
            await self.client.apply([upsert_of(face)])
            self.acknowledged.add(face.id)
            self.counts["added"] += 1
        except (Unavailable, Overloaded):
            self.counts["503 add"] += 1

    async def delete(self):
        """Delete a face."""
        face_id = int(self.random.choice(list(self.stored)))
        face = await self.store.delete_face(OWNER, face_id)
        del self.stored[face_id]
        self.acknowledged.discard(face_id)
        try:
            await self.client.apply([delete_of(face)])
            self.gone.add(face_id)
        except (Unavailable, Overloaded):
            self.counts["503 delete"] += 1

    async def search(self, strict):
        """Search for a stored face and compare."""
        if not self.stored:
            return
        face_id = int(self.random.choice(list(self.stored)))
        vector, gone, sure = self.stored[face_id], set(self.gone), face_id in self.acknowledged
        try:
            answer = await self.client.search(Query(OWNER, MODEL, vector, 5, THRESHOLD), strict)
        except (Unavailable, Overloaded):
            self.counts["503 search"] += 1
            return
        ids = [hit.id for hit in answer.hits]
        complete = answer.live == answer.total
        self.counts["whole answers" if complete else "partial answers"] += 1
        wrong = (
            bool(gone & set(ids))
            or (strict and not complete)
            or any(found != face_id for found in ids)
            or (complete and sure and face_id in self.acknowledged and ids != [face_id])
        )
        self.counts["wrong"] += wrong

    async def work(self, seconds):
        """Add, delete and search for a while, several at once."""

        async def worker(number):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                draw = self.random.random()
                if draw < 0.3:
                    await self.add()
                elif draw < 0.35 and len(self.stored) > 50 and number == 0:
                    await self.delete()
                else:
                    await self.search(strict=draw < 0.6)
                await asyncio.sleep(0.005)

        await asyncio.gather(*map(worker, range(4)))

    async def recovered(self):
        """Wait until all shards answer, and look for every face that the store has and for those it has not."""
        end = time.monotonic() + PATIENCE_S
        while not all(shard.info()["ready"] for shard in self.client.shards):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)  # a write that was refused comes by the feed within two polls
        for face_id, vector in self.stored.items():
            for _ in range(5):
                try:
                    answer = await self.client.search(Query(OWNER, MODEL, vector, 5, THRESHOLD), strict=True)
                    break
                except (Unavailable, Overloaded):
                    await asyncio.sleep(1)
            else:
                return False
            self.counts["lost"] += [hit.id for hit in answer.hits] != [face_id]
        return True


async def impostor(port, seconds, about):
    """Say ``about`` as the health of whatever is at a port, and answer garbage to everything else."""

    async def answer(reader, writer):
        line = await reader.readline()
        body = json.dumps(about).encode() if b"/health" in line else os.urandom(40)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        await asyncio.sleep(seconds)


async def disturb(kind, shard, seconds, seen):
    """Do one thing to a shard for some seconds, and let it live again. ``seen``: what the client knows of it."""
    await asyncio.sleep(0.3)
    if kind == "hang":
        shard.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        shard.process.send_signal(signal.SIGCONT)
    elif kind == "slow":
        for _ in range(int(seconds / 0.4)):
            shard.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.3)
            shard.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.1)
    else:
        about = {"ready": True} if kind == "stranger" else seen.info()
        shard.kill()
        if kind in ("nonsense", "stranger"):
            await impostor(int(shard.address.split(":")[1]), seconds, about)
            if kind == "stranger" and seen.ready:
                raise SystemExit(f"A stranger counts as a shard: {seen.info()}")
        else:
            await asyncio.sleep(seconds / 2)
        if kind == "empty":
            shard.empty()
        shard.start()


def free_port():
    """Return a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def run(trials, seconds, folder, *, quiet):
    """Run all trials; return the figures."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    (folder / "tntapi.json").write_text(json.dumps([addresses * 512]))
    config = Config(
        data_dir=str(folder),
        tntapi_servers_file=str(folder / "tntapi.json"),
        tntapi_connect_timeout=0.5,
        tntapi_request_timeout=1.0,
    )
    store = open_store(config)
    await store.start()
    await store.add_token(Token("0" * 64, OWNER, "", 0))
    shards = [Shard(folder, address) for address in addresses]
    client = open_searcher(config, store)
    random = np.random.default_rng(1)
    trial, unrecovered = Trial(store, client, random), 0
    try:
        for shard in shards:
            shard.start()
        await client.start()
        if not await trial.recovered():
            raise SystemExit("The shards did not start")
        for number in range(trials):
            kind = KINDS[number % len(KINDS)]
            at = number // len(KINDS) % 2
            await asyncio.gather(trial.work(seconds + 1), disturb(kind, shards[at], seconds, client.shards[at]))
            unrecovered += not await trial.recovered()
            if not quiet:
                counts = " ".join(f"{name}: {count}" for name, count in sorted(trial.counts.items()))
                print(f"{number + 1:3} {kind:9} {len(trial.stored)} faces; {counts}", flush=True)
    finally:
        await client.close()
        for shard in shards:
            shard.kill()
        await store.close()
    return {"trials": trials, "faces": len(trial.stored), "unrecovered": unrecovered, **trial.counts}


def main():
    """Run as the script, or as one of its shards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="six trials, under a minute")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.address))
    with tempfile.TemporaryDirectory() as folder:
        trials, seconds = (6, 1.5) if options.quick else (options.trials, 2.0)
        figures = asyncio.run(run(trials, seconds, Path(folder), quiet=options.json))
    if options.json:
        print(json.dumps(figures))
    bad = {name: figures.get(name, 0) for name in ("wrong", "lost", "unrecovered")}
    print(f"trial_shards: {trials} trials, " + ", ".join(f"{count} {name}" for name, count in bad.items()))
    sys.exit(any(bad.values()))


if __name__ == "__main__":
    main()
