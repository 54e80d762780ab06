"""scripts/build_nmslib with a make-believe interpreter: one build at a time, a killed one is no hindrance."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build_nmslib"
INTERPRETER = """#!/bin/sh
case "$*" in
    *"pip wheel"*)
        while [ "$1" != --wheel-dir ]; do shift; done
        echo >"{folder}/started"
        cat "{folder}/go"
        mkdir -p "$2" && touch "$2/nmslib-2.1.2.whl" ;;
    -c*version*) echo 2.1.2 ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    """Make an environment whose interpreter says through ``started`` that it compiles, and waits for ``go``."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    python = tmp_path / "venv/bin/python"
    python.write_text(INTERPRETER.format(folder=tmp_path))
    python.chmod(0o755)
    for name in ("started", "go"):
        os.mkfifo(tmp_path / name)
    return tmp_path


def build(environment):
    return subprocess.Popen(
        [SCRIPT, "--build-only", environment / "venv/bin/python"],
        env=os.environ | {"CXX": "true"},
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(environment):
    with build(environment) as process:
        return process.wait(30) == 1 and "another build is running" in process.stderr.read()


def test_one_build_at_a_time_also_after_a_kill(environment):
    with build(environment) as first:
        (environment / "started").read_text()
        assert refused(environment)
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        assert refused(environment), "the compiler lives on, and a second one may start"
        (environment / "go").write_text("")  # which ends it, so that the pipe of its errors ends, too
        first.stderr.read()
    assert list((environment / "venv").glob("nmslib-*.new"))
    with build(environment) as second:
        (environment / "started").read_text()
        (environment / "go").write_text("")
        assert second.wait(30) == 0
    left = sorted(path.name for path in (environment / "venv").glob("nmslib*"))
    assert len(left) == 2
    assert left[0].endswith(".wheels")
    assert left[1] == "nmslib.lock"
