"""Killed many times at random steps, a run ends like an undisturbed run: every file, weight and average."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.disturbed import Child, differences, litter, only

OPTIONS = (
    *TINY, "optimizer=muon", "record_every=1", "snapshot_every=50", "checkpoint_every=0.02", "keep_checkpoint=true",
)  # fmt: skip


def recorded_step(out: Path) -> int:
    """The step of the last complete line of the run's `metrics.csv`; 0 before the first."""
    for path in out.glob("*/metrics.csv"):
        step = path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0]
        return int(step) if step.isdigit() else 0
    return 0


@pytest.mark.fault(1, 4, 8)
@pytest.mark.parametrize(("times", "stop"), [(2, "wmv"), pytest.param(50, "emv", marks=pytest.mark.slow)])
def test_random_kills_in_one_run_change_nothing(fit, tmp_path, times, stop):
    rng, out = random.Random(0), tmp_path / "killed"
    given = (*OPTIONS, f"steps={20 * times}", f"stop={stop}", "stop.patience=100000")

    def start() -> Child:
        return Child([*given, f"out={out}"], tmp_path / "console")

    for step in sorted(rng.randrange(18 * times) for _ in range(times)):
        child = start()
        child.wait_for(lambda step=step: recorded_step(out) >= step)
        time.sleep(rng.uniform(0, 0.1))
        child.kill()
        assert child.ended() in (-signal.SIGKILL, 0)
        for folder in out.glob("*"):
            # A kill leaves at most the file that was being written, and the next start removes it.
            assert len(list(folder.rglob(".*.tmp"))) <= 1
            assert len(list((folder / "checkpoints").glob("*"))) <= 3 + 1
    last = start()
    assert last.ended() == 0, last.output
    assert "continuing from step-" in last.output
    assert differences(only(out), fit(*given)[0]) == []
    assert litter(only(out)) == []
