"""Killed many times at random steps, a run ends like an undisturbed run: every file, weight and average."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment


@pytest.mark.fault(1, 4, 8)
@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_random_kills_in_one_run_change_nothing(tmp_path: Path, times: int):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kills", str(tmp_path), str(times), "0"],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["codes"] == [-9] * times
    assert seen["wrong"] == []
    assert seen["left"] == []
    # A kill leaves at most the file that was being written, and the next start removes it.
    assert max(seen["litter"]) <= 2
    assert max(seen["files"]) <= 3 + 1
