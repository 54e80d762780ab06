#!/usr/bin/env python3
"""Two API servers on one database: a face that one has enrolled is found by the very next request to the other.

    scripts/trial_servers.py [--rounds 1000] [--quick] [--json] [--search embedded|shards]

FerretDB (scripts/build_ferretdb makes it) keeps the faces; two ``facenapi serve`` processes with a detector that
takes colours for persons work on it, first with search in each of them, then with two ``facenapi shard`` processes.
A round: enrol at one server, identify at the other, delete at the other, identify at the first; the servers change
places each time. In every tenth round the second server is stopped (SIGSTOP) while the first enrols; with shards,
by turns it and each of them, and identify is asked while a shard stands still. The database is a new one every 100
rounds: FerretDB reads all of it for each query.

Bounds: no miss, nothing deleted is found, no server or shard that stood still answers wrongly (it may answer 503).
Exit status 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.contract.client import Api
from tests.support.fake_server import FakeServer
from tests.support.ferret import Ferret
from tests.support.live import ROOT, report
from tests.support.server import picture

OF_ONE_DATABASE = 100
PAUSE_EVERY = 10
SEARCHES = {"embedded": "search in each server", "shards": "two shards"}


@contextmanager
def stopped(pid: int):
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Shards:
    """Two shard processes and their table of cells."""

    def __init__(self, folder: Path, options: list[str], module: str = "facenapi") -> None:
        self.folder, self.module = folder, module
        self.places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        table = folder / "tntapi.json"
        table.write_text(json.dumps([[self.places[cell % 2] for cell in range(1024)]]))
        self.options = [f"--tntapi_servers_file={table}", "--tntapi_request_timeout=2"]
        self._own = [f"--data_dir={folder}", *self.options[:1], *options]
        self.processes = [self._process(place) for place in self.places]

    def start(self, at: int) -> None:
        """Start one again."""
        self.processes[at] = self._process(self.places[at])

    def _process(self, place: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", self.module, "shard", f"--shard_address={place}", *self._own]
        with (self.folder / "shards.log").open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            process.terminate()
        try:
            for process in self.processes:
                process.wait(30)
        finally:
            for process in self.processes:
                process.kill()


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Trial:
    """Two servers, maybe two shards, and what came of the rounds."""

    def __init__(self, stack: ExitStack, folder: Path, port: int, *, sharded: bool) -> None:
        options = ["--mongo_host=127.0.0.1", f"--mongo_port={port}", f"--mongo_db={folder.name}"]
        folder.mkdir()
        # Servers make the indexes, which shards wait for.
        first = stack.enter_context(FakeServer(folder / "first", *options)) if sharded else None
        if first is not None:
            first.stop()
        self.shards = Shards(folder, options) if sharded else None
        if self.shards is not None:
            stack.callback(self.shards.close)
            options += self.shards.options
        self.servers = [stack.enter_context(FakeServer(folder / name, *options)) for name in ("a", "b")]
        self.apis = [Api(self.servers[0])]
        self.apis.append(Api(self.servers[1], self.apis[0].key))
        for api in self.apis:
            self.wait_until_ready(api)
        self.counts: Counter[str] = Counter()
        self.identify_s: list[float] = []

    def wait_until_ready(self, api: Api) -> None:
        """Wait until a server and all its shards can be used."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            reply = api("POST", "/v1/identify", parts={"photo": picture((250, 0, 0))})
            if reply.status == 200:
                return
            time.sleep(0.1)
        raise RuntimeError(f"not ready: {reply}")

    def round(self, number: int) -> None:
        """Enrol here, identify there, delete there, identify here."""
        order = 1 if number % 2 else -1
        here, there = self.apis[::order]
        color = (255, number % 150, number // 150 % 150)
        if number % PAUSE_EVERY:
            face_id = self.enrol(here, color)
        elif self.shards is None or number // PAUSE_EVERY % 3 == 2:
            with stopped(self.servers[::order][1].process.pid):
                face_id = self.enrol(here, color)
            self.counts["paused"] += 1
        else:
            with stopped(self.shards.processes[number // PAUSE_EVERY % 3].pid):
                face_id = self.enrol(here, color, may_fail=True)
                self.look(there, color, face_id, may_fail=True)
            self.counts["paused"] += 1
            for api in self.apis:
                self.wait_until_ready(api)
        if face_id is None:
            return
        self.look(there, color, face_id)
        assert there("DELETE", f"/v1/face/id/{face_id}").status == 204
        self.look(here, color, face_id, gone=True)
        self.counts["rounds"] += 1

    def enrol(self, api: Api, color, *, may_fail: bool = False) -> int | None:
        """Add a face; return its id, None if that was refused."""
        reply = api("POST", "/v1/face", parts={"photo": picture(color)})
        if reply.status == 503 and may_fail:
            self.counts["refused"] += 1
            return None
        assert reply.status == 200, reply
        return int(reply.json["results"][0]["id"])

    def look(self, api: Api, color, face_id: int | None, *, gone: bool = False, may_fail: bool = False) -> None:
        """Identify, and count what is wrong."""
        began = time.perf_counter()
        reply = api("POST", "/v1/identify", parts={"photo": picture(color), "threshold": 0.999, "n": 10})
        self.identify_s.append(time.perf_counter() - began)
        if reply.status == 503:
            self.counts["refused" if may_fail else "unexpected 503"] += 1
            return
        assert reply.status == 200, reply
        found = {match["face"]["id"] for matches in reply.json["results"].values() for match in matches}
        if gone and face_id in found:
            self.counts["deleted and found"] += 1
        if not gone and face_id is not None and face_id not in found:
            self.counts["missed"] += 1


def run(folder: Path, rounds: int, *, sharded: bool) -> tuple[Counter[str], float]:
    """Run all rounds, on as many databases as needed; return the counts and the median time of an identify."""
    counts: Counter[str] = Counter()
    times: list[float] = []
    with Ferret(folder) as ferret:
        for start in range(0, rounds, OF_ONE_DATABASE):
            with ExitStack() as stack:
                trial = Trial(
                    stack, folder / f"{'shards' if sharded else 'embedded'}-{start}", ferret.port, sharded=sharded
                )
                for number in range(start + 1, min(rounds, start + OF_ONE_DATABASE) + 1):
                    trial.round(number)
            counts += trial.counts
            times += trial.identify_s
            print(f"{'shards' if sharded else 'embedded'}: {dict(counts)}", file=sys.stderr)
    return counts, statistics.median(times)


def main() -> int:
    """Run; return 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="20 rounds")
    parser.add_argument("--search", choices=SEARCHES, help="only this of the two")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds = 20 if chosen.quick else chosen.rounds
    rows, figures, wrong = [], {}, 0
    for kind in [chosen.search] if chosen.search else SEARCHES:
        name, sharded = SEARCHES[kind], kind == "shards"
        with tempfile.TemporaryDirectory() as folder:
            counts, median_s = run(Path(folder), rounds, sharded=sharded)
        bad = {kind: counts[kind] for kind in ("missed", "deleted and found", "unexpected 503")}
        wrong += sum(bad.values())
        figures[name] = {**counts, **bad, "identify_s": median_s}
        rows.append(
            (
                name,
                f"{counts['rounds']} rounds ({counts['paused']} with one standing still, {counts['refused']} refused "
                f"then): {', '.join(f'{count} {kind}' for kind, count in bad.items())}; "
                f"identify {median_s * 1000:.0f} ms",
            )
        )
    report(rows, f"trial_servers: {'BOUND MISSED' if wrong else 'held'}", figures, chosen.json)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
