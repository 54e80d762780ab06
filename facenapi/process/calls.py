"""What can go wrong with an HTTP call, by Tornado's client or Python's own: the one list for all callers.

A client raises more than its documentation says, and what it raises depends on where in a message the other side
talks nonsense: a head that is too long is an ``UnsatisfiableReadError``, a bad number a ``ValueError``.
"""

from __future__ import annotations

import zlib
from http.client import HTTPException

from tornado.httpclient import HTTPClientError
from tornado.httputil import HTTPInputError, HTTPOutputError
from tornado.iostream import UnsatisfiableReadError

# StreamClosedError, time-outs, refused connections and TLS errors are OSErrors; bad Unicode is a ValueError.
CALL_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    HTTPException,
    HTTPClientError,
    HTTPInputError,
    HTTPOutputError,
    UnsatisfiableReadError,
    ValueError,
    RecursionError,
    zlib.error,
)
