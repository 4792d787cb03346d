"""Signals at awkward times: before the fit, while a checkpoint is written, twice."""

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
from tests.faults.children import hears


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


def test_a_request_to_save_never_ends_a_run(tmp_path: Path):
    """SIGUSR1 as soon as Python has started, again and again until the run is over."""
    process = started(tmp_path, "steps=60", "keep_checkpoint=true")
    if not Path(f"/proc/{process.pid}/status").exists():
        pytest.skip("needs /proc")
    wait_for(process, lambda: hears(process.pid, signal.SIGUSR1))
    while process.poll() is None:
        os.kill(process.pid, signal.SIGUSR1)
        time.sleep(0.05)
    stderr = process.communicate()[1]
    assert process.returncode == 0, stderr


def test_a_signal_in_the_first_step_is_heard(tmp_path: Path):
    process = started(tmp_path, "steps=100000", "record_every=1000")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/images/target.png")))
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode in (143, -signal.SIGTERM), stderr


def test_a_second_interrupt_ends_at_once(tmp_path: Path):
    """Also where the first has no end of its own: the process is in one long step."""
    process = started(tmp_path, "steps=100000", "checkpoint_every=1", "record_every=1000")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/checkpoints/step-*.ckpt")))
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130, stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    assert invariants.litter(folder) == [] or list((folder / "checkpoints").glob("step-*.ckpt"))


def test_told_to_end_while_saving(train: Train, tmp_path: Path):
    """With a checkpoint after every step nearly every signal falls into one: it is whole, and the run goes on."""
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_told_to_end_while_it_draws_it_is_done_first(tmp_path: Path, number: signal.Signals, code: int):
    """Those who draw take an interrupt for an error of their own; the run's last step is made, and seconds are left."""
    process = started(tmp_path, "steps=40", "record_every=1")
    wait_for(process, lambda: list((tmp_path / "outputs").glob("*/images/restored.png")))
    os.kill(process.pid, number)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == code, stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    assert not (folder / ".lock").exists()
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert list((folder / "figures").glob("*.png"))
    assert not (folder / "checkpoints").exists()
    assert "saving and drawing first" in stderr
    assert "Traceback" not in stderr
