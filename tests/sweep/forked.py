"""Sweeps of real runs, which are forked."""

import multiprocessing
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.core.global_hydra import GlobalHydra

from dip.report import sweep_figures
from dip.report.figures import run
from dip.sweep import gpus, processes
from tests.conftest import ROOT
from tests.disturbed import Child, train


class ForkedJob(multiprocessing.get_context("fork").Process):  # type: ignore[name-defined]
    """The process of a job as a fork of the sweep's, which has torch: a new interpreter takes longer than its run."""

    device, share = gpus.CPU, 1

    def __init__(self, command: list[str], *, env: dict[str, str], stdout: Any, preexec_fn: Any, **_: Any) -> None:
        assert command[:2] == [sys.executable, str(ROOT / "train.py")]
        super().__init__(target=train, args=(command[2:], Path(stdout.name), env, lambda: as_new(preexec_fn)))
        self.start()

    def poll(self) -> int | None:
        return self.exitcode

    def end(self) -> None:
        self.terminate()


def as_new(preexec_fn: Callable[[], object] | None) -> None:
    """Undo in a fork what the sweep has set up, and do what `subprocess` would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    torch.set_num_threads(1)  # the threads of the parent do not exist in a fork
    GlobalHydra.instance().clear()
    if preexec_fn is not None:
        preexec_fn()


def fork_jobs() -> None:
    """Let the sweep of this process fork its jobs, and leave out figures, which take longer than the runs."""
    run.draw = lambda folder: None
    sweep_figures.draw = lambda found, folder: []
    processes.Process = ForkedJob  # type: ignore[misc, assignment]


def multirun(console: Path, *words: str) -> Child:
    """`python train.py -m *words` in a process that forks its jobs."""
    return Child(["-m", *words], console, fork_jobs, daemon=False)
