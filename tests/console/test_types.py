"""The modules of the console against the types of the OpenAPI document, by TypeScript's checker."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from facenapi.console.files import FOLDER
from facenapi.handlers.openapi import Offered, document
from facenapi.urls import API
from tests.console.browser import ROOT, TOOLS

pytestmark = pytest.mark.slow


def tool(name: str):
    """Return a program of the tools; where there is Node, its absence is a failure."""
    found = TOOLS / "node_modules" / ".bin" / name
    if not found.exists():
        if shutil.which("node") or shutil.which("npm"):
            pytest.fail(f"{name} is not installed: run scripts/test, which fetches it with npm", pytrace=False)
        pytest.skip("there is no Node")
    return found


@pytest.fixture(scope="module")
def types(tmp_path_factory):
    """A folder with the types of the API."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "openapi.json").write_text(json.dumps(document("v1", tuple(API), Offered())))
    made = [tool("openapi-typescript"), folder / "openapi.json", "-o", folder / "openapi.d.ts"]
    subprocess.run(made, check=True, capture_output=True)
    return folder


WRONG = f"""
import {{ detect, face }} from "{FOLDER / "api.js"}";
import {{ t }} from "{FOLDER / "session.js"}";
void face(1).then((found) => found.nobody);
void detect({{ name: "x" }}, {{ gender: "f" }});
t("no.such.text");
"""


def test_every_module_is_of_the_types_it_says(types):
    """And the checker knows the API: of a module with three mistakes it names each, of ours none."""
    wrong = types / "wrong.js"
    wrong.write_text(WRONG)
    settings = {
        "extends": str(ROOT / "tests" / "console" / "tools" / "tsconfig.json"),
        "compilerOptions": {"paths": {"openapi": [str(types / "openapi.d.ts")]}},
        "include": [str(FOLDER / "**" / "*.js"), str(wrong)],
    }
    (types / "tsconfig.json").write_text(json.dumps(settings))
    done = subprocess.run([tool("tsc"), "-p", types], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(" ")]
    assert [line for line in said if "wrong.js(" not in line] == []
    expected = ("'nobody' does not exist", "'string' is not assignable to type 'boolean", "no.such.text")
    assert len(said) == len(expected)
    for part, line in zip(expected, said, strict=True):
        assert part in line
