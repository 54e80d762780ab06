"""The overload trial in its quick form: what it counts, and medians, which a busy machine leaves alone."""

import json
import subprocess
import sys

import pytest

from tests.support.live import ROOT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_accepted_requests_keep_their_speed_and_the_rest_is_refused_at_once(model_pack):
    command = [sys.executable, str(ROOT / "scripts" / "trial_overload.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    figures = json.loads(done.stdout)
    assert figures["wrong"] == 0
    assert figures["refused"] > 4 * figures["accepted"] > 0
    assert figures["slower_p50"] < 2
    assert figures["refused_p50_ms"] <= 50
