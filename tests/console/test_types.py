"""The modules of the console against the types of the OpenAPI document, by TypeScript's checker."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from facenapi.console.files import FOLDER
from facenapi.handlers.openapi import document
from facenapi.urls import API
from tests.console.browser import ROOT, TOOLS

pytestmark = pytest.mark.slow


def tool(name: str):
    """Return a program of the tools; where there is Node, its absence is a failure."""
    found = TOOLS / "node_modules" / ".bin" / name
    if not found.exists():
        if shutil.which("npm"):
            pytest.fail(f"{name} is not installed: run scripts/test, which fetches it", pytrace=False)
        pytest.skip("there is no npm")
    return found


@pytest.fixture(scope="module")
def types(tmp_path_factory):
    """A folder with the types of the API."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "openapi.json").write_text(json.dumps(document("v1", tuple(API), 100)))
    made = [tool("openapi-typescript"), folder / "openapi.json", "-o", folder / "openapi.d.ts"]
    subprocess.run(made, check=True, capture_output=True)
    return folder


def checked(types, *sources) -> str:
    """Return what the checker says of sources."""
    settings = {
        "extends": str(ROOT / "tests" / "console" / "tools" / "tsconfig.json"),
        "compilerOptions": {"paths": {"openapi": [str(types / "openapi.d.ts")]}},
        "include": [str(source) for source in sources],
    }
    (types / "tsconfig.json").write_text(json.dumps(settings))
    done = subprocess.run([tool("tsc"), "-p", types], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_every_module_is_of_the_types_it_says(types):
    assert checked(types, FOLDER / "**" / "*.js") == ""


def test_the_checker_knows_the_api(types):
    wrong = types / "wrong.js"
    wrong.write_text(
        f'import {{ detect, face }} from "{FOLDER / "api.js"}";\n'
        f'import {{ t }} from "{FOLDER / "session.js"}";\n'
        'void face(1).then((found) => found.nobody);\nvoid detect({ name: "x" }, { gender: "f" });\n'
        't("no.such.text");\n'
    )
    said = checked(types, wrong)
    for part in ("'nobody' does not exist", "'string' is not assignable to type 'boolean", "no.such.text"):
        assert part in said
