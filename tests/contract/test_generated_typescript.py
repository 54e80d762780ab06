"""A TypeScript client that a generator makes of the strict document, type-checked and run against a live server."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from tests.console.browser import TOOLS
from tests.console.test_types import tool
from tests.support.fake_server import ForkedServer
from tests.support.pictures_server import serve_pictures
from tests.support.server import RED, picture

pytestmark = pytest.mark.slow

PROGRAM = """
import createClient from "openapi-fetch";
import type { components, paths } from "./facenapi.js";

const [url, key, photoUrl, file] = process.argv.slice(2) as [string, string, string, string];
const api = createClient<paths>({ baseUrl: `${url}/v1`, headers: { Authorization: `Token ${key}` } });

function good<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

const found = good(await api.POST("/detect", { body: { photo: photoUrl } }));
const form = new FormData();
form.set("photo", new Blob([Buffer.from(file, "base64")], { type: "image/png" }), "a.png");
form.set("meta", "Sam");
const enrolled = good(await api.POST("/faces", { body: form as never }));
const identified = good(await api.POST("/identify", { body: { photo: photoUrl, n: 3, threshold: 0.9 } }));
const matches: components["schemas"]["Match"][] = Object.values(identified.results).flat();
const refused = await api.POST("/detect", { body: { photo: "x" } });
console.log(JSON.stringify({
  x1: found.faces[0]?.x1, id: enrolled.results[0]?.id, meta: enrolled.results[0]?.meta,
  matched: matches.map((match) => [match.face.id, match.confidence]), refused: refused.error?.code,
}));
"""
WRONG = """
import createClient from "openapi-fetch";
import type { paths } from "./facenapi.js";
const api = createClient<paths>();
void api.POST("/detect", { body: { photo: "http://h/a.jpg", age: "yes" } });
void api.GET("/nowhere");
"""
SETTINGS = {
    "compilerOptions": {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "lib": ["es2022", "dom"],
        "module": "es2022",
        "moduleResolution": "bundler",
        "types": [],
        "skipLibCheck": True,
    }
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ForkedServer(tmp_path_factory.mktemp("server"), "--fetch_allow_private=True") as server:
        yield server


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory):
    """A folder with the types of the API and what a program in it needs."""
    folder = tmp_path_factory.mktemp("typescript")
    generator = tool("openapi-typescript")
    status, document = server.call("GET", "/docs/v1/openapi.json?strict=1")
    assert status == 200
    (folder / "openapi.json").write_text(json.dumps(document))
    subprocess.run(
        [generator, folder / "openapi.json", "-o", folder / "facenapi.d.ts"], check=True, capture_output=True
    )
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node.d.ts").write_text(
        "declare const process: { argv: string[] };\n"
        "declare const Buffer: { from(text: string, encoding: string): Uint8Array<ArrayBuffer> };\n"
    )
    return folder


def compiled(folder, name, program) -> str:
    """Return what the compiler says."""
    (folder / f"{name}.ts").write_text(program)
    (folder / "tsconfig.json").write_text(json.dumps(SETTINGS | {"files": [f"{name}.ts", "node.d.ts"]}))
    return subprocess.run([tool("tsc"), "-p", folder], capture_output=True, text=True, check=False).stdout


def test_it_detects_enrols_and_identifies(folder, server):
    assert compiled(folder, "program", PROGRAM) == ""
    words = [server.url, server.key, serve_pictures([picture(RED)])[0], base64.b64encode(picture(RED))]
    done = subprocess.run(["node", folder / "program.js", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["id"] > 0
    assert said == {"x1": 50, "id": said["id"], "meta": "Sam", "matched": [[said["id"], 1]], "refused": "BAD_IMAGE"}


def test_its_types_know_the_api(folder):
    said = compiled(folder, "wrong", WRONG)
    for part in ("(5,61): error TS2322: Type 'string' is not assignable to", "wrong.ts(6,10): error"):
        assert part in said
