"""Jobs, workers and sweeps for the tests: real processes, of a stub that takes milliseconds."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dip.configuration.schema import Config
from dip.fitting import experiment
from dip.sweep.jobs import Job
from dip.sweep.loop import Loop, Workers
from dip.sweep.outcomes import Outcome
from dip.sweep.processes import ProcessesLauncher
from dip.sweep.progress import Progress

STUB = str(Path(__file__).with_name("stub_job.py"))


def jobs(out: Path, count: int) -> list[Job]:
    """Jobs that differ in their seed."""
    configs = [Config(seed=seed, steps=100, out=str(out)) for seed in range(count)]
    return [Job(config, (f"seed={config.seed}",), experiment.place(config)[1]) for config in configs]


def doing(deeds: dict[Job, str]) -> Callable[[Job], list[str]]:
    """The command of a stub that does what `deeds` says (default: finish). -I -S: it starts in 20 ms."""
    return lambda job: [sys.executable, "-I", "-S", STUB, str(job.folder), deeds.get(job, "finish")]


def local(
    deeds: dict[Job, str],
    devices: Sequence[str] = ("cpu",),
    share: int = 1,
    most: int | None = None,
    threads: int = 8,
) -> ProcessesLauncher:
    """Workers that run the stubs as processes on `devices`."""
    workers = hydra(ProcessesLauncher(most, share), deeds)
    workers.use(devices, share, threads)
    return workers


def hydra(launcher: Any, deeds: dict[Job, str] | None = None, out: object = "outputs") -> Any:
    """`launcher` after Hydra's `setup`, with the commands of stubs if `deeds` are given."""
    launcher.config = OmegaConf.create({"out": str(out), "hydra": {"job": {"env_set": {}}}})
    launcher.program = "train.py"
    if deeds is not None:
        launcher.command = doing(deeds)
    return launcher


@contextlib.contextmanager
def interrupted(job: Job, times: int = 1, number: int = signal.SIGINT, process: bool = False) -> Iterator[None]:
    """Send this process (or with `process` the parent of the stub, SIGKILL) a signal when `job` has begun."""

    def strike() -> None:
        until(lambda: (job.folder / "begun").exists())
        for _ in range(times):
            time.sleep(0.3 * (times - 1))
            os.kill(int((job.folder / "begun").read_text()) if process else os.getpid(), number)

    thread = threading.Thread(target=strike)
    thread.start()
    yield
    thread.join()


def sweep(of: Sequence[Job], workers: Workers) -> tuple[list[Outcome], str]:
    """Run a sweep and return its outcomes and what it printed."""
    said = io.StringIO()
    outcomes = Loop(of, workers, Progress(of, said)).run()
    return outcomes, said.getvalue()


def times(job: Job) -> int:
    """How often the job has finished."""
    path = job.folder / "times"
    return len(path.read_text().splitlines()) if path.exists() else 0


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for `condition`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)
