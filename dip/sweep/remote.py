"""What a cluster's worker does for one job: runs its process and waits for it.

A worker must be able to import `dip`, and the working folder, the run folders and the Python environment must lie at the
same place on all machines, as they do in a shared home.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dip.sweep.jobs import Job
from dip.sweep.processes import with_parent
from dip.sweep.workers import environment, full_errors


@dataclass
class Task:
    """A job, ready to be sent to another machine and called there."""

    command: Sequence[str]
    console: str
    """Path of the log."""
    folder: str
    """The working folder."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""

    @classmethod
    def of(cls, job: Job, command: Sequence[str], given: Mapping[str, str]) -> Task:
        """The task of `job`, to be run from the present folder."""
        return cls(list(command), os.path.abspath(job.console), os.getcwd(), {**full_errors(), **given})

    def __call__(self) -> int:
        """Runs the job's process; its exit status, negative for the signal that killed it.

        When the worker is told to end, so is the process, which then writes a checkpoint. When the worker is killed, the
        process is too: its successor may be at work at once and must find the run folder free.
        """
        with open(self.console, "ab") as log:
            log.write(f"$ {shlex.join(self.command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment(self.given),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=with_parent(signal.SIGKILL),
            )
            try:
                # Not `wait`: a cluster's request to end reaches Python between two instructions only.
                while process.poll() is None:
                    time.sleep(0.2)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        return process.returncode
