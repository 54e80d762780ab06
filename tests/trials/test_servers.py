"""A few rounds of scripts/trial_servers.py over FerretDB, of which it does many by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ferret

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(ferret.program() is None, reason="FerretDB is not built")
def test_over_ferretdb(model_pack):
    command = [sys.executable, ROOT / "scripts" / "trial_servers.py", "--quick"]
    trial = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert trial.returncode == 0, trial.stdout + trial.stderr
