"""The OpenAPI documents are true: schemathesis, all phases and checks on, finds nothing against a live process.

In the gate one version of each document, with few examples: the versions differ in names only, which is a test, too.
``FACENAPI_TEST_OPENAPI=EXAMPLES[:SEED]`` runs all four of them, with that many examples for each operation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from facenapi.handlers.openapi import Offered, document
from facenapi.handlers.openapi_strict import strict_document
from facenapi.urls import API
from tests.support.fake_server import ForkedServer
from tests.support.live import ROOT, form
from tests.support.server import RED, picture

EXACT, STRICT = "openapi.json", "openapi.json?strict=1"
ASKED = os.environ.get("FACENAPI_TEST_OPENAPI", "")
EXAMPLES, _, SEED = (ASKED or "5").partition(":")
NO_COVERAGE = "--phases=examples,fuzzing,stateful"  # the last of them counts
DOCUMENTS = [f"{version}/{name}" for version in ("v0", "v1") for name in (EXACT, STRICT)]
# The strict document names the best form of everything, so other forms are taken although it does not. What covers
# each form one by one is for the document that has them all.
LEFT_OUT = {EXACT: (), STRICT: ("--exclude-checks=negative_data_rejection", *([] if ASKED else [NO_COVERAGE]))}
LEAST = {EXACT: 2500, STRICT: 2500 if ASKED else 250}  # requests


# The documents speak of the server's options, so one of them runs on a server with others.
OPTIONS = {EXACT: (), STRICT: ("--gae=False", "--max_boxes=7")}


@pytest.fixture
def server(tmp_path, path):
    """A live server with the gallery and the person that the hooks speak of."""
    from tests.support.schemathesis_hooks import GALLERY, PERSON  # noqa: PLC0415 - it loads schemathesis

    options = ("--fetch_allow_private=True", "--person_identify=True", *OPTIONS[path.partition("/")[2]])
    with ForkedServer(tmp_path / "server", *options) as server:
        assert server.call("POST", f"/v1/galleries/{GALLERY}")[0] == 201
        _, added = server.call("POST", "/v1/face", *form({"photo": picture(RED)}))
        assert added["results"][0]["person_id"] == PERSON
        yield server


def run_schemathesis(server, path: str, folder, *options: str) -> int:
    """Run it; return how many requests passed all checks. Fails with its report if one did not."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/docs/{path}"),
        *("--header", f"Authorization: Token {server.key}", "--checks=all", f"--seed={SEED or 1}", "--no-color"),
        *("--phases=examples,coverage,fuzzing,stateful", f"--max-examples={EXAMPLES}"),
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
@pytest.mark.timeout(3600 if ASKED else 900)
@pytest.mark.parametrize("path", DOCUMENTS if ASKED else [f"v1/{EXACT}", f"v0/{STRICT}"])
def test_thousands_of_requests(server, path, tmp_path):
    name = path.partition("/")[2]
    assert run_schemathesis(server, path, tmp_path, *LEFT_OUT[name]) >= LEAST[name]
    assert "Traceback" not in Path(server.log).read_text()


@pytest.mark.parametrize("make", [document, strict_document])
def test_the_versions_differ_in_names_only(make):
    old, new = (json.dumps(make(version, tuple(API), Offered())) for version in ("v0", "v1"))
    for ours, theirs in (
        ("faces", "face"),
        ("Faces", "Face"),
        ("/v1", "/v0"),
        ("i v1", "i v0"),
        ('"TOO_MANY_FACES"', "400"),
    ):
        old, new = old.replace(ours, theirs), new.replace(ours, theirs)
    assert old == new
