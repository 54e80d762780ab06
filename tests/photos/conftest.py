"""A decode pool, and children of it that are not what they should be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from facenapi.photos import child_process
from facenapi.photos.pool import DecodePool
from tests.photos.pools import ODD_CHILD


@pytest.fixture
def pool():
    running = DecodePool(2, 20.0)
    yield running
    running.close()


@pytest.fixture
def children():
    """Return a function that tells the ids of this process' decoders but those of other tests' applications."""

    def running():
        command = ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return {int(line.split()[0]) for line in lines if "facenapi.photos.child" in line}

    others = running()
    return lambda: running() - others


@pytest.fixture
def odd(monkeypatch):
    """Return a function that makes the next children odd ones; a ``count`` of them."""

    def use(action, count=1):
        popen, left = subprocess.Popen, [count]

        def start(command, **kwargs):
            left[0] -= 1
            odd_one = [sys.executable, "-c", ODD_CHILD.format(action), command[-1]]
            return popen(odd_one if left[0] >= 0 else command, **kwargs)

        monkeypatch.setattr(child_process.subprocess, "Popen", start)

    return use
