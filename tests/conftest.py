"""Fixtures for all tests: an event loop per test, real faces, the model pack."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import sys
from pathlib import Path

import hypothesis
import pytest
from tornado.ioloop import IOLoop

from facenapi.detector.packs.build import build_pack
from facenapi.detector.packs.build.embedders import DEFAULT_EMBEDDER, EMBEDDERS
from facenapi.detector.packs.build.manifest import Choice
from tests.support import photos

ROOT = Path(__file__).resolve().parent.parent

# Nothing to test: schemathesis loads it, and it loads schemathesis.
collect_ignore = ["support/schemathesis_hooks.py"]

# The tests start some hundred processes, and each would compile all modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Some tests load the runtime of the networks themselves; no run of them is to be reported to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The same examples each time, and no timing: a run must not depend on luck or on the load of the machine.
for name, count in (("quick", 10), ("all", 100)):  # scripts/test chooses the second
    hypothesis.settings.register_profile(name, deadline=None, derandomize=True, database=None, max_examples=count)
hypothesis.settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """A run of everything is shared out; files that are named run right here, where a debugger works.

    Of the slow tests some wait for most of their time: there is work for one more than there are processors.
    """
    whole = {str(ROOT), *config.getini("testpaths")}
    more = config.option.markexpr != "not slow"
    return min(4, (os.cpu_count() or 1) + more) if set(config.args) <= whole else 0


def pytest_ignore_collect(collection_path, config):
    """Do not even load files that are slow as a whole where the slow ones are left out: some load much."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py" or str(collection_path) in config.args:
        return None
    return bool(re.search(r"^pytestmark = \[?pytest\.mark\.slow\b", collection_path.read_text("utf-8"), re.M)) or None


@pytest.fixture
def io_loop():
    """A loop for one test; replaces pytest-tornado's, whose calls current Tornado deprecates."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    loop = IOLoop.current()
    yield loop
    _end_tasks(loop.asyncio_loop)
    loop.close(all_fds=True)
    asyncio.set_event_loop(None)


def _end_tasks(loop):
    """Cancel what a test left running (connections of a test server, say) and let it end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for _ in range(5):  # a transport that was closed is gone some turns later
        loop.run_until_complete(asyncio.sleep(0))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let plain ``async def`` tests run on the loop; put them in an order that several workers share well.

    What needs the pack of before is slow: every worker would build it, for networks that are not the default.
    """
    for item in items:
        if "dlib_pack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.gen_test(timeout=120))
    items.sort(key=_how_soon)


def _how_soon(item):
    """Trials first, the longest before all, then what is slow; last what times itself, beside nothing else."""
    return (
        "test_overload" in item.nodeid,
        "test_soak" not in item.nodeid,
        "tests/trials" not in item.nodeid,
        item.get_closest_marker("slow") is None,
    )


@pytest.fixture(scope="session")
def model_pack() -> Path:
    """The default model pack, as ``facenapi models build`` makes it; scripts/test does so first."""
    folder = Path(os.environ.get("FACENAPI_TEST_PACK", ROOT / "var" / "models" / "default"))
    if not (folder / "pack.json").exists():
        pytest.fail(f"There is no model pack in {folder}: run scripts/test, or facenapi models build", pytrace=False)
    found = json.loads((folder / "pack.json").read_text("utf-8"))["embedder"]["name"]
    if found != EMBEDDERS[DEFAULT_EMBEDDER].embedder["name"]:
        pytest.fail(f"The model pack in {folder} is an older one ({found}): build one elsewhere and name it in "
                    "FACENAPI_TEST_PACK, as scripts/test does", pytrace=False)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def downloads(model_pack) -> Path:
    """The packages that the default pack was built from, which its build keeps beside it."""
    folder = Path(os.environ.get("FACENAPI_TEST_DOWNLOADS", model_pack.parent / "downloads"))
    missing = [p.file for p in Choice("mobilefacenet", "centerface").packages if not (folder / p.file).exists()]
    if missing:
        pytest.fail(f"{missing[0]} is not in {folder}: run facenapi models build", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def dlib_pack(downloads, tmp_path_factory) -> Path:
    """The pack that was the default before: dlib's embedder and MTCNN."""
    folder = tmp_path_factory.mktemp("packs") / "dlib"
    build_pack(folder, downloads, lambda _: None, embedder="dlib", detector="mtcnn")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """scikit-image's portrait of Eileen Collins as PNG bytes."""
    return photos.astronaut()


@pytest.fixture(scope="session")
def grace_hopper() -> bytes:
    """matplotlib's portrait of Grace Hopper as JPEG bytes."""
    return photos.grace_hopper()
