"""What README and guide tell people to type, typed against a real server; what is not typed is listed, with why."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.docs.blocks import ROOT, block, blocks_of, commands, every_block
from tests.support import photos
from tests.support.live import PACK, Server, form, jpeg
from tests.support.pictures_server import serve_pictures

pytestmark = pytest.mark.slow

# By text, how a block begins. ``block`` finds each of them for the tests below.
RUN = {
    "README.rst": ["T=", "from facenapi_client", ".venv/bin/facenapi token", ".venv/bin/facenapi check"],
    "client/README.rst": ["from facenapi_client"],
    "docs/howto/backup.rst": ["facenapi backup", "facenapi export"],
    "docs/howto/enrol.rst": ["facenapi mass-enroll", "findface-mass-enroll"],
    "docs/howto/install.rst": ["facenapi check"],
    "docs/howto/networks.rst": ["facenapi models build"],
    "docs/howto/tokens.rst": ["facenapi token"],
    "docs/tutorial.rst": ["T=", "curl", '{"faces"', "from facenapi.client"],
}
NOT_RUN = {
    ("README.rst", "git clone"): "downloads; scripts/test sets up in the same way",
    ("README.rst", "scripts/test"): "runs this test",
    ("CONTRIBUTING.rst", "scripts/test"): "runs this test",
    ("CONTRIBUTING.rst", ".venv/bin/python -m pytest"): "runs this test",
    ("NOTICE.rst", ".venv/bin/python scripts/notices"): "of a whole installation; tests/conf runs it",
    ("docs/explanation/architecture.rst", "HTTP client"): "a drawing",
    ("docs/explanation/networks.rst", "facenapi models build"): "downloads; the tests' packs were built by it",
    ("docs/explanation/search.rst", "FACENAPI_TEST_MILVUS_URI"): "needs a Milvus server",
    ("docs/howto/install.rst", "scripts/install"): "needs root and systemd; tests/conf runs it below a folder",
    ("docs/howto/proxy.rst", "install -d"): "needs root and the user of an installation",
    ("docs/howto/shards.rst", "systemctl"): "needs systemd; tests/conf/test_units.py reads the unit",
    ("docs/tutorial.rst", "scripts/serve"): "downloads; scripts/test sets up in the same way",
}
# In place of the programs that an installation has.
PROGRAMS = f"""
facenapi() {{ "{sys.executable}" -W error -m facenapi "$@"; }}
findface-mass-enroll() {{ facenapi mass-enroll "$@"; }}
systemctl() {{ echo "$@"; }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_pack):
    with Server(tmp_path_factory.mktemp("server"), "--fetch_allow_private=True") as running:
        yield running


@pytest.fixture
def folder(server, tmp_path):
    """A folder with the photos that the examples name, and a curl that takes a refusal for a failure."""
    server.key = server.new_key()
    sam, visitor = (
        Image.open(io.BytesIO(data)).convert("RGB") for data in (photos.astronaut(), photos.grace_hopper())
    )
    for name, image in {
        "sam": sam, "sam2": ImageOps.mirror(sam), "unknown": ImageOps.mirror(sam), "visitor": visitor,
    }.items():  # fmt: skip
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    (tmp_path / ".curlrc").write_text("fail-with-body\nshow-error\n")
    return tmp_path


def placed(code: str, server: Server, **more: str) -> str:
    """Return code with the server's address, a key of it and more in the places of those that are shown."""
    for shown, real in {"http://127.0.0.1:8000": server.url, "KEY": server.key, "…": server.key, **more}.items():
        code = code.replace(shown, real)
    return code


def run(folder: Path, code: str, *interpreter: str, **variables: object) -> str:
    """Run code in a folder with variables; what it fails with is why the test does."""
    done = subprocess.run(
        interpreter, input=code, capture_output=True, text=True, check=False, cwd=folder,
        env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
             "HOME": str(folder), **{name: str(value) for name, value in variables.items()}},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shell(folder: Path, lines: list[str], server: Server, **more: str) -> str:
    """Run lines with bash, where ``facenapi`` is the program and what the server serves is its installation."""
    code = placed("\n".join(lines), server, **more)
    here = {"FACENAPI_DATA_DIR": server.folder, "FACENAPI_MODEL_PACK": PACK} | {
        name: value for name, value in more.items() if name.startswith("FACENAPI_")
    }
    return run(folder, PROGRAMS + code, "bash", "-euo", "pipefail", **here)


def test_every_block_is_run_or_says_why_it_is_not():
    named = [(text, begin) for text, begins in RUN.items() for begin in begins] + list(NOT_RUN)
    for one in every_block():
        assert sum(one.text == text and one.begin.startswith(begin) for text, begin in named) == 1, one
    for text, begin in named:
        assert any(one.begin.startswith(begin) for one in blocks_of(ROOT / text)), f"{begin} is not in {text}"


def test_the_tutorial(server, folder):
    typed = [one for one in blocks_of(ROOT / "docs" / "tutorial.rst") if one.begin.startswith(("T=", "curl"))]
    said = run(folder, placed("\n".join(one.code for one in typed), server), "bash", "-euo", "pipefail")
    assert '"verified":true' in said
    assert '"verified":false' in said
    assert said.count('"meta":"Sam Berry"') == 2  # as stored, and as recognised
    assert '"cam_id":"door"' in said
    shown, real = json.loads(block("docs/tutorial.rst", '{"faces"')), json.JSONDecoder().raw_decode(said)[0]
    assert shown.keys() == real.keys()
    assert shown["faces"][0].keys() == real["faces"][0].keys()
    program = placed(block("docs/tutorial.rst", "from facenapi.client"), server)
    assert "Sam Berry" in run(folder, program, sys.executable, "-W", "error", "-")


def test_the_tour_of_the_readme(server, folder):
    [url] = serve_pictures([(folder / "sam.jpg").read_bytes()])
    tour = placed(block("README.rst", "T="), server, **{"http://static.example.com/sam.jpg": url})
    said = run(folder, tour, "bash", "-euo", "pipefail")
    assert said.count('"meta":"Sam Berry"') == 3  # stored, found in the gallery, found by URL


@pytest.mark.parametrize("text", ["README.rst", "client/README.rst"])
def test_the_programs_of_the_readmes(server, folder, text):
    program = placed(block(text, "from facenapi_client"), server)
    assert "Sam Berry" in run(folder, program, sys.executable, "-W", "error", "-")


@pytest.mark.parametrize(
    ("text", "begin"), [("README.rst", ".venv/bin/facenapi token"), ("docs/howto/tokens.rst", "facenapi token")]
)
def test_tokens(server, folder, text, begin):
    (folder / "var").mkdir()
    (folder / "var" / "data").symlink_to(server.folder)
    [*_, newest] = shell(folder, ["facenapi token list"], server).splitlines()
    digest, owner, *_ = newest.split()
    lines = [line.replace(".venv/bin/", "") for line in commands(block(text, begin))]
    said = shell(folder, lines, server, OWNER=owner, HASH=digest)
    assert f"Revoked {digest}" in said
    assert len(re.findall(r"^[\w-]{32}$", said, re.MULTILINE)) == 2  # keys


def test_the_check_of_the_readme(server, folder):
    (folder / "var" / "models").mkdir(parents=True)
    (folder / "var" / "data").symlink_to(server.folder)
    (folder / "var" / "models" / "default").symlink_to(PACK)
    (folder / "FILE").write_text(f"data_dir = {server.folder}\n")
    lines = [line.replace(".venv/bin/", "") for line in commands(block("README.rst", ".venv/bin/facenapi check"))]
    said = run(folder, PROGRAMS + "\n".join(lines), "bash", "-euo", "pipefail")
    assert len(re.findall(r"^ok +vectors", said, re.MULTILINE)) == len(lines) == 2


def test_photos_are_enrolled(server, folder):
    (folder / "photos").mkdir()
    for name, kind in (("sam", "jpg"), ("visitor", "jpeg")):
        (folder / f"{name}.jpg").rename(folder / "photos" / f"{name}.{kind}")
    for left in folder.glob("*.jpg"):
        left.unlink()
    (folder / "meta.csv").write_text("Sam Berry,photos/sam.jpg\nA visitor,photos/visitor.jpeg\n")
    shell(folder, commands(block("docs/howto/enrol.rst", "facenapi mass-enroll")), server)
    assert {face["meta"] for face in server.call("GET", "/v1/faces/gallery/staff")[1]["results"]} == {
        "sam",
        "visitor",
    }
    shell(folder, commands(block("docs/howto/enrol.rst", "findface-mass-enroll")), server)
    assert len(server.call("GET", "/v1/faces/gallery/staff/meta/Sam%20Berry")[1]["results"]) == 1


def test_a_backup_is_made_and_restored_and_faces_move(server, folder):
    server.call("POST", "/v1/face", *form({"photo": (folder / "sam.jpg").read_bytes()}))
    (folder / "backup").mkdir()
    places = {"/srv/backup": str(folder / "backup")}
    for number, begin in enumerate(("facenapi backup", "facenapi export")):
        there, back = commands(block("docs/howto/backup.rst", begin))
        shell(folder, [there], server, **places)
        new = {"FACENAPI_DATA_DIR": str(folder / f"new{number}")}
        said = shell(folder, [back], server, **places, **new)
        if "import" in back:
            assert re.search(r"[1-9]\d* new faces", said)
        else:
            assert re.search(r"[1-9]\d* faces", shell(folder, ["facenapi export all.ndjson"], server, **new))


def test_vectors_are_made_anew(server, folder):
    """But for the building of the pack, which downloads: the pack is there already."""
    build, *lines = commands(block("docs/howto/networks.rst", "facenapi models build"))
    assert build == "facenapi models build --model_pack=/srv/models/new"
    (folder / "models").mkdir()
    (folder / "models" / "new").symlink_to(PACK)
    said = shell(folder, lines, server, **{"/srv/models": str(folder / "models")})
    assert "mobilefacenet" in said


def test_the_configuration_is_checked(server, folder):
    check, reload = commands(block("docs/howto/install.rst", "facenapi check"))
    assert "data_dir" in shell(folder, [check], server)
    assert (ROOT / "conf" / "systemd" / reload.split()[-1]).with_suffix(".service").exists()
