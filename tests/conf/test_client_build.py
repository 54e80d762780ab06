"""The distribution facenapi-client: it needs httpx and nothing else, and gets on with the server's."""

import importlib.metadata
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from facenapi import __version__, client
from tests.conf.test_build import ROOT, run, tracked
from tests.support.fake_server import ForkedServer
from tests.support.server import RED, picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from the sdist of a copy of the checkout."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        if name.startswith(("client/", "facenapi/client/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / "client" / "facenapi_client").symlink_to((ROOT / "client" / "facenapi_client").readlink())
    code = f"import setuptools.build_meta as b; print(b.build_sdist({str(out)!r}))"
    run(sys.executable, "-c", code, cwd=copy / "client")
    [archive] = out.iterdir()
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", out, archive)
    [file] = out.glob("*.whl")
    return file


def needs(name, seen=None):
    """Return the names of a distribution and of all that it needs here, without extras."""
    seen = set() if seen is None else seen
    if name not in seen:
        seen.add(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needs(requirement.name, seen)
    return seen


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Install it into an empty environment. Instead of an index there is httpx, and what that needs, already."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder)
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name in needs("httpx"):
        for file in importlib.metadata.files(name):
            if ".." not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), packages / file)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-index", wheel, env=isolated())
    return python


def isolated():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_has_the_client_under_its_own_name_and_asks_for_httpx_only(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [metadata] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    # None of its files is one of the server's, so that neither can take away the other's.
    assert names == {
        name.replace("facenapi/client/", "facenapi_client/")
        for name in tracked()
        if name.startswith("facenapi/client/")
    }
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: httpx<1,>=0.27"
    ]
    assert f"\nVersion: {__version__}\n" in metadata
    assert client.__version__ == __version__


def test_it_installs_where_only_httpx_is_and_works(python, tmp_path):
    run(python, "-m", "pip", "check", env=isolated())
    photo = tmp_path / "red.png"
    photo.write_bytes(picture(RED))
    program = Path(tmp_path / "program.py")
    program.write_text("""if True:
        import asyncio, sys
        from facenapi_client import AsyncClient, Client, NotFound

        with Client(sys.argv[1]) as facenapi:
            [face] = facenapi.add_face(sys.argv[2], meta="red")
            [found] = facenapi.identify(sys.argv[2])["results"]
            assert [match["face"] for match in found["matches"]] == [face]

        async def main():
            async with AsyncClient(sys.argv[1]) as facenapi:
                await facenapi.delete_face(face["id"])
                assert [face async for face in facenapi.faces()] == []
                try:
                    await facenapi.face(face["id"])
                except NotFound as error:
                    print(error.code)

        asyncio.run(main())
    """)
    with ForkedServer(tmp_path / "server") as server:
        environment = isolated() | {"FACENAPI_TOKEN": server.key}
        said = run(python, "-W", "error", program, server.url, photo, cwd=tmp_path, env=environment)
    assert said == "NOT_FOUND\n"


def test_it_lives_beside_the_server_and_may_go(python, tmp_path):
    """The server's package is laid beside it as its wheel would; see test_build for that wheel's list of files."""
    packages = Path(run(python, "-c", "import httpx; print(httpx.__path__[0])", env=isolated()).strip()).parent
    shutil.copytree(ROOT / "facenapi", packages / "facenapi", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import facenapi.client as a, facenapi_client as b; assert a.Client is not b.Client; print(a.__file__)"
    assert run(python, "-c", code, cwd=tmp_path, env=isolated()).startswith(str(packages))
    run(python, "-m", "pip", "uninstall", "--yes", "facenapi-client", env=isolated())
    run(python, "-c", "from facenapi.client import Client", cwd=tmp_path, env=isolated())
