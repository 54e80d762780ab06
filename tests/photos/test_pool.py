"""Decoding in children: the same pixels, and what becomes of children that hang, die or lie."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facenapi.errors import BadImage, Overloaded, Unavailable
from facenapi.photos.photo import Photo
from facenapi.photos.pool import DecodePool
from tests.photos.pools import (
    DYING,
    FILES,
    NONSENSE,
    PIXELS,
    SMALL,
    descriptors,
    is_alive,
    open_photo,
    until,
)
from tests.support import hostile
from tests.support.effort import daily
from tests.support.photos import encode


@pytest.mark.parametrize("kind", FILES)
def test_pixels_are_those_of_this_process(pool, kind):
    here, there = Photo(FILES[kind], "photo", 6000, 300), open_photo(pool, FILES[kind], 300)
    np.testing.assert_array_equal(there.reduced.pixels, here.reduced.pixels)
    for at in ((3, 5, 60, 41), (300, 200, 555, 444), (0, 0, 920, 600)):
        np.testing.assert_array_equal(there.part(*at), here.part(*at))
    there.close()


def test_a_photo_whose_child_went_on_to_another_is_decoded_again_and_once(pool):
    photo = open_photo(pool, FILES["JPEG"], 300)
    expected = Photo(FILES["JPEG"], "photo", 6000, 300).part(0, 0, 920, 600)
    np.testing.assert_array_equal(photo.part(1, 2, 30, 40), expected[2:40, 1:30])
    others = [open_photo(pool, SMALL, owner=name) for name in "abc"]
    np.testing.assert_array_equal(photo.part(100, 100, 140, 140), expected[100:140, 100:140])
    pool.close()  # it has everything now
    np.testing.assert_array_equal(photo.part(500, 300, 900, 600), expected[300:600, 500:900])
    assert others[0].width == 60


def test_what_is_refused_is_refused_with_the_same_reason(pool):
    for data in (b"hello", b"", FILES["JPEG"][:900], FILES["PNG"][:900], encode(np.zeros((8, 6001, 3), np.uint8))):
        with pytest.raises(BadImage) as here:
            Photo(data, "photo", 6000, 1280)
        with pytest.raises(BadImage) as there:
            open_photo(pool, data)
        assert (there.value.reason, there.value.rule) == (here.value.reason, here.value.rule)
    assert pool.deaths == 0


@pytest.mark.parametrize("action", daily([NONSENSE[-1], DYING[1], *NONSENSE[:-1], DYING[0], DYING[2]], 2))
def test_a_child_that_dies_or_lies_is_replaced_and_its_photo_read_all_the_same(pool, odd, action):
    odd(action)
    np.testing.assert_array_equal(open_photo(pool, SMALL).reduced.pixels, PIXELS[:40, :60])
    assert pool.deaths == 1


@pytest.mark.parametrize("action", daily([DYING[1], NONSENSE[0]]))
def test_a_photo_that_two_children_die_of_is_refused(pool, odd, action):
    odd(action, 2)
    with pytest.raises(BadImage, match="cannot be decoded") as caught:
        open_photo(pool, SMALL)
    assert caught.value.rule == "crash"
    assert open_photo(pool, SMALL).width == 60


def test_a_child_that_hangs_is_ended_at_the_deadline_and_its_photo_refused(odd):
    odd("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)")
    pool = DecodePool(2, 0.1)
    try:
        with pytest.raises(BadImage, match=r"takes longer than 0.1 seconds") as caught:
            open_photo(pool, SMALL)
        assert caught.value.rule == "timeout"
        assert pool.deaths == 1
    finally:
        pool.close()


def test_a_photo_that_takes_too_much_work_is_refused_at_the_deadline():
    pool = DecodePool(2, 0.2)
    try:
        with pytest.raises(BadImage, match=r"takes longer than 0.2 seconds") as caught:
            open_photo(pool, hostile.jpeg_of_scans(3100, 3100, 95))
        assert caught.value.rule == "timeout"
        assert pool.deaths == 1
    finally:
        pool.close()


def test_children_that_do_not_start_are_the_servers_fault(pool, odd, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable):
        open_photo(pool, SMALL)


@pytest.mark.parametrize("lacking", ["processes", "descriptors", "memory"])
def test_what_the_system_does_not_give_is_no_fault_of_the_photo(pool, monkeypatch, lacking):
    def refuse(*_, **__):
        raise OSError(errno.EAGAIN, "no more of that")

    large = encode(np.zeros((1200, 920, 3), np.uint8), "PNG")  # more pixels than memory is kept for
    name = {"processes": "subprocess.Popen", "descriptors": "os.memfd_create", "memory": "mmap.mmap"}[lacking]
    if lacking == "memory":
        open_photo(pool, SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(f"facenapi.photos.child_process.{name}", refuse)
        with pytest.raises(Unavailable):
            open_photo(pool, large)
    assert open_photo(pool, large).width == 920


@pytest.mark.slow
def test_a_child_that_was_killed_while_idle_is_replaced(pool, children):
    open_photo(pool, SMALL)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    assert open_photo(pool, SMALL).width == 60


@pytest.mark.slow
def test_a_child_more_than_usual_goes_when_it_has_rested(pool, children):
    with ThreadPoolExecutor(3) as threads:
        for _ in range(20):
            list(threads.map(lambda owner: open_photo(pool, FILES["PNG"], owner=owner), "abc"))
            if len(children()) == 3:
                break
    pool.let_go()
    assert len(children()) == 3
    open_photo(pool, SMALL)
    pool.let_go()
    assert len(children()) == 2
    pool.let_go()
    assert len(children()) == 2
    assert pool.deaths == 0


def test_a_hanging_photo_keeps_no_one_but_its_owner_waiting(odd):
    odd("time.sleep(600)", 2)
    pool = DecodePool(2, 5.0)
    try:
        with ThreadPoolExecutor(4) as threads:
            slow = [threads.submit(open_photo, pool, SMALL, owner="slow") for _ in range(4)]
            until(lambda: len(pool._busy) == 2)
            assert open_photo(pool, SMALL, owner="other").width == 60
            assert not any(work.done() for work in slow)
            pool.close()
            assert {type(work.exception()) for work in slow} == {Unavailable, Overloaded}
    finally:
        pool.close()


def test_closing_ends_what_is_being_decoded(odd):
    odd("time.sleep(600)")
    pool = DecodePool(1, 600.0)
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(open_photo, pool, SMALL)
        until(lambda: pool._busy)
        threading.Timer(0.2, pool.close).start()
        assert isinstance(work.exception(20), Unavailable)
    with pytest.raises(Exception, match="stopping"):
        open_photo(pool, SMALL)


@pytest.mark.slow
def test_nothing_is_left_open(pool):
    photos = [open_photo(pool, data, 300) for data in FILES.values()]
    before = len(descriptors())
    for _ in range(5):
        for data in (*FILES.values(), b"hello"):
            try:
                photo = open_photo(pool, data, 300)
                photo.part(5, 5, 50, 50)
                photo.close()
            except BadImage:
                continue
    del photo
    gc.collect()
    assert len(descriptors()) <= before
    del photos
    gc.collect()
    pool.close()
    assert len(descriptors()) < before


PARENT = """
import sys, time, socket
from functools import partial
from facenapi.photos.photo import Photo
from facenapi.photos.pool import DecodePool
listener = socket.create_server(("127.0.0.1", 0))
pool = DecodePool(1, 600.0)
Photo(open(sys.argv[2], "rb").read(), "photo", 6000, 1280, partial(pool.decode, "me"))
[child] = pool._idle
print(child.pid, flush=True)
if sys.argv[3] == "busy":
    import threading
    slow = {"op": "open", "key": 1, "max_size": 6000, "side": 1280, "budget": 600}
    threading.Thread(target=child.ask, args=(slow, open(sys.argv[1], "rb").read(), 600.0), daemon=True).start()
    time.sleep(0.2)
    print("asked", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_children_end_with_their_parent_and_have_nothing_of_it(tmp_path, state):
    file = tmp_path / "photo"
    file.write_bytes(hostile.jpeg_of_scans(3100, 3100, 95) if state == "busy" else FILES["PNG"])
    (tmp_path / "small").write_bytes(SMALL)
    command = [sys.executable, "-c", PARENT, file, tmp_path / "small", state]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        pid = int(parent.stdout.readline())
        if state == "busy":
            parent.stdout.readline()
        assert sum(link.startswith("socket:") for link in descriptors(pid)) == 1  # to its parent
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
    finally:
        parent.kill()
        parent.communicate()
