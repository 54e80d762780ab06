"""A list page of 100 faces beside the same bytes from a bare Tornado handler, with many faces stored.

Bounds: with 100,000 faces a page that nobody has seen yet takes at most 8 times as long as the bare handler's same
bytes; from 10,000 to 500,000 faces the time of any page grows at most 1.5 times. Both servers run in processes of
their own, the requests alternate between them on kept connections, and a ratio is the median of the ratios of the
rounds.

    python scripts/bench_lists.py [--rounds=15] [--quick] [--json]

``--quick``: 10,000, 20,000 and 50,000 faces. The bounds are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.client
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import tornado.httpserver
import tornado.netutil
import tornado.web

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.services.auth import hash_key
from facenapi.storage.base import NewFace
from facenapi.storage.sqlite import SqliteStore
from tests.support.fake_server import FakeServer
from tests.support.live import report

RATIO_BOUND, GROWTH_BOUND = 8.0, 1.5
FIRST = "faces, never seen"
DIMENSION, BATCH, REQUESTS = 8, 2000, 20  # lists never look at vectors; requests to a server per round
PAGES = {
    "faces": "/v1/faces",
    "faces, deep": "/v1/faces?max_id={middle}",
    FIRST: "/v1/faces?max_id={fresh}",
    "gallery": "/v1/faces/gallery/g",
    "meta": "/v1/faces/meta/m7",
    "metas": "/v1/meta",
    "history": "/v1/history/search?limit=100",
}


async def fill(folder: Path, key: str, already: int, count: int) -> list[int]:
    """Store faces from ``already`` to ``count`` for the owner of a key: half in a gallery, a third from cameras.

    Returns the id of every hundredth.
    """
    store = SqliteStore(folder / "store", "normal")
    await store.start()
    owner = next(token.owner for token in await store.list_tokens() if token.key_hash == hash_key(key))
    await store.add_gallery(owner, "g")
    vectors = np.random.default_rng(already).normal(size=(BATCH, DIMENSION)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hundredths = []
    for start in range(already, count, BATCH):
        added = await store.add_faces(
            [face_of(owner, number, vectors[number % BATCH]) for number in range(start, start + BATCH)]
        )
        hundredths += [face.id for face in added[::100]]
    await store.close()
    return hundredths


def face_of(owner: str, number: int, vector: np.ndarray) -> NewFace:
    """Return the face with this number."""
    return NewFace(
        owner, number % 1024, 10, 10, 90, 90, vector.tobytes(), "bench", f"{number:032x}", 1_500_000_000_000 + number,
        meta=f"m{number % 100}", galleries=("default", "g") if number % 2 else ("default",),
        cam_id=f"{number % 16:032x}" if number % 3 == 0 else None, friend=False if number % 3 == 0 else None,
    )  # fmt: skip


def serve_bytes(bodies: dict[str, bytes], queue: multiprocessing.Queue) -> None:
    """Serve bodies by a bare handler until the process ends; put the port into the queue."""

    class Bare(tornado.web.RequestHandler):
        def get(self, name: str) -> None:
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            self.finish(bodies[name])

        def compute_etag(self) -> None:
            """Return no ETag, like ours."""

    async def serve() -> None:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        app = tornado.web.Application([(r"/(.*)", Bare)], log_function=lambda _: None)
        tornado.httpserver.HTTPServer(app).add_sockets(sockets)
        queue.put(sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(serve())


class Target:
    """A server to ask on one kept connection."""

    def __init__(self, port: int, key: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Token {key}"}

    def get(self, path: str) -> bytes:
        """Return the body of a page."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        return body

    def seconds(self, path: Callable[[], str]) -> float:
        """Return the time of a request, the lower quartile of some: other work on the machine only adds to it."""
        times = []
        for _ in range(REQUESTS):
            target = path()
            start = time.perf_counter()
            self.get(target)
            times.append(time.perf_counter() - start)
        return statistics.quantiles(times, n=4)[0]


def wait_until_idle(server: FakeServer) -> None:
    """Wait until the index in the server's process, which lists do not use, is complete and takes no more time."""
    for _ in range(7200):
        _, state = server.call("GET", "/health")
        if state["ready"] and not any(shard["waiting_buffers"] for shard in state["search"]["shards"]):
            return
        time.sleep(0.5)
    raise RuntimeError("the index was not complete after an hour")


def measure(server: FakeServer, rounds: int, places: list[int]) -> dict[str, tuple[float, float]]:
    """Return for each page its ratio to the bare handler, and the bare handler's seconds.

    ``places``: ids where pages begin that were not shown yet; those that are shown are taken out.
    """
    ours = Target(int(server.url.rsplit(":", 1)[1]), server.key)
    middle = sorted(places)[len(places) // 2]
    random.Random(1).shuffle(places)

    def path_of(template: str) -> str:
        return template.format(middle=middle, fresh=places.pop() if "fresh" in template else 0)

    pages = {name: functools.partial(path_of, template) for name, template in PAGES.items()}
    queue = multiprocessing.Queue()
    bodies = {name: ours.get(path()) for name, path in pages.items()}
    process = multiprocessing.get_context("fork").Process(target=serve_bytes, args=(bodies, queue), daemon=True)
    process.start()
    try:
        bare = Target(queue.get(timeout=20))
        found = {}
        for name, path in pages.items():
            times = min(rounds, len(places) // REQUESTS) if name == FIRST else rounds
            pairs = [(ours.seconds(path), bare.seconds(lambda name=name: "/" + quote(name))) for _ in range(times)]
            ratio = statistics.median(mine / other for mine, other in pairs)
            found[name] = (ratio, statistics.median(other for _, other in pairs))
        return found
    finally:
        process.terminate()
        process.join()


def main() -> int:
    """Measure at three sizes and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="fewer faces")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    sizes = (10_000, 20_000, 50_000) if chosen.quick else (10_000, 100_000, 500_000)
    found: dict[int, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        server, stored, places = FakeServer(Path(folder)), 0, []
        for size in sizes:
            server.stop()
            places += asyncio.run(fill(Path(folder), server.key, stored, size))
            stored = size
            server.start(timeout_s=1200)
            wait_until_idle(server)
            found[size] = measure(server, 5 if chosen.quick else chosen.rounds, places)
        server.stop()
    return judge(found, chosen.json)


def judge(found: dict[int, dict[str, tuple[float, float]]], as_json: bool) -> int:
    """Print the figures; return 1 if a bound is missed."""
    small, middle, large = found
    rows = []
    for size, pages in found.items():
        for name, (ratio, bare) in pages.items():
            rows.append((f"{size:>7} {name}", f"{ratio:5.2f} x the bare handler's {1000 * bare:.2f} ms"))
    ratios = {name: ratio for name, (ratio, _) in found[middle].items()}
    bounded = max(ratios.values())
    growth = {name: found[large][name][0] / found[small][name][0] for name in PAGES}
    rows += [(f"growth  {name}", f"{value:5.2f} from {small} to {large}") for name, value in growth.items()]
    missed = bounded > RATIO_BOUND or max(growth.values()) > GROWTH_BOUND
    summary = (
        f"bench_lists: {bounded:.2f}x a bare handler at {middle} faces (bound {RATIO_BOUND:g}), "
        f"grows {max(growth.values()):.2f}x from {small} to {large} (bound {GROWTH_BOUND:g}): "
        + ("MISSED" if missed else "kept")
    )
    figures = {"ratio": ratios, "growth": growth, "sizes": list(found), "kept": not missed}
    report(rows, summary, figures, as_json)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
