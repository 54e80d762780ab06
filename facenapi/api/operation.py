"""The declaration of an operation: one place for what a method takes, answers and refuses.

The decorator reads the declared parameters before the method runs, and the documentation
(``handlers/docs.py``) is generated from the same declaration, so it cannot lie.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from facenapi.api.params import Param

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What the documentation says of a method.

    ``answer``: JSON schema of the 2xx body, None for 204. ``errors``: codes beyond those that every
    operation can answer. ``headers``: of the 2xx answer, with their meaning. ``public``: answers without a
    token. ``interruptible``: a client that hangs up cancels it.
    """

    summary: str
    params: tuple[Param, ...]
    answer: Schema | None
    status: int
    errors: tuple[str, ...]
    example: dict[str, Any]
    headers: dict[str, str]
    public: bool
    interruptible: bool

    @property
    def takes_photos(self) -> bool:
        """Whether it is about a photo that the client sends or names."""
        return any(param.kind.photo for param in self.params)


def operation(
    summary: str,
    *params: Param,
    answer: Schema | None = None,
    status: int = 200,
    errors: tuple[str, ...] = (),
    example: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    public: bool = False,
    interruptible: bool = False,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Declare a handler's method; its parameters arrive as keyword arguments beside those of the path."""
    declared = Operation(summary, params, answer, status, errors, example or {}, headers or {}, public, interruptible)

    def decorate(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(method)
        async def run(handler: Any, **path: str) -> None:
            parameters = handler.parameters
            values = {param.name: param.read(parameters) for param in params}
            await handler.run(method(handler, **path, **values), declared.interruptible)

        run.operation = declared  # type: ignore[attr-defined]
        return run

    return decorate


def operation_of(method: Any) -> Operation | None:
    """Return what was declared for a handler's method, None if nothing."""
    return getattr(method, "operation", None)
