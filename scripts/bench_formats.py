"""What a large photo costs in each format, and what decoding in child processes costs a normal one.

A picture of 24 megapixels as JPEG, PNG, WebP lossy and lossless and HEIC, with a face (identify: found, cut out,
embedded) and with none (detect), each against a server of its own: alone, and eight at once with a small photo sent
beside them. Time is the median of what a client waits, "cpu" what the server and its decoders compute (other
work on the machine changes that less), memory the peak of them above what they have before the first large photo,
shared memory counted once. Then normal photos, decoded in this process and in the pool by turns: the least of each,
the medians, and that of the differences.

    python scripts/bench_formats.py [--megapixels=24] [--rounds=3] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
from PIL import Image

from facenapi.photos.photo import Photo
from facenapi.photos.pool import DecodePool
from tests.support import photos
from tests.support.live import Server, form

OPTIONS = ("--max_photo_bytes=200000000", "--max_body_size=400000000", "--max_body_memory=4000000000")
AT_ONCE = 8


def encoded(image: Image.Image, kind: str) -> bytes:
    """Return a picture as a file of this kind."""
    out = io.BytesIO()
    if kind == "HEIC":
        import pillow_heif  # noqa: PLC0415 - an extra

        pillow_heif.from_pillow(image).save(out, quality=80)
    elif kind == "WebP lossless":
        image.save(out, "WEBP", lossless=True, quality=0, method=0)
    elif kind == "WebP lossy":
        image.save(out, "WEBP", quality=85, method=1)
    elif kind == "PNG":
        image.save(out, "PNG", compress_level=3)
    else:
        image.save(out, kind, quality=88)
    return out.getvalue()


def pictures(megapixels: float) -> dict[str, Image.Image]:
    """Return the picture with a face and the one without."""
    width = round((megapixels * 1e6 * 1.5) ** 0.5)
    size = (width, round(width / 1.5))
    return {
        "a face": Image.open(io.BytesIO(photos.large(*size))).convert("RGB"),
        "no face": Image.open(io.BytesIO(photos.no_face())).convert("RGB").resize(size, Image.Resampling.BICUBIC),
    }


@contextmanager
def peak_of(server: Server) -> Iterator[list[float]]:
    """Watch a server's memory; what is yielded holds its peak at the end, in MB."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], server.memory_mb())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def cpu_s(server: Server) -> float:
    """Return the processor seconds of a server and its children so far."""
    process = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in (process, *process.children())]
    return sum(own.user + own.system for own in times) + times[0].children_user + times[0].children_system


def ask(server: Server, path: str, photo: bytes) -> float:
    """Return the seconds until the answer."""
    body, kind = form({"photo": photo})
    start = time.perf_counter()
    status, answer = server.call("POST", path, body, kind)
    if status != 200:
        raise RuntimeError(f"{status} {answer}")
    return time.perf_counter() - start


def measure(photo: bytes, path: str, rounds: int) -> dict[str, float]:
    """Return the figures of one file."""
    small = photos.grace_hopper()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), *OPTIONS) as server:
        for _ in range(3):
            ask(server, "/v1/identify", small)
        small_alone = statistics.median(ask(server, "/v1/detect", small) for _ in range(5))
        before = server.memory_mb()
        computed = cpu_s(server)
        with peak_of(server) as peak:
            alone = statistics.median(ask(server, path, photo) for _ in range(rounds))
        computed = (cpu_s(server) - computed) / rounds
        with peak_of(server) as peak_at_once, ThreadPoolExecutor(AT_ONCE) as threads:
            start = time.perf_counter()
            running = [threads.submit(ask, server, path, photo) for _ in range(AT_ONCE)]
            time.sleep(alone / 2)
            small_beside = ask(server, "/v1/detect", small)
            for one in running:
                one.result()
            at_once = time.perf_counter() - start
    return {
        "file_mb": len(photo) / 1e6,
        "alone_s": alone,
        "cpu_s": computed,
        "peak_mb": peak[0] - before,
        "eight_s": at_once,
        "eight_peak_mb": peak_at_once[0] - before,
        "small_alone_s": small_alone,
        "small_beside_s": small_beside,
        "small_behind": (small_beside - small_alone) / alone,  # so many large ones
    }


def formats(kinds: list[str], megapixels: float, rounds: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """Return a row for each format and picture, with ratios to the JPEG's."""
    rows: list[dict[str, object]] = []
    for name, image in pictures(megapixels).items():
        path = "/v1/identify" if name == "a face" else "/v1/detect"
        reference: dict[str, float] = {}
        for kind in kinds:
            found = measure(encoded(image, kind), path, rounds)
            reference = reference or found
            ratios = {f"{of}_ratio": found[of] / reference[of] for of in ("alone_s", "cpu_s", "peak_mb", "eight_s")}
            rows.append({"picture": name, "format": kind, **found, **ratios})
            say(
                f"{name:8} {kind:14} {found['file_mb']:5.1f} MB  alone {found['alone_s']:6.2f} s "
                f"({ratios['alone_s_ratio']:.1f}x) cpu {found['cpu_s']:5.2f} s ({ratios['cpu_s_ratio']:.1f}x) "
                f"{found['peak_mb']:5.0f} MB ({ratios['peak_mb_ratio']:.1f}x)   "
                f"eight {found['eight_s']:6.2f} s {found['eight_peak_mb']:5.0f} MB   "
                f"small {found['small_alone_s']:.2f} -> {found['small_beside_s']:.2f} s, "
                f"behind {found['small_behind']:.1f}"
            )
    return rows


def cost(rounds: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """Return what the pool adds to normal photos; this process steps back as the server's threads do."""
    os.nice(5)
    files = {
        "portrait, JPEG 512x600": photos.grace_hopper(),
        "portrait, PNG 512x512": photos.astronaut(),
        "JPEG 1280x960": photos.large(1280, 960),
        "JPEG 4000x3000": photos.large(4000, 3000),
        "JPEG 4000x3000 and a crop": photos.large(4000, 3000),
    }
    pool, rows = DecodePool(1, 60.0), []
    there = partial(pool.decode, "bench")
    try:
        for name, data in files.items():

            def once(*decode: Callable[..., object], data: bytes = data, crop: bool = "crop" in name) -> float:
                start = time.perf_counter()
                photo = Photo(data, "photo", 6000, 1280, *decode)
                if crop:
                    photo.part(300, 300, 700, 700)
                photo.reduced.pixels.sum()  # as a network would, it looks at all of them
                photo.close()
                return time.perf_counter() - start

            once(there)
            pairs = [(once(), once(there)) for _ in range(rounds)]
            by_place = list(zip(*pairs, strict=True))
            here_ms, there_ms = (1000 * statistics.median(times) for times in by_place)
            least_here, least_there = (1000 * min(times) for times in by_place)
            added = 1000 * statistics.median(b - a for a, b in pairs)
            rows.append({"photo": name, "here_ms": here_ms, "pool_ms": there_ms, "added_ms": added,
                         "least_here_ms": least_here, "least_pool_ms": least_there})  # fmt: skip
            say(
                f"{name:26} here {least_here:6.1f} ms, median {here_ms:6.1f}  pool {least_there:6.1f} ms, "
                f"median {there_ms:6.1f}  added {added:5.2f} ms"
            )
    finally:
        pool.close()
    return rows


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="6 megapixels, three formats, few rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    kinds = ["JPEG", "PNG", "WebP lossy"] + ([] if chosen.quick else ["WebP lossless", "HEIC"])
    say = (lambda _: None) if chosen.json else partial(print, flush=True)
    rounds = 1 if chosen.quick else chosen.rounds
    figures = {
        "formats": formats(kinds, 6 if chosen.quick else chosen.megapixels, rounds, say),
        "pool": cost(10 if chosen.quick else 60, say),
    }
    if chosen.json:
        print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
