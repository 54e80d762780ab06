"""``facenapi`` with the FakeDetector, in a process of its own: ``python -m tests.support.fake_server serve …``."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from facenapi import cli
from facenapi.api.operation import operation
from facenapi.app import Application
from facenapi.commands import serve
from facenapi.config.options import Config
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import TEXT
from facenapi.services.auth import create_token
from tests.support.fakes import FakeDetector
from tests.support.live import ROOT, Server

KEYS = "/new-key"


class FakeServer(Server):
    """A server that needs no networks and starts at once; it has a key for whoever asks."""

    module = "tests.support.fake_server"

    def new_key(self) -> str:
        """Return the key of a new owner, made by the server itself: a command would be a process more."""
        with urllib.request.urlopen(self.url + KEYS, b"", timeout=60) as reply:
            return reply.read().decode()

    def wait_for_log(self, text: str, timeout_s: float = 30.0) -> bool:
        """Whether a text comes up in the log."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log.read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


class ForkedServer(FakeServer):
    """A FakeServer that begins as a copy of a process that has loaded all modules: a tenth of the work.

    For tests that start many. What measures memory, or how a server starts, takes a FakeServer.
    """

    def spawn(self) -> Forked:
        """Start the process, which writes to the log."""
        self.log.touch()
        return Forked(serve_forked, ["serve", *self.options], self.log, dict(os.environ))


class Forked:
    """A process of the fork server, with what tests use of a Popen."""

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        self._process = _FORKS.Process(target=target, args=args, daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.kill, self.terminate = self._process.kill, self._process.terminate

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """The exit code, or None."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit code."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self.poll()


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.fake_server", "facenapi.storage.sqlite", "facenapi.storage.mongo"])


def serve_forked(arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    """Run the command in this process, as ``python -m tests.support.fake_server`` does."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("ab") as out:
        for number in (1, 2):
            os.dup2(out.fileno(), number)
    main(arguments)


class KeyHandler(ApiHandler):
    """Keys, to anybody."""

    @operation("The key of a new owner", answer=TEXT, public=True)
    async def post(self) -> None:
        """Answer a key."""
        key, _ = await create_token(self.app.store, label="trial")
        self.finish(key)


class FakeApplication(Application):
    """The application with a FakeDetector and the address for keys."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, detector=FakeDetector())
        self.web.add_handlers(".*", [(KEYS, KeyHandler, {"app": self})])


def main(arguments: list[str]) -> NoReturn:
    """The command, with the application above."""
    serve.Application = FakeApplication
    sys.exit(cli.main(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
