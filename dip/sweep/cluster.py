"""What a worker of a cluster does for one job: runs its process and waits for it.

A worker must be able to import `dip`. The working folder, the run folders and the Python environment must have the same
path on all machines, as in a shared home folder.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dip.sweep.jobs import Job
from dip.sweep.processes import environment, with_parent


@dataclass
class Task:
    """A job that can be sent to another machine and called there."""

    command: Sequence[str]
    console: str
    """Path of the console log."""
    folder: str
    """The working folder."""
    environment: Mapping[str, str]

    @classmethod
    def of(cls, job: Job, command: Sequence[str], given: Mapping[str, Any]) -> Task:
        """Create the run folder and the task of `job`, with the environment variables `given`."""
        job.folder.mkdir(parents=True, exist_ok=True)
        full = environment({})["HYDRA_FULL_ERROR"]
        return cls(command, os.path.abspath(job.console), os.getcwd(), {"HYDRA_FULL_ERROR": full, **given})

    def __call__(self) -> int:
        """Run the job's process and return its exit status; negative: the signal that killed it.

        If the worker is asked to end, so is the process, which writes a checkpoint. If the worker is killed, so is the
        process: the job may be started again at once and must find the run folder free.
        """
        with open(self.console, "ab") as log:
            log.write(f"$ {shlex.join(self.command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=with_parent(signal.SIGKILL),
            )
            try:
                while process.poll() is None:  # `wait` would block a cluster's request to end
                    time.sleep(0.2)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        return process.returncode

    def checkpoint(self) -> Any:
        """Called by submitit on preemption and timeout: requeue the job, which resumes from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
