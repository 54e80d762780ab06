"""One line per request, and its figures. Never a token: neither headers nor the query reach the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

    from facenapi.process.metrics import Metrics

log = logging.getLogger("facenapi.access")


class _Owner(Protocol):
    metrics: Metrics


class Answered(Protocol):
    """A handler that has answered, as the log sees it."""

    SUPPORTED_METHODS: tuple[str, ...]
    app: _Owner
    owner: str
    request: HTTPServerRequest
    request_id: str
    stages: dict[str, float]

    def get_status(self) -> int:
        """Return the status of the answer."""


def log_request(handler: Any) -> None:
    """Log a finished request: errors of the server as errors, of the client as warnings."""
    api: Answered = handler
    status, request = api.get_status(), api.request
    method, seconds = request.method or "-", request.request_time()
    counted = method if method in api.SUPPORTED_METHODS else "other"  # clients must not make labels
    api.app.metrics.request(type(api).__name__, counted, status, seconds, api.stages)
    level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
    if log.isEnabledFor(level):
        stages = "".join(f" {name}={1000 * spent:.1f}" for name, spent in api.stages.items())
        # Quoted as in a string literal: a path must not be able to write a line of its own.
        path = request.path[:200].encode("unicode_escape").decode()
        log.log(
            level,
            "id=%s owner=%s from=%s method=%s path=%s status=%d ms=%.1f%s",
            api.request_id,
            api.owner or "-",
            request.remote_ip,
            method,
            path,
            status,
            1000 * seconds,
            stages,
        )
