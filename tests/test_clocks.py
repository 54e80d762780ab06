"""Clocks that are wrong, jump or differ: every id that a real server has given out is found, listed and deletable."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest

from facenapi.storage.ids import MAX_ID
from tests.contract.client import Api, ids
from tests.support import ferret
from tests.support.clock import ServerWithClock, library
from tests.support.server import RED, picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(library() is None, reason="libfaketime is not here")]

NEVER = ("2082-01-01 00:00:00", "1970-01-01 00:10:00")


@contextmanager
def one_server(folder):
    """The embedded store."""
    with ServerWithClock(folder) as server:
        yield [(server, Api(server))]


@contextmanager
def two_servers(folder):
    """MongoDB, of which FerretDB plays the part; its own clock is right."""
    with ExitStack() as stack:
        database = stack.enter_context(ferret.Ferret(folder))
        options = ("--mongo_host=127.0.0.1", f"--mongo_port={database.port}")
        servers = [stack.enter_context(ServerWithClock(folder / name, *options)) for name in "ab"]
        first = Api(servers[0])
        yield [(servers[0], first), (servers[1], Api(servers[1], first.key))]


def assert_whole(apis, given):
    """Every server finds and lists each face, and nothing else."""
    assert len(set(given)) == len(given)
    assert all(0 < face_id <= MAX_ID for face_id in given)
    for api in apis:
        assert ids(api.good("GET", "/v1/faces", query={"limit": 1000})) == sorted(given, reverse=True)
        found = api.good("POST", "/v1/identify", parts={"photo": picture(RED), "n": 1000})["results"]
        assert {match["face"]["id"] for matches in found.values() for match in matches} == set(given)


@pytest.mark.parametrize(
    ("serve", "moments"),
    [
        (one_server, ["+600", "-600", "2049-01-01 00:00:00", "+0"]),
        pytest.param(
            two_servers,
            [("+600", "-600"), ("-3000", "+900")],
            marks=pytest.mark.skipif(ferret.program() is None, reason="FerretDB is not built"),
        ),
    ],
)
def test_every_id_that_was_given_is_found_and_deletable_whatever_the_clock_did(tmp_path, serve, moments):
    with serve(tmp_path) as servers:
        apis = [api for _, api in servers]
        given = []
        for moment in moments:
            for (server, api), told in zip(servers, [moment] if isinstance(moment, str) else moment, strict=True):
                server.set_clock(told)
                given += [api.face()["id"] for _ in range(2)]
            assert_whole(apis, given)
        for moment in NEVER:
            server, api = servers[0]
            server.set_clock(moment)
            reply = api("POST", "/v1/face", parts={"photo": picture(RED)})
            assert (reply.status, reply.json["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert "clock" in reply.json["reason"]
            assert_whole(apis, given)
        server.set_clock("+0")
        given.append(api.face()["id"])
        server.stop()
        server.set_clock("-600")
        server.start()
        apis[0] = api = Api(server, api.key)
        given.append(api.face()["id"])
        assert_whole(apis, given)
        for number, face_id in enumerate(given):
            assert all(api.good("GET", f"/v1/face/id/{face_id}")["id"] == face_id for api in apis)
            apis[number % len(apis)].good("DELETE", f"/v1/face/id/{face_id}")
            assert all(api("GET", f"/v1/face/id/{face_id}").status == 404 for api in apis)
        assert_whole(apis, [])
