"""The application: builds, owns, starts and stops everything."""

from __future__ import annotations

import asyncio
import logging
import threading
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any

from tornado.netutil import bind_sockets
from tornado.web import Application as WebApplication

from facenapi import __version__, clock
from facenapi.clock import MILLISECONDS_A_DAY
from facenapi.console.files import ConsoleFiles
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import ApiError, StartupError
from facenapi.handlers.guide_files import GuideFiles
from facenapi.process import allocator, systemd
from facenapi.process.access_log import log_request
from facenapi.process.admission import Admission
from facenapi.process.listener import Listener
from facenapi.process.metrics import Metrics
from facenapi.process.supervised import Loop, Loops, faults, gauges
from facenapi.process.watchdog import Pulse
from facenapi.search.open import open_searcher
from facenapi.services.auth import Authenticator
from facenapi.services.enrol import Enroller
from facenapi.services.faces import FaceKeeper
from facenapi.services.foreign import ForeignFaces
from facenapi.services.galleries import GalleryKeeper
from facenapi.services.identify import Identifier
from facenapi.services.merge import PersonMerger
from facenapi.services.persons import PersonFinder
from facenapi.services.photos import PhotoLoader
from facenapi.services.quality import QualityGate
from facenapi.services.sweep import open_pictures
from facenapi.services.verify import Verifier
from facenapi.storage.open import open_store
from facenapi.urls import routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facenapi.config.options import Config
    from facenapi.detector.base import Detector
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

COUNT_S = 20.0  # between two looks for faces of another model
ASK_S = 2.0  # how old what strangers are told of the store may be
PATIENCE_S = 60.0
FORGET_S = 3600.0
REST_S = 10.0  # between two looks for memory that is no longer needed
TOMBSTONES_MS = 30 * MILLISECONDS_A_DAY  # a shard that was away for longer reads everything anew


class Application:
    """The server and everything in it. Create and use it on one event loop.

    ``store`` and ``detector`` can be passed in; otherwise they are made as the configuration says.
    """

    def __init__(self, config: Config, *, store: Store | None = None, detector: Detector | None = None) -> None:
        self.config = config
        self.draining = False
        self.requests = Admission(config)
        self.metrics = Metrics(self._gauges)
        self.store: Store = store or open_store(config)
        self.detector: Detector = detector or FaceDetector(config, self.metrics.batch)
        self.searcher = open_searcher(
            config, self.store, lambda: (self.detector.embedding_name, self.detector.dimension)
        )
        self.photos = PhotoLoader(config)
        self.auth = Authenticator(config, self.store)
        self.pictures = open_pictures(config, self.store)
        self.foreign = ForeignFaces(self.store, self.searcher, self.detector.embedding_name)
        self.faces = FaceKeeper(self.store, self.searcher, self.pictures)
        self.galleries = GalleryKeeper(self.store, self.faces)
        self.persons = PersonFinder(config, self.detector, self.store, self.searcher)
        self.merger = PersonMerger(self.store, self.searcher)
        self.enroller = Enroller(
            self.photos,
            self.detector,
            self.store,
            self.searcher,
            gate=QualityGate(config, self.detector),
            persons=self.persons,
            pictures=self.pictures,
        )
        self.identifier = Identifier(config, self.photos, self.detector, self.store, self.searcher)
        self.verifier = Verifier(self.photos, self.detector)
        self.console = ConsoleFiles() if config.console else None
        self.guide = GuideFiles(config.guide_dir)
        self.web = WebApplication(routes(self), log_function=log_request)
        self._http: Listener | None = None
        self._started: list[Any] = []
        self.loops = Loops("The server")
        self._store_state = self._store_reason = "not asked yet"  # in full, and what strangers may know

    async def start(self) -> None:
        """Start everything, in the order of dependence; raise StartupError with advice."""
        for part in (self.store, self.detector, self.searcher, self.pictures):
            self._started.append(part)
            systemd.status(f"Starting the {type(part).__name__}")
            await part.start()
        await self.photos.start()
        self.loops.repeat("beat", Pulse(self.metrics).beat, 0, patience_s=PATIENCE_S)
        self.loops.repeat("ask the store", self._ask_store, ASK_S, first_s=0, patience_s=PATIENCE_S)
        self.loops.repeat("count foreign faces", self.foreign.count, COUNT_S, first_s=1)
        self.loops.repeat("give memory back", self._let_go, REST_S)
        self.loops.repeat("forget old deletions", self._forget_tombstones, FORGET_S, first_s=ASK_S)

    def listen(self) -> int:
        """Open the port and return its number; raise StartupError if it is taken."""
        config = self.config
        try:
            sockets = bind_sockets(config.port, config.host)
        except OSError as error:
            other = "; another program has the port: choose one with --port" if error.errno == EADDRINUSE else ""
            raise StartupError(f"Cannot listen on {config.host}:{config.port}: {error.strerror}{other}") from error
        self._http = Listener(self.web, config=config)
        self._http.add_sockets(sockets)
        port: int = sockets[0].getsockname()[1]
        return port

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._http is not None

    def reload(self, config: Config) -> tuple[list[str], list[str]]:
        """Take over what can change at run time; return what changed, and what needs a restart."""
        self.auth.forget()
        return self.config.adopt(config)

    async def readiness(self) -> dict[str, Any]:
        """Return whether requests can be served, and the state of each part."""
        await self._ask_store()
        shards = [shard.info() for shard in self.searcher.shards]
        reason = self._why_not_ready("" if self._store_state == "ok" else self._store_state)
        return {
            "version": __version__,
            "ready": not reason,
            "reason": reason,
            "draining": self.draining,
            "store": self._store_state,
            "detector": self.detector.info(),
            "search": {"live": sum(bool(info["ready"]) for info in shards), "total": len(shards), "shards": shards},
            "requests": self.requests.running,
            **self.foreign.view(),
        }

    def briefly(self) -> dict[str, Any]:
        """Return whether requests can be served and why not, for strangers: no addresses, nothing is asked for it."""
        reason = self._why_not_ready(self._store_reason)
        return {"ready": not reason, "reason": reason}

    def _why_not_ready(self, of_store: str) -> str:
        """Return why not, "" if it is; ``of_store``: what is told of the store that does not work."""
        if self.draining:
            return "The server is being stopped"
        if of_store:
            return f"The store does not work: {of_store}"
        if not any(shard.ready for shard in self.searcher.shards):
            return "No search shard is ready"
        return "; ".join(faults(self._own_loops()))

    def _own_loops(self) -> Iterator[Loop]:
        """Yield what runs again and again and has to; of several shards each is ready or not by itself."""
        yield from self.loops
        if self._http is not None:
            yield from self._http.loops
        yield from self.store.loops
        yield from self.pictures.loops
        if len(self.searcher.shards) == 1:
            yield from self.searcher.shards[0].loops

    async def _ask_store(self) -> None:
        try:
            await self.store.ping()
        except ApiError as error:
            self._store_state, self._store_reason = str(error), error.reason
        else:
            self._store_state, self._store_reason = "ok", ""

    async def _forget_tombstones(self) -> None:
        """Let go of what was deleted so long ago that no reader of the feed can have missed it."""
        now = clock.now_ms()
        while await self.store.forget_tombstones(now, now - TOMBSTONES_MS):
            await asyncio.sleep(0.1)

    async def _let_go(self) -> None:
        await self.detector.let_go()
        await asyncio.to_thread(self.photos.let_go)
        await asyncio.to_thread(allocator.trim)

    def _gauges(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Return the figures that are read when Prometheus asks."""
        yield "requests_in_flight", {}, self.requests.running
        yield "body_bytes", {}, self.requests.bodies.used
        yield "answer_bytes", {}, self.requests.answers.used
        yield "connections", {}, self._http.connections if self._http else 0
        yield "ready", {}, not self._why_not_ready(self._store_reason)
        yield "tasks", {}, len(asyncio.all_tasks())
        yield "threads", {}, threading.active_count()
        yield "decode_queue", {}, self.photos.busy
        yield "decoders_replaced", {}, self.photos.deaths
        for name, depth in self.detector.info().get("queues", {}).items():
            yield "inference_queue", {"network": name}, depth
        others = [loop for shard in self.searcher.shards for loop in shard.loops if len(self.searcher.shards) > 1]
        yield from gauges([*self._own_loops(), *others])
        for number, shard in enumerate(self.searcher.shards):
            for name, value in shard.info().items():
                if isinstance(value, int | float):
                    yield f"shard_{name}", {"shard": str(number)}, float(value)

    async def drain(self) -> None:
        """Take no new connections, finish what is in flight, stop everything."""
        self.draining = True
        if self._http is not None:
            self._http.stop()
        try:
            await asyncio.wait_for(self.requests.idle(), self.config.shutdown_timeout)
        except TimeoutError:
            log.warning("%d requests did not finish in time", self.requests.running)
        if self._http is not None:
            await self._http.close_all_connections()
        await self.close()

    async def close(self) -> None:
        """Stop what was started, in reverse order."""
        await self.loops.stop()
        self.photos.close()
        while self._started:
            await self._started.pop().close()
