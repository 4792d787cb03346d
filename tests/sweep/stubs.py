"""Jobs and sweeps for the tests: real processes, of a stub that takes milliseconds."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from omegaconf import OmegaConf

from dip.configuration.schema import Config
from dip.fitting import experiment
from dip.sweep import gpus
from dip.sweep.dispatch import Loop
from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome
from dip.sweep.processes import ProcessesLauncher
from dip.sweep.progress import Progress
from tests.conftest import ROOT

STUB = str(Path(__file__).with_name("stub_job.py"))


def jobs(out: Path, count: int) -> list[Job]:
    """Jobs that differ in their seed."""
    configs = [Config(seed=seed, steps=100, out=str(out)) for seed in range(count)]
    return [Job(config, (f"seed={config.seed}",), experiment.place(config)[1]) for config in configs]


def hydra(launcher: Any, deeds: dict[Job, str] | None = None, out: object = "outputs") -> Any:
    """`launcher` after Hydra's `setup`. Its jobs are stubs that do what `deeds` says (default: finish)."""
    launcher.config = OmegaConf.create({"out": str(out), "hydra": {"job": {"env_set": {}}}})
    # -I -S: the stub starts in 20 ms.
    launcher.command = lambda job: [
        sys.executable, "-I", "-S", STUB, str(job.folder), (deeds or {}).get(job, "finish"),
    ]  # fmt: skip
    return launcher


def local(
    deeds: dict[Job, str] | None = None, cards: Sequence[str] = (), jobs_per_gpu: int = 1, most: int | None = 1
) -> ProcessesLauncher:
    """A launcher that runs the stubs on the GPUs `cards`, or on a CPU with 8 cores."""
    launcher = hydra(ProcessesLauncher(most, jobs_per_gpu), deeds)
    with mock.patch.object(gpus, "gpus", return_value=[*cards]), mock.patch.object(gpus, "cores", return_value=8):
        launcher.prepare(jobs(Path(), 1))
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


def sweep(of: Sequence[Job], launcher: Any) -> tuple[list[Outcome], str]:
    """Run a sweep and return its outcomes and what it printed."""
    said = io.StringIO()
    outcomes = Loop(of, lambda job: launcher.start(job), Progress(of, said), launcher.others, launcher.again).run()
    return outcomes, said.getvalue()


SWEEP = """
import sys
from pathlib import Path
from tests.sweep.stubs import jobs, local, sweep
some = jobs(Path(sys.argv[1]), int(sys.argv[2]))
outcomes, said = sweep(some, local({job: deed for job, deed in zip(some, sys.argv[4:])}, sys.argv[3].split()))
print(said, [outcome.status for outcome in outcomes])
"""


def start(out: Path, count: int, card: str, *deeds: str) -> subprocess.Popen[str]:
    """A sweep in a process of its own."""
    command = [sys.executable, "-c", SWEEP, str(out), str(count), card, *deeds]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


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
