"""Jobs, workers and a stage for the tests of sweeps: real processes, but of a stub that takes milliseconds."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dip.configuration.schema import Config
from dip.fitting import experiment
from dip.sweep.jobs import Job
from dip.sweep.loop import Loop
from dip.sweep.outcomes import Outcome
from dip.sweep.processes import Processes
from dip.sweep.progress import Progress
from dip.sweep.workers import Workers

STUB = str(Path(__file__).with_name("stub_job.py"))


def jobs(out: Path, count: int) -> list[Job]:
    """Jobs that differ in their seed."""
    configs = [Config(seed=seed, steps=100, out=str(out)) for seed in range(count)]
    return [Job(config, (f"seed={config.seed}",), experiment.place(config)[1]) for config in configs]


def doing(deeds: dict[Job, str]) -> Callable[[Job], list[str]]:
    """The command of a stub that does what `deeds` says, else finishes. -I -S: it starts in 20 ms."""
    return lambda job: [sys.executable, "-I", "-S", STUB, str(job.folder), deeds.get(job, "finish")]


def local(
    deeds: dict[Job, str],
    devices: Sequence[str] = ("cpu",),
    share: int = 1,
    most: int | None = None,
    threads: int = 8,
) -> Processes:
    """Workers on `devices`."""
    return Processes(devices, share, most, threads, doing(deeds))


def sweep(of: Sequence[Job], workers: Workers) -> tuple[list[Outcome], str]:
    """Runs a sweep; its outcomes and what it said."""
    said = io.StringIO()
    outcomes = Loop(of, workers, Progress(of, said)).run()
    return outcomes, said.getvalue()


def times(job: Job) -> int:
    """How often the job has been run to its end."""
    path = job.folder / "times"
    return len(path.read_text().splitlines()) if path.exists() else 0


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits for `condition`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
