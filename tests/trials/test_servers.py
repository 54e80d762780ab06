"""A few rounds of the trials over FerretDB, of which scripts/trial_servers.py and scripts/trial_kill9.py do many."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ferret

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(ferret.program() is None, reason="FerretDB is not built")
@pytest.mark.parametrize("words", ["trial_servers.py --quick", "trial_kill9.py --ferretdb --quick"])
def test_over_ferretdb(model_pack, words):
    script, *options = words.split()
    command = [sys.executable, ROOT / "scripts" / script, *options]
    trial = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert trial.returncode == 0, trial.stdout + trial.stderr
