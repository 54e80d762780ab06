"""A minute of the linearity trial; scripts/trial_linear.py takes five."""

import json
import subprocess
import sys

import pytest

from tests.support.live import ROOT


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_answer_contradicts_another():
    command = [sys.executable, str(ROOT / "scripts" / "trial_linear.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert (done.returncode, figures["wrong"]) == (0, [])
