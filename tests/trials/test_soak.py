"""A minute of the soak trial, or three; scripts/trial_soak.py takes twenty.

A minute is some thousand requests: 20 kB that stay behind for each of them are a tenth of the memory.
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
