"""``facenapi`` with the FakeDetector, in a process of its own: ``python -m tests.support.fake_server serve …``."""

from __future__ import annotations

import asyncio
import functools
import sys
import time

from facenapi import cli
from facenapi.app import Application
from facenapi.commands import serve
from facenapi.config import load
from facenapi.services.auth import create_token
from facenapi.storage.open import open_store
from tests.support.fakes import FakeDetector
from tests.support.live import Server


class FakeServer(Server):
    """A server that needs no networks and starts at once; it has a store of keys, each of an owner of its own."""

    module = "tests.support.fake_server"
    _keys: list[str]

    def new_key(self) -> str:
        """Return the key of a new owner."""
        if not getattr(self, "_keys", None):
            self._keys = self._command("keys").split()
        return self._keys.pop()

    def wait_for_log(self, text: str, timeout_s: float = 30.0) -> bool:
        """Whether a text comes up in the log."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log.read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


async def _print_keys(arguments: list[str], count: int = 200) -> None:
    config, _ = load(arguments)
    store = open_store(config, shared=True)
    await store.start()
    for key, _ in await asyncio.gather(*(create_token(store) for _ in range(count))):
        print(key)
    await store.close()


if __name__ == "__main__":
    serve.Application = functools.partial(Application, detector=FakeDetector())
    if sys.argv[1] == "keys":
        asyncio.run(_print_keys(sys.argv[2:]))
    else:
        sys.exit(cli.main(sys.argv[1:]))
