"""facenapi shard: as a process, beside an API server that uses it."""

import json
import os
import re
import signal
import socket
import time

import pytest

from facenapi.process import allocator
from tests.commands.conftest import launch
from tests.support.fake_server import ForkedServer
from tests.support.live import form
from tests.support.server import RED, picture


@pytest.fixture
def table(tmp_path):
    """A table with one shard on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "tntapi.json"
    file.write_text(json.dumps([[address] * 1024]))
    return address, f"--tntapi_servers_file={file}"


def test_it_needs_a_table_and_an_address_in_it(facenapi, tmp_path, table):
    said = facenapi("shard", f"--data_dir={tmp_path}")
    assert said.status == 1
    assert "tntapi_servers_file must name the table" in said.err
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "facenapi.sqlite").touch()
    said = facenapi("shard", f"--data_dir={tmp_path}", table[1], "--shard_address=10.1.1.1:3", "--logging=none")
    assert said.status == 1
    assert "'10.1.1.1:3' is not in" in said.err


def test_it_makes_no_store(facenapi, tmp_path, table):
    address, option = table
    said = facenapi("shard", f"--data_dir={tmp_path}", option, f"--shard_address={address}", "--logging=none")
    assert said.status == 1
    assert "start the API server first" in said.err
    assert not (tmp_path / "store").exists()


def test_it_keeps_no_memory_that_segments_needed_for_a_moment(facenapi, tmp_path, table, monkeypatch):
    asked = []
    monkeypatch.setattr(allocator, "return_large_blocks", lambda: asked.append("once"))
    facenapi("shard", f"--data_dir={tmp_path}", table[1], "--logging=none")
    assert asked == ["once"]


def test_it_ends_when_it_cannot_have_its_folder(facenapi, tmp_path, table):
    address, option = table
    assert facenapi("token", f"--data_dir={tmp_path}", "create").status == 0  # makes the store
    (tmp_path / f"shard-{address.replace(':', '-')}").touch()
    said = facenapi("shard", f"--data_dir={tmp_path}", option, f"--shard_address={address}", "--logging=none")
    assert said.status == 1
    assert said.err.startswith("facenapi: Cannot use data folder")
    assert said.err.count("\n") == 1


@pytest.mark.slow
def test_it_serves_an_api_server_and_tells_systemd(tmp_path, table):
    address, option = table
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, ForkedServer(tmp_path, option) as server:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        shard = launch(
            "shard", f"--data_dir={tmp_path}", option, f"--shard_address={address}",
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"},
        )  # fmt: skip
        try:
            heard = [systemd.recv(200).decode() for _ in range(6)]
            assert any(word.startswith("READY=1") for word in heard)
            assert "WATCHDOG=1" in heard
            deadline = time.monotonic() + 30
            while server.call("GET", "/health")[0] != 200 and time.monotonic() < deadline:
                time.sleep(0.05)
            status, answer = server.call("POST", "/v1/face", *form({"photo": picture(RED), "meta": "red"}))
            assert status == 200, answer
            status, answer = server.call("POST", "/v1/identify", *form({"photo": picture(RED)}))
            assert status == 200, answer
            [[found]] = answer["results"].values()
            assert found["face"]["meta"] == "red"
            shard.send_signal(signal.SIGHUP)
            time.sleep(0.2)
        finally:
            shard.send_signal(signal.SIGTERM)
            _, log = shard.communicate(timeout=30)
    assert shard.returncode == 0
    assert re.search(f"serves the search shard {address}", log)
    assert "Reloaded; changed: nothing" in log
    assert "Traceback" not in log
