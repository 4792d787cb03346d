"""Signals before the fit, during a checkpoint, after the last step, and twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, Train, environment
from tests.faults import invariants
from tests.faults.children import handles


def started(tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    given = [*TINY, f"out={tmp_path / 'outputs'}", *options]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *given], stderr=subprocess.PIPE, text=True, env=environment()
    )


def wait_for(process: subprocess.Popen[str], there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not there():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.fault(9)
def test_sigusr1_never_ends_a_run(tmp_path: Path):
    """SIGUSR1 from the start of Python to the end of the run."""
    process = started(tmp_path, "steps=60", "keep_checkpoint=true")
    if not Path(f"/proc/{process.pid}/status").exists():
        pytest.skip("needs /proc")
    wait_for(process, lambda: handles(process.pid, signal.SIGUSR1))
    while process.poll() is None:
        os.kill(process.pid, signal.SIGUSR1)
        time.sleep(0.05)
    stderr = process.communicate()[1]
    assert process.returncode == 0, stderr


@pytest.mark.fault(9)
def test_a_signal_in_the_first_step_is_handled(tmp_path: Path):
    process = started(tmp_path, "steps=100000", "record_every=1000")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/images/target.png")))
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 143, stderr
    assert json.loads(next(tmp_path.glob("outputs/*/result.json")).read_text())["status"] == "interrupted"


@pytest.mark.fault(9)
def test_a_second_interrupt_ends_at_once(tmp_path: Path):
    process = started(tmp_path, "steps=100000", "checkpoint_every=1", "record_every=1000")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/checkpoints/step-*.ckpt")))
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130, stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    assert invariants.litter(folder) == [] or list((folder / "checkpoints").glob("step-*.ckpt"))


@pytest.mark.fault(10)
def test_a_signal_while_a_checkpoint_is_written(train: Train, tmp_path: Path):
    """With a checkpoint after every step, nearly every signal arrives during one. It is complete, and the run resumes."""
    process = started(tmp_path, "steps=400", "checkpoint_every=0")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/images/step-000020.png")))
    os.kill(process.pid, signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 143, stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    reached = json.loads((folder / "result.json").read_text())["steps"]
    assert not list(folder.rglob(".*.tmp"))
    done = train("steps=400", "checkpoint_every=0")
    assert done.returncode == 0, done.stderr
    assert f"continuing from step-{reached:09d}" in done.stderr


@pytest.mark.fault(9)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_after_the_last_step_saves_the_result_first(
    tmp_path: Path, number: signal.Signals, code: int
):
    """The figures may be missing. The same command draws them."""
    process = started(tmp_path, "steps=40", "record_every=1")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/images/restored.png")))
    os.kill(process.pid, number)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == code, stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    assert invariants.litter(folder) == []
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert not (folder / "checkpoints").exists()
    assert "Traceback" not in stderr
