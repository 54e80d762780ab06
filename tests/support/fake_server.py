"""``facenapi`` with the FakeDetector, in a process of its own: ``python -m tests.support.fake_server serve …``."""

from __future__ import annotations

import functools
import sys

from facenapi import cli
from facenapi.app import Application
from facenapi.commands import serve
from tests.support.fakes import FakeDetector
from tests.support.live import Server


class FakeServer(Server):
    """A server that needs no networks and starts at once."""

    module = "tests.support.fake_server"


if __name__ == "__main__":
    serve.Application = functools.partial(Application, detector=FakeDetector())
    sys.exit(cli.main(sys.argv[1:]))
