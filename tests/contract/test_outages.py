"""What clients see while something behind the server is broken, and that it ends with the trouble."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.client import Api
from tests.contract.conftest import serving
from tests.support import ferret
from tests.support.fake_server import ForkedServer
from tests.support.fakes import FATAL
from tests.support.server import RED, picture
from tests.support.wire import Fault, WireDouble

COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate", "ping", "count")


def soon(condition) -> bool:
    """Whether a condition comes true within some tries."""
    return any(condition() or time.sleep(0.1) for _ in range(150))


def assert_unavailable(api: Api, requests) -> None:
    """Check that each of some requests at the same time is answered 503 and told when to come again."""
    with ThreadPoolExecutor(len(requests)) as pool:
        replies = list(pool.map(lambda sent: api(*sent[:2], **sent[2]), requests))
    for (method, path, _), reply in zip(requests, replies, strict=True):
        assert (reply.status, reply.json["code"]) == (503, "SERVICE_UNAVAILABLE"), (method, path, reply)
        assert int(reply.headers["Retry-After"]) > 0


def test_a_token_above_its_rate_is_429_and_no_other_suffers(tmp_path):
    with serving("sqlite", tmp_path, "--rate_limit=2") as server:
        greedy, other = Api(server), Api(server)
        statuses = [greedy("GET", "/v1/galleries").status for _ in range(12)]
        assert statuses[:4] == [200] * 4
        assert 429 in statuses
        reply = greedy("POST", "/v1/galleries/never", body=b"x" * 1000)
        while reply.status != 429:  # a slow machine lets the bucket fill meanwhile
            reply = greedy("POST", "/v1/galleries/never", body=b"x" * 1000)
        assert reply.json["code"] == "OVERLOADED"
        assert int(reply.headers["Retry-After"]) >= 1
        assert other("GET", "/v1/galleries").status == 200
        assert soon(lambda: greedy("GET", "/v1/galleries").status == 200)


@pytest.mark.slow
def test_a_dead_mongodb_is_503_until_it_comes_back(tmp_path):
    with WireDouble() as double:
        options = ("--mongo_host=127.0.0.1", f"--mongo_port={double.port}", "--mongo_timeout=0.5")
        with ForkedServer(tmp_path, *options) as server:
            api = Api(server)
            face = api.face()
            double.faults = [Fault(command, "drop before", times=10**6) for command in COMMANDS]
            assert_unavailable(
                api,
                [
                    ("GET", "/v1/faces", {}),
                    ("GET", f"/v1/faces/id/{face['id']}", {}),
                    ("PUT", f"/v1/faces/id/{face['id']}", {"json_body": {"meta": "x"}}),
                    ("POST", "/v1/face", {"parts": {"photo": picture(RED)}}),
                    ("POST", "/v1/identify", {"parts": {"photo": picture(RED)}}),
                    ("POST", "/v1/galleries/g", {}),
                ],
            )
            assert Api(server, "unknown")("GET", "/v1/faces").status == 503  # nobody can tell whether it is a token
            assert api("GET", "/health/live").status == 200
            assert api("GET", "/health/ready").status == 503
            double.faults = []
            assert soon(lambda: api("GET", "/health/ready").status == 200)
            assert api.good("GET", "/v1/faces")["results"] == [face]
            assert api.good("GET", "/v1/galleries")["results"] == ["default"]


OUTAGES = {
    "stopped": (lambda database: database.stop(), lambda database: database.start()),
    "killed": (lambda database: database.kill(), lambda database: database.start()),
    "cut off": (lambda database: database.gate.cut(), lambda database: database.gate.mend()),
}


@pytest.mark.slow
@pytest.mark.skipif(ferret.program() is None, reason="FerretDB is not built")
@pytest.mark.parametrize("driver", ["pymongo", "motor"])
def test_ferretdb_goes_and_comes_back(tmp_path, driver):
    """The whole way over a server of somebody else's: faces are kept, found and deleted, whatever befalls it."""
    with ferret.Ferret(tmp_path) as database:
        options = ("--mongo_host=127.0.0.1", f"--mongo_port={database.port}", "--mongo_timeout=1")
        with ForkedServer(tmp_path / "server", f"--mongo_driver={driver}", *options) as server:
            api = Api(server)
            faces = [api.face(meta="before")]
            for name in OUTAGES if driver == "pymongo" else ["killed"]:
                go, come = OUTAGES[name]
                go(database)
                assert_unavailable(
                    api,
                    [
                        ("GET", "/v1/faces", {}),
                        ("DELETE", f"/v1/face/id/{faces[0]['id']}", {}),
                        ("POST", "/v1/face", {"parts": {"photo": picture(RED)}}),
                        ("POST", "/v1/identify", {"parts": {"photo": picture(RED)}}),
                    ],
                )
                assert api("GET", "/health/ready").status == 503
                come(database)
                assert soon(lambda: api("GET", "/health/ready").status == 200), name
                faces.insert(0, api.face(meta=name))
                assert api.good("GET", "/v1/faces")["results"] == faces
                [matches] = api.good("POST", "/v1/identify", parts={"photo": picture(RED)})["results"].values()
                assert matches
            api.good("DELETE", f"/v1/face/id/{faces[0]['id']}")
            found = api.good("POST", "/v1/identify", parts={"photo": picture(RED), "n": 10})["results"]
            assert {match["face"]["id"] for matches in found.values() for match in matches} == {
                face["id"] for face in faces[1:]
            }
            assert "does without" in server.log.read_text()
            assert "standalone" in server.log.read_text()


@pytest.mark.slow
def test_a_locked_database_file_is_503_for_writes_and_readable(tmp_path):
    with serving("sqlite", tmp_path) as server:
        api = Api(server)
        face = api.face()
        [file] = tmp_path.rglob("*.sqlite")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert_unavailable(api, [("POST", "/v1/face", {"parts": {"photo": picture(RED)}})])
        assert api.good("GET", "/v1/faces")["results"] == [face]
        other.execute("ROLLBACK")
        other.close()
        assert soon(lambda: api("POST", "/v1/galleries/g").status == 201)
        assert api.good("GET", "/v1/faces")["results"] == [face]


def test_a_dead_search_shard_is_503_or_a_partial_answer(tmp_path):
    table = tmp_path / "tntapi.json"
    table.write_text(json.dumps([["127.0.0.1:1"] * 1024]))
    with serving("sqlite", tmp_path / "data", f"--tntapi_servers_file={table}") as server:
        api = Api(server)
        parts = {"photo": picture(RED)}
        assert_unavailable(api, [("POST", "/v1/identify", {"parts": parts}), ("POST", "/v1/face", {"parts": parts})])
        for fields in (parts, {**parts, "strict": "no"}, {**parts, "n": "x"}):
            assert api("POST", "/v0/identify", parts=fields).headers["X-Live-Servers"] == "0/1"
        assert api.good("GET", "/v1/faces")["results"] == []


def test_a_mistake_of_ours_is_500_and_tells_nothing(tmp_path):
    with serving("sqlite", tmp_path) as server:
        api = Api(server)
        reply = api("POST", "/v1/detect", parts={"photo": picture(FATAL)}, headers={"X-Request-Id": "the-one"})
        assert (reply.status, sorted(reply.json), reply.json["code"]) == (500, ["code", "reason"], "INTERNAL_ERROR")
        assert b"secret" not in reply.body
        assert server.wait_for_log("RuntimeError: a secret of the detector")
        assert "id=the-one unexpected error" in server.log.read_text()
        assert api.key not in server.log.read_text()
        assert len(api.good("POST", "/v1/detect", parts={"photo": picture(RED)})["faces"]) == 1
