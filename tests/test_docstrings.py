"""The examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

WITH_EXAMPLES = [
    path.relative_to(ROOT)
    for folder in ("facenapi", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if re.search(r"^ *>>> ", path.read_text("utf-8"), re.MULTILINE)
]


# What knows Milvus loads pymilvus, and that pandas.
@pytest.mark.parametrize("path", [
    pytest.param(path, marks=pytest.mark.slow if "milvus" in path.parts else ()) for path in WITH_EXAMPLES
], ids=str)  # fmt: skip
def test_examples_hold(path: Path):
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
