"""``facenapi`` with the FakeDetector, in a process of its own: ``python -m tests.support.fake_server serve …``."""

from __future__ import annotations

import sys
import time
import urllib.request

from facenapi import cli
from facenapi.api.operation import operation
from facenapi.app import Application
from facenapi.commands import serve
from facenapi.config.options import Config
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import TEXT
from facenapi.services.auth import create_token
from tests.support.fakes import FakeDetector
from tests.support.live import Server

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


if __name__ == "__main__":
    serve.Application = FakeApplication
    sys.exit(cli.main(sys.argv[1:]))
