"""GET /health: does it live, is it ready? And /metrics."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

from facenapi.api.operation import operation
from facenapi.errors import ApiError
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import TEXT, TRUTH, record
from facenapi.process import metrics

_OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")


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

    @operation("Whether requests can be served", answer=record({"ready": TRUTH, "reason": TEXT}), public=True)
    async def get(self) -> None:
        """Answer 200, or 503 and why; one search shard is enough. Who has a token or is here sees every part."""
        state = await self.app.readiness() if await self._is_ours() else self.app.briefly()
        self.answer(state, 200 if state["ready"] else 503)

    async def _is_ours(self) -> bool:
        """Whether a token, or a connection from this machine that no proxy made for others, asks."""
        with suppress(ApiError):
            await self.app.auth.token(self.request.headers.get("Authorization"))
            return True
        if any(name in self.request.headers for name in _OF_PROXIES):
            return False
        address = ip_address(self.request.remote_ip or "0.0.0.0")  # noqa: S104 - not to listen on
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class MetricsHandler(ApiHandler):
    """Figures for Prometheus."""

    probe = True

    @operation("Figures in Prometheus' text format", answer=TEXT, public=True)
    async def get(self) -> None:
        """Answer all figures."""
        self.set_header("Content-Type", metrics.CONTENT_TYPE)
        self.finish(self.app.metrics.text())
