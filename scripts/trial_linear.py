"""Check every answer against what may be true, while servers and shards are killed, stopped, hung and emptied.

Clients add, change, delete, identify, list and read the faces of the same few persons at once. Each call has a
beginning and an end; what was acknowledged before an answer began must be in it, what was overwritten or deleted
before must not, what nobody has written never. A write without an acknowledgement may have been done or not, until
an answer shows which: it stays so. A gallery is told by the meta too, so that half a change is seen.

A third of the time the search is in the server, then in two shards; buffers of eight vectors make merges of
everything. The detector takes colours for persons.

Bounds: 0 contradictions, no 5xx but 503, and every call made. Exit status 1 otherwise.

    python scripts/trial_linear.py [--seconds=300] [--clients=8] [--quick] [--json] [--seed=1]
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi import cli
from facenapi.commands import serve
from facenapi.search.index import collection
from scripts.linear_ledger import NEVER, VIP, Answer, Ledger, Write
from scripts.trial_servers import Shards
from tests.support.fake_server import FakeApplication, FakeServer
from tests.support.live import form, report
from tests.support.server import picture

PHOTOS = [picture((250, 40 * number, 0)) for number in range(6)]  # of as many persons
FACES = 120  # about so many at a time
BUFFER = 8  # vectors
IN_SERVER = ("kill the server", "stop the server", "nothing")
IN_SHARDS = ("hang a shard", "empty a shard", "kill the server", "kill a shard", "stop the server")


class SmallServer(FakeServer):
    """A server, and by ``facenapi shard`` a shard, whose buffers are full at once."""

    module = "scripts.trial_linear"


class Client(threading.Thread):
    """Does one thing after another until it is told to stop."""

    def __init__(self, server: FakeServer, ledger: Ledger, seed: str, stop: threading.Event) -> None:
        super().__init__()
        self.server, self.ledger, self.dice, self.stop = server, ledger, random.Random(seed), stop
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Act; whatever goes wrong here is a fault of the trial."""
        while not self.stop.is_set():
            try:
                self.act()
            except (OSError, http.client.HTTPException):
                self.connection = None
                self.ledger.counts["broken connections"] += 1
                time.sleep(0.05)
            except Exception as error:  # a trial that stops looking has not held
                self.ledger.wrong.append(f"the trial itself: {error!r}")
                raise

    def call(self, method: str, path: str, good: tuple[int, ...], body: bytes | None = None,
             kind: str = "application/json") -> tuple[int, Any, bool, float]:  # fmt: skip
        """Return status, content, whether all shards took part, and when the answer was there."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Token {self.server.key}", "Content-Type": kind}
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        content = reply.read()
        live, _, total = reply.headers.get("X-Live-Servers", "0/0").partition("/")
        if reply.status == 503:
            self.ledger.counts["503"] += 1
            time.sleep(0.02)
        elif reply.status not in good:
            self.ledger.wrong.append(f"{method} {path}: {reply.status} {content[:200]!r}")
        return reply.status, json.loads(content) if content else None, live == total, time.monotonic()

    def act(self) -> None:
        """Do one thing at random."""
        ledger = self.ledger
        with ledger.lock:
            there = [face_id for face_id, face in ledger.faces.items() if face.deleted == NEVER]
        what, color = self.dice.random(), self.dice.randrange(len(PHOTOS))
        face_id = self.dice.choice(there) if there else None
        if face_id is None or what < 0.4 * (1 - len(there) / (2 * FACES)):
            self.add(color)
        elif what < 0.5:
            self.change(face_id) if self.dice.random() < 0.6 else self.delete(face_id)
        elif what < 0.8:
            self.identify(color, tag=self.dice.random() < 0.4)
        elif what < 0.9:
            self.list(tag=self.dice.random() < 0.5)
        else:
            self.read(face_id)

    def add(self, color: int) -> None:
        """Enrol a person."""
        meta = self.ledger.new_meta(self.dice)
        fields = {"photo": PHOTOS[color], "meta": meta} | ({"galleries": VIP} if meta.startswith(VIP) else {})
        with self.ledger.lock:
            self.ledger.adding[meta] = color, (write := Write(meta, time.monotonic()))
        status, answer, _, end = self.call("POST", "/v1/face", (200,), *form(fields))
        if status == 200:
            with self.ledger.lock:
                face = self.ledger.face_of(answer["results"][0])
                assert face is not None
                write.done, face.found, write.told = min(write.done, end), min(face.found, end), end
                self.ledger.counts["add"] += 1

    def change(self, face_id: int) -> None:
        """Give a face another meta, and the galleries that belong to it."""
        meta = self.ledger.new_meta(self.dice)
        body = {"meta": meta, "galleries": {"set": [VIP] if meta.startswith(VIP) else []}}
        face = self.ledger.faces[face_id]
        with self.ledger.lock:
            face.writes.append(write := Write(meta, start := time.monotonic()))
        status, _, whole, end = self.call("PUT", f"/v1/face/id/{face_id}", (200, 404), json.dumps(body).encode())
        if status == 404:
            self.ledger.see(Answer("change", [], start, end, only=face_id))
        with self.ledger.lock:
            if status == 200:
                if face.deleted <= start:
                    self.ledger.wrong.append(f"change: {face_id} was deleted before")
                write.done, write.told = min(write.done, end), end if whole else NEVER
                self.ledger.counts["change"] += 1

    def delete(self, face_id: int) -> None:
        """Delete a face."""
        face = self.ledger.faces[face_id]
        with self.ledger.lock:
            face.deletes += 1
            face.delete_began = min(face.delete_began, time.monotonic())
        status, _, _, end = self.call("DELETE", f"/v1/face/id/{face_id}", (204, 404))
        with self.ledger.lock:
            if status == 204 and face.acknowledged:
                self.ledger.wrong.append(f"delete: {face_id} was deleted twice")
            if status == 404 and face.deletes == 1:
                self.ledger.wrong.append(f"delete: {face_id} is missing: {face}")
            if status in (204, 404):
                face.deleted, face.acknowledged = min(face.deleted, end), face.acknowledged or status == 204
                self.ledger.counts["delete"] += 1

    def identify(self, color: int, *, tag: bool) -> None:
        """Look for a person."""
        fields = {"photo": PHOTOS[color], "n": 0, "threshold": 0.999, "strict": self.dice.choice((0, 1))}
        path, start = f"/v1/faces/gallery/{VIP}/identify" if tag else "/v1/identify", time.monotonic()
        status, answer, whole, end = self.call("POST", path, (200,), *form(fields))
        if status == 200:
            found = [match["face"] for matches in answer["results"].values() for match in matches]
            name = "identify in the gallery" if tag else "identify"
            self.ledger.see(Answer(name, found, start, end, color, tag, whole=whole, by_search=True))

    def list(self, *, tag: bool) -> None:
        """List all faces, or those of the gallery."""
        start = time.monotonic()
        status, page, _, end = self.call("GET", f"/v1/faces{f'/gallery/{VIP}' if tag else ''}?limit=1000", (200,))
        if status == 200:
            self.ledger.see(Answer("list", page["results"], start, end, tag=tag))

    def read(self, face_id: int) -> None:
        """Get one face."""
        start = time.monotonic()
        status, face, _, end = self.call("GET", f"/v1/face/id/{face_id}", (200, 404))
        if status != 503:
            self.ledger.see(Answer("read", [face] if status == 200 else [], start, end, only=face_id))


def disturb(what: str, server: SmallServer, shards: Shards | None, dice: random.Random) -> None:
    """Do one thing to a server or a shard, and let it live again."""
    if what.endswith("server"):
        (server.kill if what.startswith("kill") else server.stop)()
        server.start()
    if shards is None or not what.endswith("shard"):
        return
    at = dice.randrange(len(shards.processes))
    if what.startswith("hang"):
        shards.processes[at].send_signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 4))
        shards.processes[at].send_signal(signal.SIGCONT)
        return
    shards.processes[at].kill()
    shards.processes[at].wait()
    if what.startswith("empty"):
        for folder in shards.folder.glob(f"shard-*{shards.places[at].rpartition(':')[2]}"):
            shutil.rmtree(folder, ignore_errors=True)
    time.sleep(dice.uniform(0, 1))
    shards.start(at)


def settle(client: Client) -> None:
    """Wait until all can be used and has caught up; then every face that is listed must be found."""
    deadline = time.monotonic() + 60
    while client.server.call("GET", "/health/ready")[0] != 200:
        if time.monotonic() > deadline:
            client.ledger.wrong.append("not ready again within a minute")
            return
        time.sleep(0.1)
    time.sleep(2.5)  # what a shard did not hear comes by the feed
    client.list(tag=False)
    with client.ledger.lock:
        for face in client.ledger.faces.values():
            face.found = min(face.found, face.writes[0].done)
            for write in face.writes:
                write.told = min(write.told, write.done)
    for color in range(len(PHOTOS)):
        for tag in (False, True):
            client.identify(color, tag=tag)


def run(folder: Path, seconds: float, clients: int, seed: str, *, sharded: bool) -> Ledger:
    """Run one half of the trial."""
    ledger, dice = Ledger(), random.Random(seed)
    with ExitStack() as stack:
        SmallServer(folder).stop()  # makes the database, which shards wait for
        shards = Shards(folder, [], SmallServer.module) if sharded else None
        if shards is not None:
            stack.callback(shards.close)
        server = stack.enter_context(SmallServer(folder, *(shards.options if shards else [])))
        assert server.call("POST", f"/v1/galleries/{VIP}")[0] == 201
        looker = Client(server, ledger, seed, threading.Event())
        settle(looker)
        until, happenings = time.monotonic() + seconds, itertools.cycle(IN_SHARDS if sharded else IN_SERVER)
        while time.monotonic() < until:
            stop = threading.Event()
            threads = [Client(server, ledger, f"{seed} {until} {number}", stop) for number in range(clients)]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.5, 3))
            what = next(happenings)
            disturb(what, server, shards, dice)
            ledger.counts[what] += 1
            time.sleep(dice.uniform(0.5, 2))
            stop.set()
            for thread in threads:
                thread.join()
            looker.connection = None
            settle(looker)
    if min(ledger.counts[what] for what in ("add", "change", "delete", "identify", "list", "read")) < 5:
        ledger.wrong.append("hardly anything was done")
    return ledger


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rows: list[tuple[str, str]] = []
    figures: dict[str, Any] = {"wrong": []}
    seconds = 60 if chosen.quick else chosen.seconds
    for name, sharded, share in (("search in the server", False, 1 / 3), ("two shards", True, 2 / 3)):
        with tempfile.TemporaryDirectory() as folder:
            seed = f"{name} {chosen.seed}"
            ledger = run(Path(folder), share * seconds, chosen.clients, seed, sharded=sharded)
        figures[name], figures["wrong"] = dict(ledger.counts), figures["wrong"] + ledger.wrong
        rows += [(name, ", ".join(f"{count} {what}" for what, count in sorted(ledger.counts.items())))]
    rows += [("wrong", line) for line in figures["wrong"][:10]]
    wrong = len(figures["wrong"])
    report(rows, f"linear: {wrong} contradictions: {'BOUND MISSED' if wrong else 'held'}", figures, chosen.json)
    return int(wrong > 0)


if __name__ == "__main__":
    if sys.argv[1:2] in (["serve"], ["shard"]):
        collection.buffer_rows = lambda _: BUFFER
        serve.Application = FakeApplication
        sys.exit(cli.main(sys.argv[1:]))
    sys.exit(main())
