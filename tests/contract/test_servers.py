"""Two real servers on one database: tokens that come and go are known to both at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from facenapi.services.auth import hash_key
from tests.contract.client import Api
from tests.support import ferret
from tests.support.fake_server import FakeServer
from tests.support.live import ROOT


@pytest.mark.slow
@pytest.mark.skipif(ferret.program() is None, reason="FerretDB is not built")
@pytest.mark.parametrize("driver", ["pymongo", "motor"])
def test_a_token_is_good_or_not_at_the_very_next_request_to_any_server(tmp_path, driver):
    with ferret.Ferret(tmp_path) as database:
        options = (f"--mongo_driver={driver}", "--mongo_host=127.0.0.1", f"--mongo_port={database.port}")

        def token(*words: str) -> str:
            command = [sys.executable, "-m", "facenapi", "token", *words, *options]
            return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()

        with FakeServer(tmp_path / "a", *options) as one, FakeServer(tmp_path / "b", *options) as other:
            for here, there in ((one, other), (other, one)):
                key = here.new_key()  # which this server makes itself
                assert Api(there, key)("GET", "/v1/faces").status == 200
                token("revoke", key)
                assert [Api(server, key)("GET", "/v1/faces").status for server in (there, here)] == [401, 401]
            key = token("create")
            assert [Api(server, key)("GET", "/v1/faces").status for server in (one, other)] == [200, 200]
            again = token("create", f"--owner={_owner(token, key)}")
            face = Api(one, again).face()
            assert Api(other, key).good("GET", f"/v1/face/id/{face['id']}") == face
            token("revoke", again)
            assert [Api(server, again)("GET", "/v1/faces").status for server in (other, one)] == [401, 401]
            assert [Api(server, key)("GET", "/v1/faces").status for server in (one, other)] == [200, 200]


def _owner(token, key: str) -> str:
    """Return whose a key is, as the list of tokens says."""
    [line] = [line for line in token("list").splitlines() if line.startswith(hash_key(key)[:12])]
    return line.split()[1]
