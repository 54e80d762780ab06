"""A minute and a half of the soak trial, or three; scripts/trial_soak.py takes twenty.

It sees when pixels of photos stay behind (+20 % with 178 requests, on a busy machine), and any descriptor or task.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.effort import LONG

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_leaks_under_mixed_traffic(model_pack):
    words = [sys.executable, ROOT / "scripts" / "trial_soak.py", f"--minutes={3 if LONG else 1.5}"]
    trial = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert trial.returncode == 0, trial.stdout + trial.stderr
