"""One line per request. Never a token: neither headers nor the query reach the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.web import RequestHandler

log = logging.getLogger("facenapi.access")


def log_request(handler: RequestHandler) -> None:
    """Log a finished request: errors of the server as errors, of the client as warnings."""
    status = handler.get_status()
    level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
    request = handler.request
    log.log(
        level,
        "%s %s %d %.1fms %s",
        request.method,
        request.path[:200].encode("unicode_escape").decode(),
        status,
        1000 * request.request_time(),
        request.remote_ip,
    )
