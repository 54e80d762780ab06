"""``facenapi serve``: the server until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from facenapi import __version__
from facenapi.app import Application
from facenapi.commands.common import on_signal, read_again
from facenapi.config.options import Config
from facenapi.config.reader import load
from facenapi.process import allocator, descriptors, switch_interval, systemd
from facenapi.process.logs import set_up_logging
from facenapi.process.private import become_owner

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; a second signal ends at once."""
    config, warnings = load(arguments)
    become_owner(Path(config.data_dir))
    set_up_logging(config)
    for warning in warnings:
        log.warning("%s", warning)
    descriptors.raise_limit()
    allocator.return_large_blocks()
    switch_interval.take_short_turns()
    status = asyncio.run(_serve(config, arguments))
    _leave_behind(status)
    return status


def _leave_behind(status: int) -> None:
    """End at once if a thread is in a call that need not come back: the look-up of a name that nobody answers, say.

    Python would wait for it.
    """
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)


async def _serve(config: Config, arguments: Sequence[str]) -> int:
    app = Application(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, _reload, app, arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, stop)
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        # A signal during a long start ends it.
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 0
        await starting
        port = app.listen()
        log.info("facenapi %s serves http://%s:%d/", __version__, config.host, port)
        systemd.ready()
        await stopping
        log.info("Stopping: finishing %d requests", app.requests.running)
        systemd.stopping()
        await app.drain()
    finally:
        await app.close()
    return 0


def _reload(app: Application, arguments: Sequence[str]) -> None:
    """Read the configuration again; a mistake in it changes nothing."""
    if app.listening:  # before, "ready" would be a lie
        systemd.reloading()
    read_again(arguments, app.reload)
    if app.listening:
        systemd.ready()
