"""Signals at every time of a run: before the fit, during it, during a checkpoint, after the last step, and twice."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dip import runs
from dip.runs.checkpoint_files import stored, verified
from tests.conftest import ROOT, TINY, environment
from tests.disturbed import Child, litter, only

pytestmark = pytest.mark.fault(9)


def start(tmp_path: Path, waits_for: str, *options: str, **how: Any) -> Child:
    """A run that has written a file that matches `waits_for` in its folder."""
    child = Child([*TINY, f"out={tmp_path / 'outputs'}", *options], tmp_path / "console", **how)
    child.wait_for(lambda: list((tmp_path / "outputs").glob(f"*/{waits_for}")))
    return child


def status(tmp_path: Path) -> str:
    return (runs.read_result(only(tmp_path / "outputs")) or {})["status"]


def test_sigusr1_never_ends_a_run(tmp_path):
    """SIGUSR1 from the start of Python to the end of the run."""
    words = [*TINY, f"out={tmp_path / 'outputs'}", "steps=60", "keep_checkpoint=true"]
    child = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *words], env=environment())
    process = Path(f"/proc/{child.pid}/status")
    handled = re.compile(r"SigCgt:\t([0-9a-f]+)")  # a bit mask
    while child.poll() is None and not int(handled.search(process.read_text())[1], 16) >> (signal.SIGUSR1 - 1) & 1:
        time.sleep(0.005)
    while child.poll() is None:
        child.send_signal(signal.SIGUSR1)
        time.sleep(0.05)
    assert child.returncode == 0


def test_a_signal_in_the_first_step_is_handled(tmp_path):
    child = start(tmp_path, "images/target.png", "steps=100000", "record_every=1000")
    child.send_signal(signal.SIGTERM)
    assert child.ended(60) == 143, child.output
    assert status(tmp_path) == "interrupted"


def test_a_second_interrupt_ends_at_once(tmp_path):
    options = ("steps=100000", "checkpoint_every=1", "record_every=1000")
    child = start(tmp_path, "checkpoints/step-*.ckpt", *options)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    assert child.ended(60) == 130, child.output
    assert all(map(verified, stored(only(tmp_path / "outputs") / "checkpoints")))


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("number", "code", "every"), [(signal.SIGTERM, 143, 0), (signal.SIGINT, 130, 1000)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_saves_and_the_same_command_resumes(fit, tmp_path, number, code, every):
    """With a checkpoint after every step, nearly every signal arrives during one."""
    options = ("steps=400", f"checkpoint_every={every}")
    child = start(tmp_path, "images/step-000020.png", *options)
    child.send_signal(number)
    assert child.ended(60) == code, child.output
    assert "repeat the command to resume" in child.output
    folder = only(tmp_path / "outputs")
    assert litter(folder) == []
    result = runs.read_result(folder)
    assert result["status"] == "interrupted"
    assert 20 <= result["steps"] < 400
    fit(*options, "checkpoint_every=1000")
    assert f"continuing from step-{result['steps']:09d}" in (folder / "run.log").read_text()
    assert status(tmp_path) == "finished"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_after_the_last_step_saves_the_result_first(tmp_path, number, code):
    """The figures may be missing. The same command draws them."""
    child = start(tmp_path, "images/restored.png", "steps=40", "record_every=1")
    child.send_signal(number)
    assert child.ended(60) == code, child.output
    folder = only(tmp_path / "outputs")
    assert status(tmp_path) == "finished"
    assert litter(folder) == []
    assert not (folder / "checkpoints").exists()
    assert "Traceback" not in child.output


def without_a_terminal() -> None:
    """As behind `nohup` and `| head -0`: a pipe without a reader."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.dup2(writer, 2)


def test_a_closed_terminal_does_not_end_the_run_and_a_signal_that_is_ignored_from_the_start_stays_ignored(tmp_path):
    child = start(tmp_path, "images/step-000020.png", "steps=3000", prepare=without_a_terminal)
    child.send_signal(signal.SIGHUP)
    child.join(0.5)
    assert child.exitcode is None
    child.send_signal(signal.SIGTERM)
    assert child.ended(60) == 143
    assert status(tmp_path) == "interrupted"
