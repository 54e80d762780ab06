"""``facenapi mass-enroll run`` beside a bare concurrent client that posts the same photos, in one run.

Rounds alternate between the two, against one server with the real networks, so that a noisy machine disturbs both
alike; every round posts all photos, each time with another meta. The bare client knows its photos beforehand and
does nothing but post them on as many open connections. Start and end of the process are part of its time for
mass-enroll, as for a user. Bound: the ratio of the rates, median of the rounds, at least 0.9.

    python scripts/bench_mass_enroll.py [--photos=200] [--rounds=5] [--parallel=4] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import photos
from tests.support.live import ROOT, Server, form, jpeg, report

BOUND = 0.9


def make_photos(folder: Path, count: int) -> list[bytes]:
    """Write portraits that all differ; return their bytes."""
    image, dice = Image.open(io.BytesIO(photos.astronaut())).convert("RGB"), np.random.default_rng(1)
    made = []
    for number in range(count):
        pixels = np.asarray(image).copy()
        pixels[:8, :8] = dice.integers(0, 255, (8, 8, 3))
        made.append(jpeg(pixels))
        (folder / f"person {number}.jpg").write_bytes(made[-1])
    return made


def bare(server: Server, pictures: list[bytes], parallel: int, meta: str) -> float:
    """Post all pictures; return pictures per second."""
    numbers = iter(range(len(pictures)))
    host = server.url.removeprefix("http://")
    headers = {"Authorization": f"Token {server.key}"}

    def work() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        for number in numbers:
            body, kind = form({"photo": pictures[number], "meta": f"{meta} {number}"})
            connection.request("POST", "/v1/face", body, {**headers, "Content-Type": kind})
            reply = connection.getresponse()
            if reply.status != 200:
                raise RuntimeError(f"{reply.status} {reply.read()[:200]!r}")
            reply.read()
        connection.close()

    start = time.perf_counter()
    with ThreadPoolExecutor(parallel) as pool:
        for done in [pool.submit(work) for _ in range(parallel)]:
            done.result()
    return len(pictures) / (time.perf_counter() - start)


def mass_enroll(server: Server, folder: Path, count: int, parallel: int, meta: str) -> float:
    """Run the command on a new job file; return photos per second."""
    command, job = [sys.executable, "-m", "facenapi", "mass-enroll"], folder.parent / f"{meta}.job"
    prepare = [*command, "prepare", f"--job={job}", "--meta-name", str(folder)]
    subprocess.run(prepare, check=True, cwd=ROOT, capture_output=True)
    run = [*command, "run", str(job), f"--url={server.url}", f"--parallel={parallel}"]
    start = time.perf_counter()
    subprocess.run(run, check=True, cwd=ROOT, capture_output=True, env=os.environ | {"FACENAPI_TOKEN": server.key})
    return count / (time.perf_counter() - start)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 60 photos")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    count, rounds = (60, 2) if chosen.quick else (chosen.photos, chosen.rounds)
    pairs = []
    with tempfile.TemporaryDirectory() as place, Server(Path(place) / "server") as server:
        folder = Path(place) / "photos"
        folder.mkdir()
        pictures = make_photos(folder, count)
        bare(server, pictures[:8], chosen.parallel, "warm")
        for number in range(rounds):
            plain = bare(server, pictures, chosen.parallel, f"bare {number}")
            pairs.append((mass_enroll(server, folder, count, chosen.parallel, f"round {number}"), plain))
    figures = {
        "photos": count,
        "rounds": rounds,
        "mass_enroll_per_s": statistics.median(pair[0] for pair in pairs),
        "bare_per_s": statistics.median(pair[1] for pair in pairs),
        "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
    }
    held = figures["ratio"] >= BOUND
    rows = [(name, f"{value:.2f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    verdict = "held" if held else "BOUND MISSED"
    report(rows, f"mass-enroll: ratio {figures['ratio']:.2f}, bound {BOUND}: {verdict}", figures, chosen.json)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
