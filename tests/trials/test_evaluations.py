"""The evaluation scripts on the small sets that they make of the two portraits at hand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["verification", "detection", "attributes"])
def test_an_evaluation_runs_and_says_what_it_found(model_pack, what):
    words = [sys.executable, ROOT / "scripts" / f"eval_{what}.py", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(what)
    assert done.stdout.endswith("all bounds held\n")
