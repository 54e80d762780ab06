"""Run one search shard: the part of the faces whose cells the table gives to its address.

The table (option tntapi_servers_file) is shared by all shards and API servers; shard_address says which of its
addresses this process is. The shard reads the faces from the store, listens on the address, answers /health
with 200 as soon as it has caught up, and follows the store from then on.

    facenapi shard --config=/etc/findface-facenapi.ini --shard_address=127.0.0.1:33001
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial

from facenapi import __version__
from facenapi.commands.common import on_signal, parse, parser, read_again
from facenapi.config.options import Config
from facenapi.errors import StartupError
from facenapi.process import allocator, descriptors, switch_interval, systemd
from facenapi.process.logs import set_up_logging
from facenapi.search.remote.server import ShardServer
from facenapi.storage.open import database_file, open_store

log = logging.getLogger(__name__)

_PULSE_S = 5.0


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; a second signal ends at once."""
    _, config = parse(parser("shard", __doc__), arguments)
    again = partial(read_again, arguments, config.adopt)
    if not config.tntapi_servers_file:
        raise StartupError("shard: tntapi_servers_file must name the table of search shards")
    set_up_logging(config)
    descriptors.raise_limit()  # a file for each segment of the index
    allocator.return_large_blocks()  # each segment that is loaded needs some for a moment
    switch_interval.take_short_turns()
    return asyncio.run(_serve(config, again))


async def _serve(config: Config, reload: Callable[[], None]) -> int:
    database = database_file(config)
    if database is not None and not database.exists():
        raise StartupError(f"There is no database {database} yet: start the API server first")
    store = open_store(config, shared=True)
    server = ShardServer.from_config(config, store)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, stop)
    try:
        await store.start()
        port = await server.start()
        log.info("facenapi %s serves the search shard %s on port %d", __version__, config.shard_address, port)
        systemd.ready()
        server.loops.repeat("beat", partial(_beat, server), _period(), first_s=0)
        await _until(stop, server)
        log.info("Stopping")
        systemd.stopping()
    finally:
        await server.close()
        await store.close()
    return 0


async def _until(stop: asyncio.Event, server: ShardServer) -> None:
    """Wait for a signal; raise what ends the loading before: such a shard would never be ready."""
    stopping, loading = asyncio.create_task(stop.wait()), asyncio.create_task(server.loaded())
    await asyncio.wait({stopping, loading}, return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        await loading
        await stopping
    loading.cancel()


def _period() -> float:
    """Return how often systemd wants to hear of us, in seconds."""
    return min(_PULSE_S, int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6 or _PULSE_S)


async def _beat(server: ShardServer) -> None:
    """Tell systemd that the loop turns and what the shard holds."""
    info = server.shard.info()
    systemd.watchdog()
    systemd.status(f"{'Serving' if info['ready'] else 'Loading'} {info['faces']} faces")
