"""How much is tested: every day one of each kind, in scripts/test all, by FACENAPI_TEST_LONG=1 the long forms."""

import os
from collections.abc import Iterable
from typing import Any

import pytest

LONG = os.environ.get("FACENAPI_TEST_LONG", "") not in ("", "0")


def daily(values: Iterable[Any], count: int = 1) -> list[Any]:
    """Return parameters of which the first stand for all every day; the others are marked slow."""
    first, *others = [list(values)[:count], *list(values)[count:]]
    rare = [value if isinstance(value, tuple) else (value,) for value in others]
    return [*first, *(pytest.param(*value, marks=pytest.mark.slow) for value in rare)]
