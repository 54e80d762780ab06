"""Messages to systemd."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from facenapi.commands.serve import _reload
from facenapi.config.options import Config
from facenapi.process import systemd


def test_messages_arrive_and_a_manager_that_does_not_read_is_not_waited_for(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        systemd.ready()
        assert manager.recv(100) == b"READY=1\nSTATUS=Serving"
        for _ in range(1000):  # far more than a socket holds
            systemd.watchdog()
        assert manager.recv(100) == b"WATCHDOG=1"
    systemd.stopping()  # nobody is there any more


def test_the_abstract_namespace_and_no_manager_at_all(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0facenapi-test-notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "@facenapi-test-notify")
        systemd.status("busy")
        assert manager.recv(100) == b"STATUS=busy"


def test_a_reload_during_the_start_does_not_say_that_it_is_over(monkeypatch):
    said = []
    monkeypatch.setattr(systemd, "send", said.append)
    app = SimpleNamespace(listening=False, config=Config(logging="none"), reload=lambda _: ([], []))
    _reload(app, ["--config=/dev/null"])
    assert said == []
    app.listening = True
    _reload(app, ["--config=/dev/null"])
    assert [message.split("\n")[0] for message in said] == ["RELOADING=1", "READY=1"]
