"""Signals before the fit, during a checkpoint, after the last step, and twice."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, Train
from tests.faults import invariants
from tests.faults.children import Child, handles


def start(tmp_path: Path, waits_for: str, *options: str) -> Child:
    """A run that has written a file that matches `waits_for` in `outputs`."""
    child = Child([*TINY, f"out={tmp_path / 'outputs'}", *options], tmp_path / "console")
    child.wait_for(lambda: list((tmp_path / "outputs").glob(waits_for)))
    return child


def result_of(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    (folder,) = (tmp_path / "outputs").iterdir()
    return folder, json.loads((folder / "result.json").read_text())


@pytest.mark.fault(9)
def test_sigusr1_never_ends_a_run(tmp_path: Path):
    """SIGUSR1 from the start of Python to the end of the run."""
    child = Child([*TINY, f"out={tmp_path / 'outputs'}", "steps=60", "keep_checkpoint=true"], tmp_path / "console")
    child.wait_for(lambda: handles(child.pid, signal.SIGUSR1))
    while child.running():
        child.send(signal.SIGUSR1)
        time.sleep(0.05)
    assert child.wait(60) == 0, child.text


@pytest.mark.fault(9)
def test_a_signal_in_the_first_step_is_handled(tmp_path: Path):
    child = start(tmp_path, "*/images/target.png", "steps=100000", "record_every=1000")
    child.send(signal.SIGTERM)
    assert child.wait(60) == 143, child.text
    assert result_of(tmp_path)[1]["status"] == "interrupted"


@pytest.mark.fault(9)
def test_a_second_interrupt_ends_at_once(tmp_path: Path):
    options = ("steps=100000", "checkpoint_every=1", "record_every=1000")
    child = start(tmp_path, "*/checkpoints/step-*.ckpt", *options)
    child.send(signal.SIGINT)
    child.send(signal.SIGINT)
    assert child.wait(60) == 130, child.text
    (folder,) = (tmp_path / "outputs").iterdir()
    assert invariants.usable(folder)


@pytest.mark.fault(10)
def test_a_signal_while_a_checkpoint_is_written(train: Train, tmp_path: Path):
    """With a checkpoint after every step, nearly every signal arrives during one."""
    child = start(tmp_path, "*/images/step-000020.png", "steps=400", "checkpoint_every=0")
    child.send(signal.SIGTERM)
    assert child.wait(60) == 143, child.text
    folder, result = result_of(tmp_path)
    assert invariants.litter(folder) == []
    done = train("steps=400", "checkpoint_every=0")
    assert done.returncode == 0, done.stderr
    assert f"continuing from step-{result['steps']:09d}" in done.stderr


@pytest.mark.fault(9)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_after_the_last_step_saves_the_result_first(tmp_path: Path, number: signal.Signals, code: int):
    """The figures may be missing. The same command draws them."""
    child = start(tmp_path, "*/images/restored.png", "steps=40", "record_every=1")
    child.send(number)
    assert child.wait(60) == code, child.text
    folder, result = result_of(tmp_path)
    assert result["status"] == "finished"
    assert invariants.litter(folder) == []
    assert not (folder / "checkpoints").exists()
    assert "Traceback" not in child.text
