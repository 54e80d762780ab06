"""The server as a process: start, signals, second server, supervision."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from unittest import mock

import pytest

from tests.support.fake_server import FakeServer
from tests.support.live import PACK, ROOT, Server, form

pytestmark = pytest.mark.slow


def run(*arguments, **environment):
    """Run a command to its end; return status and what it said."""
    command = [sys.executable, "-m", "facenapi", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=os.environ | environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_pack):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_second_server_on_the_same_data_is_refused_by_name(server):
    status, _, said = run("serve", f"--data_dir={server.folder}", f"--model_pack={PACK}", "--port=0")
    assert status == 1
    assert f"is in use by process {server.process.pid}" in said
    assert "Traceback" not in said


def test_a_port_in_use_is_named(tmp_path, server):
    port = server.url.rpartition(":")[2]
    status, _, said = run("serve", f"--data_dir={tmp_path}", f"--model_pack={PACK}", f"--port={port}")
    assert status == 1
    assert f"facenapi: Cannot listen on 127.0.0.1:{port}: Address already in use; another program" in said
    assert "Traceback" not in said


def test_a_missing_pack_says_what_to_run(tmp_path):
    status, _, said = run("serve", f"--data_dir={tmp_path}", f"--model_pack={tmp_path}/none")
    assert status == 1
    assert "facenapi models build" in said
    assert "Traceback" not in said


def test_a_bad_configuration_ends_with_78(tmp_path):
    (tmp_path / "bad.ini").write_text("prot = 8000\n")
    status, _, said = run("serve", f"--config={tmp_path}/bad.ini")
    assert (status, said) == (78, f"{tmp_path}/bad.ini:1: prot: there is no such option (did you mean port?)\n")


def test_tokens_come_and_go_while_the_server_runs(server):
    folder = f"--data_dir={server.folder}"
    status, key, _ = run("token", "create", "--short", "--label=visitor", folder)
    assert status == 0
    assert len(key.strip()) == 16
    before, server.key = server.key, key.strip()
    try:
        assert server.call("GET", "/v1/galleries")[0] == 200
        assert "visitor" in run("token", "list", folder)[1]
        assert run("token", "revoke", key.strip(), folder)[0] == 0
        time.sleep(1.2)  # what was looked up is believed for a second
        assert server.call("GET", "/v1/galleries")[0] == 401
        assert run("token", "revoke", "nobody", folder)[0] == 1
    finally:
        server.key = before


def test_sighup_reloads_and_a_mistake_changes_nothing(tmp_path, model_pack):
    file = tmp_path / "facenapi.ini"
    file.write_text("rate_limit = 0\n")
    with Server(tmp_path / "data", f"--config={file}") as server:
        file.write_text("rate_limit = 0.5\nshutdown_timeout = 5\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(server, "Reloaded; changed: rate_limit")
        wait_for(server, "change with a restart only: shutdown_timeout")
        assert 429 in {server.call("GET", "/galleries")[0] for _ in range(5)}
        file.write_text("rate_limit = no\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(server, "Not reloaded:")
        assert server.process.poll() is None


def wait_for(server, text):
    for _ in range(200):
        if text in server.log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{text!r} is not in the log:\n{server.log.read_text()}")


def test_sigterm_loses_no_request_of_20_keep_alive_clients(tmp_path, model_pack, astronaut):
    """Requests that were accepted are answered; a client is told to close, or refused when it connects anew."""
    server = Server(tmp_path)
    body, kind = form({"photo": astronaut})
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2])
    head = f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nAuthorization: Token {server.key}\r\nContent-Type: {kind}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    broken, answered = [], []

    def client():
        with socket.create_connection((host, port), timeout=60) as sock:
            while True:
                sock.sendall(request)
                reply = read_reply(sock)
                if not reply.startswith(b"HTTP/1.1 200 "):
                    broken.append(reply[:200])
                    return
                answered.append(1)
                if b"Connection: close" in reply:
                    return

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    server.stop()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert len(answered) >= 20
    assert server.process.returncode == 0


def read_reply(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += sock.recv(65536)
    return data


def test_systemd_is_told(tmp_path, model_pack):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60)
        os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = path, "200000"
        try:
            server = Server(tmp_path / "data")
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
        heard = []
        while sum("WATCHDOG=1" in message for message in heard) < 3:
            heard.append(manager.recv(4096).decode())
        server.stop()
        manager.settimeout(1)
        while "STOPPING=1\nSTATUS=Finishing requests" not in heard:
            heard.append(manager.recv(4096).decode())
    assert heard.index("READY=1\nSTATUS=Serving") > 0


def test_health_tells_the_true_state(server):
    with urllib.request.urlopen(server.url + "/health/live", timeout=10) as reply:
        assert reply.status == 200
    status, state = server.call("GET", "/health/ready")
    assert (status, state["ready"], state["detector"]["provider"]) == (200, True, "CPUExecutionProvider")


def test_a_name_that_nobody_answers_holds_no_end_up(tmp_path):
    """A thread that looks it up cannot be got back; the server ends without it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\n"
        "look_up = socket.getaddrinfo\n"
        "def hang(host, *rest):\n"
        "    if host == 'hangs.invalid':\n"
        "        time.sleep(999)\n"
        "    return look_up(host, *rest)\n"
        "socket.getaddrinfo = hang\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with mock.patch.dict(os.environ, PYTHONPATH=path):
        server = FakeServer(tmp_path / "server", "--fetch_timeout=0.5")
    status, answer = server.call("POST", "/v1/detect", b'{"photo": "http://hangs.invalid/a.jpg"}')
    assert (status, answer["code"]) == (400, "BAD_IMAGE")
    server.process.terminate()
    try:
        assert server.process.wait(60) == 0
    finally:
        server.kill()
