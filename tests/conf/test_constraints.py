"""constraints.txt: what it pins can be installed by the oldest Python that setup.cfg allows."""

from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_first_release_of_the_oldest_python_takes_every_pin():
    """By what the installed packages say of themselves, where the pinned version is the installed one."""
    (lowest,) = (
        line.partition(">=")[2].strip()
        for line in (ROOT / "setup.cfg").read_text().splitlines()
        if line.startswith("python_requires")
    )
    pins = set((ROOT / "constraints.txt").read_text().splitlines())
    pinned = [found for found in distributions() if f"{found.metadata['Name']}=={found.version}" in pins]
    assert len(pinned) > len(pins) / 2, "the environment is not of constraints.txt"
    refused = {
        found.name: found.metadata["Requires-Python"]
        for found in pinned
        if f"{lowest}.0" not in SpecifierSet(found.metadata["Requires-Python"] or "")
    }
    assert not refused
