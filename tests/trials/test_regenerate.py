"""Forty faces move to another model; scripts/trial_regenerate.py moves a thousand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_faces_move_and_none_is_lost(dlib_pack):
    words = [sys.executable, ROOT / "scripts" / "trial_regenerate.py", "--quick", f"--old={dlib_pack}"]
    trial = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert trial.returncode == 0, trial.stdout + trial.stderr
