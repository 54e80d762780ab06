"""Photos of mixed sizes up to 24 megapixels from 16 clients: how much memory does the server take?

Bounds: every answer 200; peak below 1,500 MB; in the second half the peak grows by at most 10 %.

    python scripts/trial_memory.py [--photos=1000] [--clients=16] [--quick] [--json] [-- OPTIONS OF THE SERVER]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import photos
from tests.support.live import Server, form, jpeg, report

PEAK_BOUND_MB = 1500
GROWTH_BOUND = 1.10
MEGAPIXELS = (0.3, 1, 2, 4, 8, 12, 24)
PATHS = ("/v1/detect", "/v1/identify", "/v1/face")


def pictures() -> list[bytes]:
    """Return both portraits at every size: as they are, and small on a large canvas, so that pixels are needed."""
    made = []
    for original in (photos.astronaut(), photos.grace_hopper()):
        face = Image.open(io.BytesIO(original)).convert("RGB")
        for megapixels in MEGAPIXELS:
            width = int((megapixels * 1e6 * 4 / 3) ** 0.5)
            canvas = Image.fromarray(np.full((width * 3 // 4, width, 3), 128, np.uint8))
            canvas.paste(face, (0, 0))
            made += [jpeg(face.resize((width, width * 3 // 4))), jpeg(canvas)]
    return made


async def run(count: int, clients: int, options: list[str]) -> tuple[dict[str, float], list[str]]:
    """Return figures and what went wrong."""
    bodies = [form({"photo": picture}) for picture in pictures()]
    errors: list[str] = []
    sent = iter(range(count))
    peaks = {"first": 0.0, "second": 0.0}
    answered = 0
    http = SimpleAsyncHTTPClient(force_instance=True, max_clients=clients)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), "--max_photo_bytes=40000000", *options) as server,
    ):
        idle = server.memory_mb()

        async def client() -> None:
            nonlocal answered
            for number in sent:
                body, kind = bodies[number * 7 % len(bodies)]
                headers = {"Authorization": f"Token {server.key}", "Content-Type": kind}
                path = PATHS[number % len(PATHS)]
                request = HTTPRequest(server.url + path, "POST", headers, body, request_timeout=300)
                reply = await http.fetch(request, raise_error=False)
                answered += 1
                if reply.code != 200:
                    errors.append(f"{path}: {reply.code} {(reply.body or b'')[:200]!r}")

        async def watch() -> None:
            while True:
                half = "first" if answered < count // 2 else "second"
                peaks[half] = max(peaks[half], server.memory_mb())
                await asyncio.sleep(0.03)

        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(client() for _ in range(clients)))
        watcher.cancel()
        await asyncio.sleep(1)
        afterwards = server.memory_mb()
    http.close()
    return {
        "idle_mb": idle,
        "peak_first_half_mb": peaks["first"],
        "peak_second_half_mb": peaks["second"],
        "afterwards_mb": afterwards,
    }, errors


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="120 photos: too few to judge growth")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("options", nargs="*", help="options of the server, after --")
    chosen = parser.parse_args()
    figures, errors = asyncio.run(run(120 if chosen.quick else chosen.photos, chosen.clients, chosen.options))
    first, second = figures["peak_first_half_mb"], figures["peak_second_half_mb"]
    held = not errors and max(first, second) < PEAK_BOUND_MB and (chosen.quick or second <= first * GROWTH_BOUND)
    rows = [(name, f"{value:.0f}") for name, value in figures.items()] + [("error", line) for line in errors[:10]]
    report(rows, f"memory: {'held' if held else 'BOUND MISSED'}", figures | {"errors": errors}, chosen.json)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
