"""Hundreds of photos, a real server, kill -9 of the client and of the server: each is enrolled exactly once."""

import hashlib
import os
import random
import signal
import time
from collections import Counter

import pytest

from facenapi.mass_enroll.jobfile import journal_path, read_state
from tests.commands.conftest import launch
from tests.support.effort import LONG
from tests.support.fake_server import ForkedServer
from tests.support.server import picture

pytestmark = pytest.mark.slow

COUNT = 1200 if LONG else 600
KILLS = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of photos that all differ, and the hash of each name's."""
    folder, hashes = tmp_path_factory.mktemp("photos"), {}
    for number in range(COUNT):
        color = (250, number % 50, number // 50)
        data = picture((color, (20, 10, 60, 40)), size=(80, 50))
        (folder / f"person {number}.png").write_bytes(data)
        hashes[f"person {number}"] = hashlib.md5(data).hexdigest()
    assert len(set(hashes.values())) == COUNT
    return folder, hashes


def settled(job):
    state = read_state(job)
    return len(state.enrolled) + len(state.failed)


def faces_of(server):
    faces, path = [], "/v1/faces?limit=1000"
    while path:
        status, page = server.call("GET", path)
        assert status == 200, page
        faces += page["results"]
        path = page["next_page"]
    return faces


def test_each_photo_is_enrolled_exactly_once(tmp_path, photos):
    folder, hashes = photos
    job, dice = tmp_path / "people.job", random.Random(1)
    prepare = launch("mass-enroll", "prepare", "--job", job, "--meta-name", folder)
    assert prepare.communicate(timeout=60) == (f"{job}: {COUNT} photos\n", "")
    with ForkedServer(tmp_path / "server") as server:
        environment = os.environ | {"FACENAPI_TOKEN": server.key}

        def run():
            url = f"--url={server.url}"
            return launch("mass-enroll", "run", job, url, "--parallel=16", env=environment, start_new_session=True)

        killed = 0
        for number in range(KILLS):
            aim = settled(job) + dice.randrange(1, COUNT // (KILLS + 1))
            process = run()
            while settled(job) < aim and process.poll() is None:
                time.sleep(0.02)
            if number == KILLS // 2:
                server.kill()
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if number == KILLS // 2:
                server.start()
        assert killed == KILLS
        assert settled(job) < COUNT
        last = run()
        _, said = last.communicate(timeout=240)
        assert last.returncode == 0, said
        found = Counter((face["meta"], face["photo_hash"]) for face in faces_of(server))
    assert found == Counter(hashes.items())
    assert f"{COUNT} photos: {COUNT} enrolled with {COUNT} faces, 0 failed, 0 to do" in said
    assert b'"claim"' in journal_path(job).read_bytes()
