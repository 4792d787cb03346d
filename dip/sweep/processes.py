"""Jobs as processes of this machine, one or more per device. All sweeps of a user share the devices."""

import ctypes
import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dip.configuration import cli
from dip.errors import DipError
from dip.hardware.out_of_memory import PREFIX
from dip.options import integer, log, option
from dip.runs import IN_SWEEP
from dip.sweep import claims, gpus
from dip.sweep.jobs import Job
from dip.sweep.launcher import SweepLauncher

LEAST_FREE = 0.1
"""Part of a GPU's memory that must be free before a job is started on it."""

LOOK_AGAIN = 5.0
"""Seconds between two looks at the memory of the GPUs."""

OTHERS = "other processes hold"
"""Part of the error message of a run that needs memory which other processes hold: see `dip.hardware.memory`."""


class Process(subprocess.Popen[bytes]):
    """The process of a job on `device`; see `dip.sweep.dispatch.Attempt`."""

    device = gpus.CPU
    share = 1  # jobs at a time on the device
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
        self.alone: set[Job] = set()  # jobs that share their GPU with no other, because they ran out of memory
        self._looked = -math.inf
        self._roomy: list[str] = []

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Use the GPUs, or else the CPU with its threads divided among the jobs."""
        cores = gpus.cores()
        cards = [] if all(job.config.device == "cpu" for job in jobs) else gpus.gpus()
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
        own, label = IN_SWEEP in os.environ, f"process {os.getpid()}, {job.folder.parent.absolute()}"
        load, share = [process.device for process in self.running], 1 if job in self.alone else self.share
        roomy = self._with_room() or ([] if job.config.wait else self.devices)
        places = sorted(roomy, key=load.count) if len(load) < self.most else []
        for device in places:
            claim = [] if own else claims.take(device, share, label)
            if claim is not None:
                break
        else:
            alone = {process.device for process in self.running if process.share == 1}
            places = [device for device in places if load.count(device) < share and device not in alone]
            if job.config.wait or not places:
                return None
            device, claim = places[0], []  # beside the jobs of another sweep
        # On a CPU place, a GPU that was not found must not be used by all jobs at a time.
        chosen = gpus.VARIABLES if gpus.VARIABLES[1] in os.environ else gpus.VARIABLES[:1]
        visible = dict.fromkeys(chosen, "" if device == gpus.CPU else device)
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
        process.device, process.share = device, share
        self.running.append(process)
        return process

    def _with_room(self) -> list[str]:
        """The devices whose memory is not full, those with the most free memory first. GPUs that are lost are left out.

        Other users and runs outside of a sweep claim nothing, but they use memory.
        """
        if not self.devices:
            raise DipError("no GPU is left: all that this sweep started with are lost; nvidia-smi shows their state")
        if self.devices == [gpus.CPU]:
            return self.devices
        if time.monotonic() < self._looked + LOOK_AGAIN:
            return self._roomy
        self._looked, free = time.monotonic(), gpus.free_memory() or {}
        lost = [device for device in self.devices if free and device.startswith("GPU-") and device not in free]
        if lost:
            self.devices = [device for device in self.devices if device not in lost]
            log.warning("lost: %s; GPUs that are left: %d", ", ".join(lost), len(self.devices))
        self._roomy = [device for device in self.devices if free.get(device, 1.0) >= LEAST_FREE]
        # Rounded, because each process takes some memory: GPUs that are as good as free keep their order.
        self._roomy.sort(key=lambda device: -round(free.get(device, 1.0), 1))
        return self._roomy

    def others(self) -> str:
        found = [label for device in self.devices for label in claims.labels(device)]
        named = f" ({'; '.join(dict.fromkeys(found))})" if found else ""
        if self.devices != [gpus.CPU] and not self._roomy:
            named += f"; a job starts where {LEAST_FREE:.0%} of a GPU's memory are free"
        return f"other sweeps or processes use all devices{named}; wait=false starts beside them"

    def again(self, job: Job, error: str) -> str | None:
        memory = error.startswith(PREFIX) and self.share > 1
        if self.devices == [gpus.CPU] or job in self.alone or not (memory or OTHERS in error):
            return None
        self.alone.add(job)
        return "out of memory, runs again at the end, alone on its GPU"


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
