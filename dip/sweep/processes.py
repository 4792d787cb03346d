"""Jobs as processes of this machine, one or more to a device, each device claimed across all sweeps."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from dip.runs import claims
from dip.sweep.gpus import CPU
from dip.sweep.jobs import Job
from dip.sweep.workers import Command, environment


class Process:
    """A job's process."""

    def __init__(self, process: subprocess.Popen[bytes], device: str) -> None:
        self._process, self.device = process, device

    def poll(self) -> int | None:
        """See `Attempt`."""
        return self._process.poll()

    def end(self) -> None:
        """See `Attempt`."""
        self._process.terminate()

    def kill(self) -> None:
        """See `Attempt`."""
        self._process.kill()


class Processes:
    """Runs jobs on `devices`.

    Args:
        devices: values for CUDA_VISIBLE_DEVICES, or [CPU].
        share: jobs on one device at a time.
        most: jobs at a time, on all devices together; None: as many as the devices take.
        threads: that all jobs together may use.
        command: makes a job's command line.
        given: environment variables for all jobs.
    """

    def __init__(
        self,
        devices: Sequence[str],
        share: int,
        most: int | None,
        threads: int,
        command: Command,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.devices, self.share, self.command = list(devices), share, command
        self.most = min(most or sys.maxsize, share * len(self.devices))
        self.given = dict(given or {})
        if self.most > 1:
            # Two processes that use all cores each wait for each other at every operation: 50 times slower, not 2.
            count = str(max(1, threads // self.most))
            self.given |= {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
        self._running: list[Process] = []
        self._kept: tuple[str, list[int]] | None = None

    def room(self) -> bool:
        """See `Workers`."""
        self._running = [process for process in self._running if process.poll() is None]
        if self._kept is None and len(self._running) < self.most:
            load = [process.device for process in self._running]
            for device in sorted(self.devices, key=load.count):
                claim = claims.take(device, self.share)
                if claim is not None:
                    self._kept = device, claim
                    break
        return self._kept is not None

    def start(self, job: Job, console: int) -> Process:
        """See `Workers`."""
        assert self._kept is not None, "ask for room first"
        device, claim = self._kept
        process = self._spawn(job, console, device, claim)
        claims.sign(claim, process.pid)
        self._running.append(Process(process, device))
        self.leave()  # of the claim's open files, the job's process has its own now
        return self._running[-1]

    def leave(self) -> None:
        """See `Workers`."""
        if self._kept is not None:
            for descriptor in self._kept[1]:
                os.close(descriptor)
        self._kept = None

    def waiting_for(self) -> str:
        """See `Workers`."""
        holders = [f"{device} ({claims.holder(device)})" for device in self.devices]
        return f"waiting: other sweeps use {', '.join(holders)}; a job of this one begins where one of theirs ends"

    def _spawn(self, job: Job, console: int, device: str, claim: Sequence[int]) -> subprocess.Popen[bytes]:
        visible = {} if device == CPU else {"CUDA_VISIBLE_DEVICES": device}
        return subprocess.Popen(
            self.command(job),
            env=environment({**self.given, **visible}),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            pass_fds=claim,
            # A group of its own: Ctrl-C reaches the sweep alone, which tells its jobs once.
            process_group=0,
            preexec_fn=with_parent(signal.SIGTERM),  # then it saves and ends
        )


def with_parent(number: int) -> Callable[[], None] | None:
    """For `preexec_fn` of a new process: the kernel sends it signal `number` when this one is gone; Linux only.

    Elsewhere a job outlives a sweep that is killed; the next sweep then waits for it.
    """
    if sys.platform != "linux":
        return None
    libc, parent, set_parent_death_signal = (
        ctypes.CDLL(None),
        os.getpid(),
        1,
    )  # PR_SET_PDEATHSIG in <sys/prctl.h>

    def prepare() -> None:
        libc.prctl(set_parent_death_signal, number)
        if os.getppid() != parent:  # gone before the line above
            os.kill(os.getpid(), number)

    return prepare
