"""Jobs as processes of this machine, one or more per device. All sweeps of a user share the devices."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dip.configuration import cli
from dip.errors import OptionError
from dip.options import integer, option
from dip.sweep import claims, gpus
from dip.sweep.jobs import Job
from dip.sweep.launcher import SweepLauncher

IN_SWEEP = "DIP_IN_SWEEP"
"""The environment variable that is set in the process of a job."""


class Process(subprocess.Popen[bytes]):
    """The process of a job on `device`; see `dip.sweep.dispatch.Attempt`."""

    device = gpus.CPU
    end = subprocess.Popen.terminate


@dataclasses.dataclass(eq=False)
class ProcessesLauncher(SweepLauncher):
    """Runs jobs as processes of this machine: `hydra/launcher=local` and `hydra/launcher=gpus`."""

    jobs: int | None = option(
        None, "jobs at a time; null: as many as the GPUs take, or without a GPU one per two cores",
        integer(1, none=True), "2",
    )  # fmt: skip
    jobs_per_gpu: int = option(1, "jobs at a time on one GPU", integer(1), "2")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.running: list[Process] = []

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Use the GPUs, or else the CPU with its threads divided among the jobs."""
        cores = gpus.cores()
        cards = [] if all(job.config.device == "cpu" for job in jobs) else gpus.gpus()
        for job in jobs if cards else ():
            if job.config.device.startswith("cuda:"):
                legal = "auto in a sweep, which assigns a GPU to each job"
                raise OptionError("device", job.config.device, legal, "device=auto")
        self.devices = cards or [gpus.CPU]
        self.share = self.jobs_per_gpu if cards else self.jobs or max(1, cores // 2)  # jobs at a time on one device
        self.most = min(self.jobs or sys.maxsize, self.share * len(self.devices))
        # Processes that each use all cores wait for each other at every operation: 50 x slower with two, not 2 x.
        count = str(max(1, cores // self.most))
        self.threads = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count} if self.most > 1 else {}

    def start(self, job: Job) -> Process | None:
        """Start `job` on the device with the fewest jobs that can be claimed; None if there is none."""
        self.running = [process for process in self.running if process.poll() is None]
        # A job of a sweep that starts jobs itself, the tiles of an image, has its device already.
        take = (lambda device, share: []) if IN_SWEEP in os.environ else claims.take
        load = [process.device for process in self.running]
        for device in sorted(self.devices, key=load.count) if len(load) < self.most else ():
            claim = take(device, self.share)
            if claim is not None:
                break
        else:
            return None
        visible = {} if device == gpus.CPU else {"CUDA_VISIBLE_DEVICES": device}
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            with open(job.console, "ab") as console:
                process = Process(
                    self.command(job),
                    env=environment({**self.config.hydra.job.env_set, **self.threads, **visible}),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    pass_fds=claim,
                    # A process group of its own: Ctrl-C reaches only the sweep, which ends its jobs in order.
                    process_group=0 if os.name == "posix" else None,
                    preexec_fn=with_parent(signal.SIGTERM),  # on which the job saves and ends
                )
        finally:
            claims.release(claim)  # the job's process has inherited it
        process.device = device
        self.running.append(process)
        return process


def environment(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a job's process: that of this process, changed by `given`."""
    own = {
        IN_SWEEP: "1",
        "TQDM_DISABLE": "1",  # a progress bar would fill the console log
        "PYTHONFAULTHANDLER": "1",  # print a traceback if a library crashes
        "HYDRA_FULL_ERROR": str(int(cli.FULL_ERRORS)),  # as the user set it; this process has changed it
    }
    return {**os.environ, **own, **{name: str(value) for name, value in given.items()}}


def with_parent(number: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` by which the kernel sends a process signal `number` when its parent ends; Linux only.

    On other systems it is None, and a job outlives a killed sweep. The next sweep then waits for it.
    """
    if sys.platform != "linux":
        return None
    libc, parent, set_parent_death_signal = ctypes.CDLL(None), os.getpid(), 1  # PR_SET_PDEATHSIG in <sys/prctl.h>

    def prepare() -> None:
        libc.prctl(set_parent_death_signal, number)
        if os.getppid() != parent:  # it ended before the line above
            os.kill(os.getpid(), number)

    return prepare
