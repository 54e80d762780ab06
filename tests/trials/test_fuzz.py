"""The fuzz trial in its quick form."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.live import ROOT


@pytest.mark.slow
def test_the_quick_trial_finds_nothing():
    command = [sys.executable, str(ROOT / "scripts" / "trial_fuzz.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figures = json.loads(done.stdout)
    assert figures["problems"] == []
    assert done.returncode == 0
    assert figures["answers"]["2xx"] > 100
    assert figures["answers"]["4xx"] > 500
