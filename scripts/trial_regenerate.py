"""Faces move from the model pack that was the default before to today's, and regenerate is killed on the way.

A server with dlib's pack stores faces with kept photos. Then, while it serves: ``facenapi regenerate`` with the new
pack is killed with SIGKILL in the middle and started again. Counted: faces that the old server does not find
before, during and after; that the new one, started at the end, does not find with the new vectors; faces lost or
stored twice. Each must be 0. A new server before the move must say how many it does not find.

    python scripts/trial_regenerate.py [--faces=1000] [--old=DIR] [--quick] [--json]

``--old`` is made by ``facenapi models build --embedder=dlib --detector=mtcnn --model_pack=DIR``.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image, ImageEnhance

from tests.support import photos
from tests.support.live import PACK, ROOT, Server, form, jpeg, report

CROPS = {"astronaut": (130, 20, 320, 230), "grace_hopper": (110, 40, 420, 400)}


def pictures(count: int) -> list[bytes]:
    """Return small portraits of two persons, each a little other than all before."""
    found = []
    for number in range(count):
        name = list(CROPS)[number % 2]
        image = Image.open(io.BytesIO(getattr(photos, name)())).convert("RGB")
        x1, y1, x2, y2 = CROPS[name]
        step, shade = number // 2 % 25, number // 50
        part = image.crop((x1 + step, y1 + step // 2, x2 + step, y2 + step // 2)).resize((190, 210))
        found.append(jpeg(ImageEnhance.Brightness(part).enhance(0.7 + 0.03 * shade)))
    return found


def missing(server: Server, faces: list[tuple[int, bytes]]) -> int:
    """Count the numbered photos whose own face is not what the server finds for them first, with confidence 1."""

    def lacks(numbered: tuple[int, bytes]) -> bool:
        status, answer = server.call("POST", "/v1/identify", *form({"photo": numbered[1], "n": 1}))
        matches = [match for found in answer["results"].values() for match in found] if status == 200 else []
        return [(match["face"]["meta"], match["confidence"]) for match in matches] != [(str(numbered[0]), 1)]

    with ThreadPoolExecutor(4) as threads:
        return sum(threads.map(lacks, faces))


def metas(server: Server) -> list[str]:
    """Return the metas of all stored faces."""
    found: list[str] = []
    page = "/v1/faces?limit=1000"
    while page:
        answer = server.call("GET", page)[1]
        found += [face["meta"] for face in answer["results"]]
        page = answer["next_page"]
    return found


def regenerate(folder: Path, kill_after_s: float | None = None) -> str:
    """Run the command; with a time, kill it then. Return what it said."""
    command = [sys.executable, "-m", "facenapi", "regenerate", f"--data_dir={folder}", f"--model_pack={PACK}",
               "--photo_storage=files"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    try:
        return process.communicate(timeout=kill_after_s)[0].strip()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "killed"


def trial(folder: Path, old: Path, count: int) -> dict[str, object]:
    """Return what was counted."""
    faces, results = list(enumerate(pictures(count))), {}
    with Server(folder, f"--model_pack={old}", "--photo_storage=files") as server:
        for number, photo in faces:
            status, answer = server.call("POST", "/v1/face", *form({"photo": photo, "meta": number}))
            assert (status, len(answer["results"])) == (200, 1), answer
        results["old server, before: not found"] = missing(server, faces)
        begin = time.monotonic()
        results["regenerate"] = regenerate(folder, 6 + count / 80)
        results["old server, after the kill: not found"] = missing(server, faces[:: max(1, count // 50)])
        server.stop()
        server.options.append(f"--model_pack={PACK}")
        server.start()
        time.sleep(3)
        _, state = server.call("GET", "/health/ready")
        results["new server, too early, says"] = str(state.get("not_found", state))
        server.stop()
        server.options.append(f"--model_pack={old}")
        server.start()
        results["regenerate again"] = regenerate(folder)
        results["seconds of both, with the pauses"] = round(time.monotonic() - begin)
        results["old server, after: not found"] = missing(server, faces[:: max(1, count // 50)])
        server.stop()
        server.options.append(f"--model_pack={PACK}")
        server.start()
        time.sleep(3)
        results["new server: not found"] = missing(server, faces)
        stored = metas(server)
        results["lost"] = count - len(set(stored))
        results["twice"] = len(stored) - len(set(stored))
        results["new server says"] = str(server.call("GET", "/health/ready")[1].get("not_found", "nothing"))
    return results


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--old", type=Path, default=PACK.parent / "dlib", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="40 faces")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = trial(Path(folder), chosen.old, 40 if chosen.quick else chosen.faces)
    bad = [name for name, value in results.items() if isinstance(value, int) and value and "seconds" not in name]
    bad += [name for name in ("new server says",) if results[name] != "nothing"]
    report([(name, str(value)) for name, value in results.items()],
           f"regenerate: {'FAILED: ' + ', '.join(bad) if bad else 'nothing lost, nothing twice, all found'}",
           results, chosen.json)  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
