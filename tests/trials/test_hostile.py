"""The trial of hostile requests in its quick form: what it counts; how long anything takes depends on the machine."""

import json
import subprocess
import sys

import pytest

from scripts.trial_hostile import MEMORY_BOUND
from tests.support.live import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_hostile_requests_stop_nobody(model_pack):
    command = [sys.executable, str(ROOT / "scripts" / "trial_hostile.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == []
    assert figures["unexpected_errors"] == 0
    assert figures["attacks"] >= 60
    assert figures["sent"] > 20
    assert figures["ordinary_requests"] > 4
    assert figures["memory_after_mb"] < figures["memory_before_mb"] * MEMORY_BOUND
