"""Thousands of mutated requests against a live server.

Good requests of every kind are damaged: bytes of the body, headers, path and query, images, lengths; or they are
cut off in the middle. Bounds: no answer 5xx, the process lives, its memory grows by at most 10 % after the
first third, and no request that was answered 4xx changed what the database holds.

    python scripts/trial_fuzz.py [--requests=20000] [--seed=1] [--quick] [--json]

``--quick``: 1,000 requests. The server runs with a detector without networks: the trial is about all the rest.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.fake_server import FakeServer
from tests.support.live import form, report
from tests.support.server import BLUE, RED, picture

GROWTH_BOUND = 1.10
CHECK_EVERY = 100  # requests between two looks at the database
WORDS = [b"", b"\0", b"\xff", b"%00", b"%ff", b"\r\n", b"NaN", b"1e999", b"-1", b"[]", b"{}", b"null", b"\\ud800",
         b'"', b"[" * 2000, b"9" * 400, b"../", b"%2f", b"a" * 5000, b"default", b"&", b"=", b"1,2,3,4"]  # fmt: skip


def good_requests(face: int, gallery: str, camera: str) -> list[tuple[str, str, dict[str, str], bytes]]:
    """Return method, path, headers and body of requests that are right."""
    json_type = {"Content-Type": "application/json"}
    red, red_type = form({"photo": picture(RED), "meta": "x", "bbox": "[40, 10, 100, 70]", "galleries": gallery})
    two, two_type = form({"photo1": picture(RED), "photo2": picture(BLUE), "threshold": "low"})
    small, small_type = form({"photo": picture(BLUE), "n": 3, "threshold": 0.5, "mf_selector": "all"})
    grey, grey_type = form({"photo": picture(kind="JPEG")})
    return [
        ("POST", "/v1/detect", {"Content-Type": grey_type}, grey),
        ("POST", "/v1/detect?age=true&gender=1", {"Content-Type": red_type}, red),
        ("POST", "/v0/face/", {"Content-Type": red_type}, red),
        ("POST", "/v1/verify", {"Content-Type": two_type}, two),
        ("POST", "/v1/identify", {"Content-Type": small_type}, small),
        ("POST", f"/v1/faces/gallery/{gallery}/identify", {"Content-Type": small_type}, small),
        ("GET", f"/v1/faces/id/{face}", {}, b""),
        ("PUT", f"/v0/face/id/{face}", json_type, b'{"meta": "Sam", "galleries": {"add": ["g"]}, "person_id": ""}'),
        ("DELETE", f"/v0/face/id/{face + 1024}", {}, b""),
        ("GET", "/v1/faces?limit=10&max_id=4503599627370496", {}, b""),
        ("GET", f"/v1/faces/gallery/{gallery}/meta/Sam%20Berry/?limit=2&min_id=5", {}, b""),
        ("DELETE", "/v1/face/meta/nobody", {}, b""),
        ("GET", "/meta?limit=3", {}, b""),
        ("GET", "/v1/galleries/", {}, b""),
        ("POST", "/v1/galleries", json_type, b'{"name": "fuzz-1"}'),
        ("DELETE", "/v0/galleries/fuzz-1", {}, b""),
        ("GET", "/persons?limit=2&max_id=7", {}, b""),
        ("GET", "/v0/person/id/1", {}, b""),
        ("GET", "/person/history/id/1", json_type, b'{"cam_ids": [1, 25], "start": "2016-06-13T11:00:00.000000"}'),
        ("POST", "/v0/history/search", json_type, b'{"limit": 2, "friend": true, "end": "2016", "cam_ids": ["a"]}'),
        ("POST", "/v1/history/search", {"Content-Type": "application/x-www-form-urlencoded"},
         b"limit=2&cam_ids[]=a&cam_ids[]=b&person_id=1"),
        ("POST", "/camera", json_type, b'{"meta": "door", "rot": [64, 48, 0, 0], "roi": [9, 9, 9, 9], "enabled": 1}'),
        ("PUT", f"/v1/camera/{camera}", json_type, b'{"roi": "1,2,3,4", "url": "rtsp://10.0.0.1/"}'),
        ("GET", "/v1/camera?detector=x", {}, b""),
        ("GET", "/docs/v1/openapi.json", {}, b""),
        ("GET", "/health", {}, b""),
    ]  # fmt: skip


class Fuzzer:
    """Damages requests, sends them, and looks at what happened."""

    def __init__(self, server: FakeServer, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.port = int(server.url.rsplit(":", 1)[1])
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []
        server.call("POST", "/v1/galleries/g")
        _, added = server.call(
            "POST", "/v1/face", *form({"photo": picture(RED), "meta": "Sam Berry", "cam_id": "a" * 32})
        )
        _, camera = server.call("POST", "/v1/camera", b'{"meta": "door"}')
        self.good = good_requests(added["results"][0]["id"], "g", camera["id"])

    def damaged(self, data: bytes) -> bytes:
        """Return bytes with a few of them changed, removed, doubled or put in from the list of bad words."""
        out = bytearray(data)
        for _ in range(self.random.choice((1, 1, 1, 2, 5, 20))):
            place = self.random.randrange(len(out) + 1)
            length = self.random.choice((1, 1, 2, 8, 64))
            what = self.random.randrange(4)
            if what == 0:
                out[place : place + length] = self.random.randbytes(min(length, len(out) - place))
            elif what == 1:
                del out[place : place + length]
            elif what == 2:
                out[place:place] = out[place : place + length]
            else:
                out[place:place] = self.random.choice(WORDS)
        return bytes(out)

    def request(self) -> tuple[bytes, bool]:
        """Return a damaged request as it goes over the wire, and whether it is whole, so that an answer is due."""
        method, path, headers, body = self.random.choice(self.good)
        sent = {"Host": "localhost", "Authorization": f"Token {self.server.key}", "Connection": "close", **headers}
        target = path.encode()
        chosen = self.random.randrange(8)
        if chosen in (0, 1, 2) and body:
            body = self.damaged(body)
        elif chosen == 3:
            target = self.damaged(target)
        elif chosen == 4:
            name = self.random.choice(list(sent))
            sent[name] = self.damaged(sent[name].encode()).decode("latin-1")
        elif chosen == 5:
            method = self.random.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "X"])
        elif chosen == 6:
            body, sent["Content-Type"] = (
                self.damaged(body),
                self.random.choice(
                    [
                        "application/json",
                        "multipart/form-data; boundary=bOuNdArY",
                        "application/x-www-form-urlencoded",
                        "x/y",
                    ]
                ),
            )
        else:
            target += b"?" + self.random.choice(WORDS) + b"=" + self.random.choice(WORDS)
        excess = self.random.choice((0,) * 30 + (-1, 1, 10**6, 10**9))
        sent["Content-Length"] = str(len(body) + excess)
        head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in sent.items())
        whole = method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body
        fate = self.random.randrange(60)
        if fate == 0:
            return whole[: self.random.randrange(len(whole))], False
        return (self.damaged(whole), False) if fate < 4 else (whole, excess <= 0 and chosen not in (3, 4, 7))

    def send(self, data: bytes, whole: bool) -> int:
        """Send bytes; return the status, 0 if the server said nothing, as it may where it waits for more."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                connection.sendall(data)
                connection.settimeout(20 if whole else 0.1)
                answer = connection.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            return 0
        except TimeoutError:
            if whole:
                self.problems.append(f"no answer within 20 s to {data[:300]!r}")
            return 0
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") and answer[9:12].isdigit() else 0

    def contents(self) -> list[object]:
        """Return everything that the owner has."""
        paths = (
            "/v1/faces?limit=1000",
            "/v1/meta?limit=1000",
            "/v1/galleries",
            "/v1/persons?limit=1000",
            "/v1/camera",
        )
        return [self.server.call("GET", path) for path in paths]

    def run(self, count: int) -> list[float]:
        """Send ``count`` requests; return the memory of the server after each batch, in MB."""
        memory, batch, before = [], [], self.contents()
        for number in range(count):
            data, whole = self.request()
            status = self.send(data, whole)
            self.answers[f"{status // 100}xx" if status else "no answer"] += 1
            batch.append((status, data, whole))
            if status >= 500:
                self.problems.append(f"{status} for {data[:300]!r}")
            if (number + 1) % CHECK_EVERY == 0:
                after = self.contents()
                if after != before:
                    self._blame(batch)
                batch, before = [], after
                memory.append(self.server.memory_mb())
            if self.server.process.poll() is not None:
                self.problems.append(f"the server died of {data[:300]!r}")
                break
        return memory

    def _blame(self, batch: list[tuple[int, bytes, bool]]) -> None:
        """Something changed: send each refused request of the batch again, alone, and see whether it was that."""
        before = self.contents()
        for status, data, whole in batch:
            if 400 <= status < 500:
                refused = 400 <= self.send(data, whole) < 500
                after = self.contents()
                if refused and after != before:
                    self.problems.append(f"answered {status}, and changed the database: {data[:300]!r}")
                before = after


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="1,000 requests")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    count = 1000 if chosen.quick else chosen.requests
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, FakeServer(Path(folder), "--person_identify=True") as server:
        fuzzer = Fuzzer(server, chosen.seed)
        memory = fuzzer.run(count)
        log = server.log.read_text(errors="replace")
    unexpected = log.count("Traceback (most recent call last)")
    if unexpected:
        fuzzer.problems.append(
            f"{unexpected} tracebacks in the log, the first: {log[log.index('Traceback') :][:1500]}"
        )
    warm = memory[len(memory) // 3 :]
    growth = max(warm) / warm[0]
    if growth > GROWTH_BOUND:
        fuzzer.problems.append(f"memory grew by a factor of {growth:.3f} after warm-up")
    figures = {
        "requests": count,
        "seconds": round(time.monotonic() - start, 1),
        "answers": dict(sorted(fuzzer.answers.items())),
        "memory_growth": round(growth, 3),
        "problems": fuzzer.problems,
    }
    rows = [(name, str(value)) for name, value in figures.items() if name != "problems"]
    rows += [("PROBLEM", problem) for problem in fuzzer.problems[:10]]
    verdict = "all bounds kept" if not fuzzer.problems else f"{len(fuzzer.problems)} problems"
    report(
        rows,
        f"trial_fuzz: {count} requests, memory x{growth:.3f} (bound {GROWTH_BOUND}), {verdict}",
        figures,
        chosen.json,
    )
    return 1 if fuzzer.problems else 0


if __name__ == "__main__":
    sys.exit(main())
