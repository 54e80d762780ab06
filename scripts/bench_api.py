"""Images per second over HTTP, beside a bare loop over the same networks without HTTP.

Rounds alternate between the two, so that a noisy machine disturbs both alike; the ratio is the median over
the rounds. The bare loop decodes, detects, aligns and runs the same networks, with as many photos in work as
there are clients. Bound: every ratio at least 0.8.

    python scripts/bench_api.py [--clients=4] [--rounds=5] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.config.options import Config
from facenapi.detector.pipeline import FaceDetector
from facenapi.photos.photo import Photo
from tests.support import photos
from tests.support.live import PACK, Server, form, report

BOUND = 0.8
EVERYTHING = frozenset({"age", "gender", "emotions"})
# name: path, form fields, what the bare loop does
CASES = {
    "detect": ("/v1/detect", {}, ""),
    "detect + attributes": ("/v1/detect", {"age": 1, "gender": 1, "emotions": 1}, "attributes"),
    "face": ("/v1/face", {}, "embed"),
    "identify": ("/v1/identify", {}, "embed"),
}


class Bare:
    """The networks without a server."""

    def __init__(self, config: Config, pictures: list[bytes]) -> None:
        self.config, self.pictures = config, pictures
        self.detector = FaceDetector(config)

    async def one(self, number: int, what: str) -> None:
        """Work on one photo."""
        data = self.pictures[number % len(self.pictures)]
        photo = await asyncio.to_thread(Photo, data, "photo", self.config.max_size, self.config.detect_size)
        faces = (await self.detector.detect(photo))[:1]
        if what == "embed":
            await self.detector.embed(photo, faces)
        elif what == "attributes":
            await self.detector.attributes(photo, faces, EVERYTHING)


async def spread(count: int, workers: int, work) -> float:
    """Do ``count`` pieces of work with some workers; return pieces per second."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    return count / (time.perf_counter() - start)


async def run(
    clients: int, rounds: int, count: int, cases: Iterable[str] = tuple(CASES), device: str = "auto"
) -> dict[str, dict[str, float]]:
    """Return rates and ratio by case."""
    pictures = [photos.astronaut(), photos.grace_hopper()]
    http = SimpleAsyncHTTPClient(force_instance=True, max_clients=clients)
    bare = Bare(Config(model_pack=str(PACK), gae=True, device=device), pictures)
    await bare.detector.start()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), f"--device={device}") as server:
        for name in cases:
            path, fields, what = CASES[name]
            bodies = [form({"photo": picture, **fields}) for picture in pictures]

            async def post(number: int, path: str = path, bodies: list[tuple[bytes, str]] = bodies) -> None:
                body, kind = bodies[number % len(bodies)]
                headers = {"Authorization": f"Token {server.key}", "Content-Type": kind}
                await http.fetch(HTTPRequest(server.url + path, "POST", headers, body, request_timeout=120))

            async def compute(number: int, what: str = what) -> None:
                await bare.one(number, what)

            await spread(4, clients, post)
            await spread(4, clients, compute)
            pairs = [(await spread(count, clients, post), await spread(count, clients, compute))
                     for _ in range(rounds)]  # fmt: skip
            results[name] = {
                "http_per_s": statistics.median(pair[0] for pair in pairs),
                "bare_per_s": statistics.median(pair[1] for pair in pairs),
                "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
            }
    http.close()
    await bare.detector.close()
    return results


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 short rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds, count = (2, 12) if chosen.quick else (chosen.rounds, 60)
    results = asyncio.run(run(chosen.clients, rounds, count))
    worst = min(figures["ratio"] for figures in results.values())
    rows = [(name, "  ".join(f"{key} {value:7.2f}" for key, value in figures.items()))
            for name, figures in results.items()]  # fmt: skip
    verdict = "held" if worst >= BOUND else "BOUND MISSED"
    report(rows, f"api: lowest ratio {worst:.2f}, bound {BOUND}: {verdict}", dict(results), chosen.json)
    return 0 if worst >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
