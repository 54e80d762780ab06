"""The trial of confused histories in its quick form."""

import json
import subprocess
import sys

import pytest

from tests.commands.conftest import ROOT


@pytest.mark.slow
def test_no_answer_is_contradicted_by_the_store():
    command = [sys.executable, "scripts/trial_history.py", "--quick", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=300)
    figures = json.loads(done.stdout.splitlines()[0])
    assert (done.returncode, figures["wrong"]) == (0, 0), figures
    assert figures["answers"] > 200
