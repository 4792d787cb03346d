"""Killed many times at random steps, a run ends like an undisturbed run: every file, weight and average."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.faults import invariants
from tests.faults.children import Child

OPTIONS = (
    *TINY, "stop=emv", "stop.patience=100000", "record_every=1", "snapshot_every=50", "checkpoint_every=0.02",
    "keep_checkpoint=true", "baselines=false",
)  # fmt: skip


def recorded_step(out: Path) -> int:
    """The step of the last complete line of the run's `metrics.csv`; 0 before the first."""
    for path in out.glob("*/metrics.csv"):
        step = path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0]
        return int(step) if step.isdigit() else 0
    return 0


@pytest.mark.fault(1, 4, 8)
@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_random_kills_in_one_run_change_nothing(tmp_path: Path, times: int):
    rng = random.Random(0)
    options = [*OPTIONS, f"steps={20 * times}"]

    def start(out: str) -> Child:
        return Child([*options, f"out={tmp_path / out}"], tmp_path / f"{out}.txt")

    assert start("whole").wait(600) == 0
    out = tmp_path / "killed"
    for step in sorted(rng.randrange(18 * times) for _ in range(times)):
        child = start("killed")
        child.wait_for(lambda step=step: recorded_step(out) >= step)
        time.sleep(rng.uniform(0, 0.1))
        child.send(signal.SIGKILL)
        assert child.wait(60) in (-signal.SIGKILL, 0)
        for folder in out.glob("*"):
            # A kill leaves at most the file that was being written, and the next start removes it.
            assert len(list(folder.rglob(".*.tmp"))) <= 1
            assert len(list((folder / "checkpoints").glob("*"))) <= 3 + 1
    last = start("killed")
    assert last.wait(600) == 0, last.text
    (whole,), (killed,) = (tmp_path / "whole").iterdir(), out.iterdir()
    assert invariants.differences(invariants.evidence(killed), invariants.evidence(whole)) == []
    assert invariants.litter(killed) == []
