"""kill -9 in the middle of mixed writes by 8 clients, restart, compare: what was acknowledged must be there.

Each trial goes on with the data of the one before. After every restart: each acknowledged face exists with the
acknowledged meta, each acknowledged deletion is gone, no face is half-written, no face exists that nobody
added, and identify finds exactly the faces that the store lists.

With --ferretdb the faces are in FerretDB (scripts/build_ferretdb makes it), and every other trial kills that
instead of the server, which has to go on when it is back. The detector takes colours for persons then: it is quick.
A face that disagrees is told by its id, with the server's last words.

Bounds: 0 acknowledged writes lost, 0 half-written faces, 0 disagreements.

    python scripts/trial_kill9.py [--trials=30] [--clients=8] [--quick] [--json] [--ferretdb] [-- SERVER OPTIONS]
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import photos
from tests.support.fake_server import FakeServer
from tests.support.ferret import Ferret
from tests.support.live import Server, form, report
from tests.support.server import GREEN, RED, picture

ROOM = 30  # FerretDB reads all faces for each query, and is to be killed among many writes
FIELDS = {"id", "x1", "x2", "y1", "y2", "meta", "galleries", "photo", "photo_hash", "timestamp"}


class Ledger:
    """What the server has acknowledged, and what was under way when it died."""

    def __init__(self, room: int) -> None:
        """``room``: about how many faces there shall be."""
        self.room = room
        self.lock = threading.Lock()
        self.metas: dict[int, set[str]] = {}  # face id: the metas it may have
        self.deleted: set[int] = set()
        self.deleting: set[int] = set()
        self.posts_under_way = 0
        self.acknowledged = 0

    def take(self, dice: random.Random) -> int | None:
        """Reserve a face for one client."""
        with self.lock:
            free = sorted(self.metas)
            return dice.choice(free) if free else None


def client(server: Server, ledger: Ledger, number: int, pictures: list[bytes], stop: threading.Event) -> None:
    """Write until the server dies."""
    dice = random.Random(f"{number} {time.monotonic()}")
    bodies = [form({"photo": picture, "meta": "new"}) for picture in pictures]
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        while not stop.is_set():
            act(connection, server.key, ledger, dice, bodies)
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def act(connection, key: str, ledger: Ledger, dice: random.Random, bodies) -> None:
    """Add, change or delete one face, and note the acknowledgement."""
    face_id = ledger.take(dice)
    what, adding = dice.random(), 0.5 if len(ledger.metas) < ledger.room else 0.1
    if face_id is None or what < adding:
        body, kind = dice.choice(bodies)
        with ledger.lock:
            ledger.posts_under_way += 1
        status, answer = call(connection, key, "POST", "/v1/face", body, kind=kind)
        with ledger.lock:
            ledger.posts_under_way -= status < 500  # after a 503 the face may be there or not
            if status == 200:
                ledger.acknowledged += 1
                ledger.metas[answer["results"][0]["id"]] = {"new"}
    elif what < adding + 0.3:
        meta = f"m{dice.randrange(10**9)}"
        with ledger.lock:
            if face_id not in ledger.metas:
                return
            ledger.metas[face_id].add(meta)  # from now on it may be either
        status, _ = call(connection, key, "PUT", f"/v1/face/id/{face_id}", json.dumps({"meta": meta}).encode())
        with ledger.lock:
            ledger.acknowledged += status == 200
    else:
        with ledger.lock:
            if ledger.metas.pop(face_id, None) is None:
                return
            ledger.deleting.add(face_id)
        status, _ = call(connection, key, "DELETE", f"/v1/face/id/{face_id}")
        with ledger.lock:
            if status == 204:
                ledger.acknowledged += 1
                ledger.deleting.discard(face_id)
                ledger.deleted.add(face_id)


def call(connection, key, method, path, body=None, *, kind="application/json"):
    """Send a request on a kept connection; status and JSON."""
    connection.request(method, path, body, {"Authorization": f"Token {key}", "Content-Type": kind})
    reply = connection.getresponse()
    content = reply.read()
    return reply.status, json.loads(content) if content else None


def stored(server: Server) -> dict[int, dict]:
    """Return all faces, by id."""
    faces: dict[int, dict] = {}
    path = "/v1/faces?limit=1000"
    while path:
        status, page = server.call("GET", path)
        assert status == 200, page
        faces |= {face["id"]: face for face in page["results"]}
        path = page["next_page"]
    return faces


def compare(server: Server, ledger: Ledger, pictures: list[bytes]) -> dict[str, int]:
    """Count what is wrong after a restart, and take what is there for the next trial's truth."""
    faces = stored(server)
    wrong = {
        "lost": sum(face_id not in faces for face_id in ledger.metas),
        "changed": sum(face_id in faces and faces[face_id]["meta"] not in metas
                       for face_id, metas in ledger.metas.items()),
        "undead": sum(face_id in faces for face_id in ledger.deleted),
        "half_written": sum(not set(face) >= FIELDS for face in faces.values()),
    }  # fmt: skip
    unknown = set(faces) - set(ledger.metas) - ledger.deleting
    wrong["from_nowhere"] = max(0, len(unknown) - ledger.posts_under_way)
    found: set[int] = set()
    for photo in pictures:
        status, answer = server.call("POST", "/v1/identify", *form({"photo": photo, "n": 0, "threshold": 0.99}))
        assert status == 200, answer
        found |= {match["face"]["id"] for matches in answer["results"].values() for match in matches}
    wrong["search_disagrees"] = len(found ^ set(faces))
    if any(wrong.values()):
        lost = [face_id for face_id in ledger.metas if face_id not in faces]
        print(f"{wrong}; lost {lost}, stored alone {set(faces) - found}, found alone {found - set(faces)}\n"
              f"{server.log.read_text()[-3000:]}", file=sys.stderr)  # fmt: skip
    ledger.metas = {face_id: {face["meta"]} for face_id, face in faces.items()}
    ledger.deleting, ledger.posts_under_way = set(), 0
    return wrong


def run(trials: int, clients: int, options: list[str], ferretdb: bool) -> tuple[dict[str, int], int]:
    """Run the trials; return what went wrong in sum, and how many writes were acknowledged."""
    pictures = [picture(RED), picture(GREEN)] if ferretdb else [photos.astronaut(), photos.grace_hopper()]
    ledger, dice, total = Ledger(ROOM if ferretdb else 10**9), random.Random(1), {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(Ferret(folder)) if ferretdb else None
        if database is not None:
            options = [*options, "--mongo_host=127.0.0.1", f"--mongo_port={database.port}"]
        kind = FakeServer if ferretdb else Server
        server = stack.enter_context(kind(folder / "server", *options))
        for trial in range(trials):
            stop = threading.Event()
            threads = [threading.Thread(target=client, args=(server, ledger, number, pictures, stop))
                       for number in range(clients)]  # fmt: skip
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.5, 4.0))
            victim = database if database is not None and trial % 2 else server
            victim.kill()
            stop.set()
            for thread in threads:
                thread.join()
            victim.start()
            wait_until_ready(server)
            for name, count in compare(server, ledger, pictures).items():
                total[name] = total.get(name, 0) + count
            print(f"trial {trial + 1}/{trials}: {ledger.acknowledged} writes, {len(ledger.metas)} faces",
                  file=sys.stderr)  # fmt: skip
    return total, ledger.acknowledged


def wait_until_ready(server: Server) -> None:
    """Wait until the server says that it can work, a minute at most."""
    for _ in range(600):
        if server.call("GET", "/health/ready")[0] == 200:
            return
        time.sleep(0.1)
    raise RuntimeError("the server does not get ready again")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="4 trials")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ferretdb", action="store_true", help="keep the faces in FerretDB, and kill that too")
    parser.add_argument("options", nargs="*", help="options of the server, after --")
    chosen = parser.parse_args()
    trials = 4 if chosen.quick else chosen.trials
    wrong, writes = run(trials, chosen.clients, chosen.options, chosen.ferretdb)
    held = writes > 0 and not any(wrong.values())
    rows = [("acknowledged writes", str(writes)), *((name, str(count)) for name, count in wrong.items())]
    report(rows, f"kill -9: {trials} trials: {'held' if held else 'BOUND MISSED'}", {"writes": writes, **wrong},
           chosen.json)  # fmt: skip
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
