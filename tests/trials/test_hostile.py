"""The trial of hostile requests in its quick form: what it counts; how long anything takes depends on the machine.

Its bound of memory afterwards is missed (docs/notes/measurements.rst), and left to the trial.
"""

import json
import subprocess
import sys

import pytest

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
