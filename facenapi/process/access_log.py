"""One line per request, and its figures. Never a token: neither headers nor the query reach the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from facenapi.process.logs import Fields

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest, RequestStartLine

    from facenapi.errors import ApiError
    from facenapi.process.metrics import Metrics

log = logging.getLogger("facenapi.access")


class _Owner(Protocol):
    metrics: Metrics


class Answered(Protocol):
    """A handler that has answered, as the log sees it. ``probe``: asked again and again by machines."""

    SUPPORTED_METHODS: tuple[str, ...]
    probe: bool
    app: _Owner
    owner: str
    method: str
    refused: ApiError | None
    request: HTTPServerRequest
    request_id: str
    stages: dict[str, float]

    def get_status(self) -> int:
        """Return the status of the answer."""


def log_request(handler: Any) -> None:
    """Log a finished request: errors of the server as errors, of the client as warnings, with their code."""
    api: Answered = handler
    status, request = api.get_status(), api.request
    seconds = request.request_time()
    counted = api.method if api.method in api.SUPPORTED_METHODS else "other"  # clients must not make labels
    api.app.metrics.request(type(api).__name__, counted, status, seconds, api.stages)
    level = logging.DEBUG if api.probe else _level(status)
    if log.isEnabledFor(level):
        line = Fields(
            id=api.request_id,
            owner=api.owner or "-",
            **{"from": request.remote_ip},
            method=_quoted(api.method),
            path=_quoted(_told(request.path)),
            status=status,
        )
        if api.refused is not None:
            line |= _why(api.refused)
        line["ms"] = round(1000 * seconds, 1)
        line |= {name: round(1000 * spent, 1) for name, spent in api.stages.items()}
        log.log(level, line)


def _told(path: str) -> str:
    """Return the beginning of a path, without what makes the link to a kept photo one that nobody can guess."""
    before, uploads, name = path.rpartition("/uploads/")
    return (f"{before}{uploads}{name.partition('-')[0]}-*" if uploads and "-" in name else path)[:200]


def log_refusal(
    address: str, request_id: str, start_line: RequestStartLine | None, error: ApiError, seconds: float
) -> None:
    """Log a refusal that no handler gave; of the request is known what its start line says, if it came."""
    line = Fields(
        id=request_id,
        owner="-",
        **{"from": address},
        method=_quoted(start_line.method) if start_line else "-",
        path=_quoted(_told(start_line.path.partition("?")[0])) if start_line else "-",
        status=error.status,
        **_why(error),
        ms=round(1000 * seconds, 1),
    )
    log.log(_level(error.status), line)


def _level(status: int) -> int:
    return logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR


def _why(error: ApiError) -> dict[str, str]:
    """Return the code of a refusal, the rule that a photo broke, and what of a failure is not for clients."""
    more = {name: _quoted(getattr(error, name, "")[:200]) for name in ("rule", "detail")}
    return {"code": error.code} | {name: value for name, value in more.items() if value}


def _quoted(text: str) -> str:
    """Return a text as in a string literal: it must not be able to write a line of its own."""
    return text.encode("unicode_escape").decode()
