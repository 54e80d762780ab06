"""GET /health: does it live, is it ready? And /metrics."""

from __future__ import annotations

from facenapi.api.operation import operation
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import TEXT, TRUTH, record
from facenapi.process import metrics


class LiveHandler(ApiHandler):
    """Whether the process answers at all."""

    probe = True

    @operation("Whether the process lives", answer=record({"status": TEXT}), public=True)
    async def get(self) -> None:
        """Answer, which is all that is asked."""
        self.answer({"status": "ok"})


class ReadyHandler(ApiHandler):
    """Whether requests can be served now, and by what."""

    probe = True

    @operation("Whether requests can be served", answer=record({"ready": TRUTH}), public=True)
    async def get(self) -> None:
        """Answer 200 with the state of every part, 503 if it cannot serve; one search shard is enough."""
        state = await self.app.readiness()
        self.answer(state, 200 if state["ready"] else 503)


class MetricsHandler(ApiHandler):
    """Figures for Prometheus."""

    probe = True

    @operation("Figures in Prometheus' text format", answer=TEXT, public=True)
    async def get(self) -> None:
        """Answer all figures."""
        self.set_header("Content-Type", metrics.CONTENT_TYPE)
        self.finish(self.app.metrics.text())
