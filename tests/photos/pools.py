"""What tests of the decode pool share: photos, children that hang, die or lie, and what a process has."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np

from facenapi.photos.photo import Photo
from tests.support.photos import encode

PIXELS = np.random.default_rng(5).integers(0, 256, (150, 230, 3), np.uint8).repeat(4, 0).repeat(4, 1)
FILES = {kind: encode(PIXELS, kind) for kind in ("JPEG", "PNG", "WEBP")}
SMALL = encode(PIXELS[:40, :60])

# A child that says it is ready, and then does one thing with the first photo that it gets; {} is that thing.
ODD_CHILD = """
import json, os, signal, socket, sys, time
control = socket.socket(fileno=int(sys.argv[-1]))
control.send(b'{{"ready": true}}')
def answer(text):
    os.write(pixels, bytes(9999))
    control.send(text.encode())
while True:
    message, (file, pixels), _, _ = socket.recv_fds(control, 4096, 2)
    {}
"""
NONSENSE = (
    "control.send(b'nonsense')",
    "control.send(b'[]')",
    "control.send(b'{}')",
    "control.send(b'\\xff')",
    """control.send(b'{"width": 60, "height": 40, "orientation": 1, "shape": [60, 40]}')""",  # and no pixels
    """answer('{"width": 1e9, "height": 40, "orientation": 1, "shape": [60, 40]}')""",
    """answer('{"width": 60, "height": 40, "orientation": 9, "shape": [60, 40]}')""",
    """answer('{"width": 60, "height": 40, "orientation": 1, "shape": [61, 40]}')""",
)
DYING = ("sys.exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)", "control.close(); time.sleep(60)")


def open_photo(pool, data, side=1280, owner="me"):
    return Photo(data, "photo", 6000, side, partial(pool.decode, owner))


def descriptors(pid="self"):
    """Return what a process has open."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # the one that lists them
            continue
    return found


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
