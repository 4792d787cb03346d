"""Jobs on a Slurm cluster, through submitit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.errors import DipError
from dip.sweep.jobs import Job
from dip.sweep.remote import Task
from dip.sweep.workers import Command


class SlurmTask(Task):
    """A task that goes back into the queue when Slurm takes its place away or its time is up."""

    def checkpoint(self) -> Any:
        """Called by submitit: what is to be queued again. The run goes on from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SlurmAttempt:
    """A job that Slurm has."""

    def __init__(self, job: Any, console: str) -> None:
        self._job, self._console = job, console

    def poll(self) -> int | None:
        """See `Attempt`."""
        if not self._job.done():
            return None
        if self._job.state.startswith("CANCELLED"):
            return -15
        error = self._job.exception()
        if error is None:
            return int(self._job.result())
        reason = next(
            (line.strip(" -") for line in reversed(str(error).splitlines()) if line.strip(" -")), ""
        )
        with contextlib.suppress(OSError), open(self._console, "a") as log:
            log.write(f"Slurm job {self._job.job_id}, {self._job.state}: {reason}\n")
        return 1

    def end(self) -> None:
        """See `Attempt`. Slurm sends SIGTERM to all processes of the job, and SIGKILL half a minute later."""
        self._job.cancel(check=False)

    def kill(self) -> None:
        """See `Attempt`."""
        self._job.cancel(check=False)


class SlurmWorkers:
    """Submits each job to Slurm.

    Args:
        folder: for submitit's files; shared by all machines.
        cluster: "slurm", or "local" to try the whole way without Slurm.
        parameters: of submitit's `AutoExecutor.update_parameters`.
        command: makes a job's command line.
        given: environment variables for all jobs.

    Raises:
        DipError: submitit is not installed, Slurm is not, or it knows no such parameter.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str,
        parameters: Mapping[str, Any],
        command: Command,
        given: Mapping[str, str],
    ) -> None:
        try:
            import submitit
        except ImportError:
            raise DipError(
                "hydra/launcher=slurm: submitit is not installed; pip install -e '.[slurm]'"
            ) from None
        try:
            self._find_us()
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**parameters)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise DipError(f"hydra/launcher=slurm: {' '.join(str(error).split())}") from error
        self.command = command
        self.given = {**given, "OMP_NUM_THREADS": str(parameters.get("cpus_per_task") or 1)}

    @staticmethod
    def _find_us() -> None:
        """Lets submitit's processes, which inherit our environment, import `dip` from a plain checkout too."""
        root, known = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")
        if root not in known.split(os.pathsep):
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, known]))

    def room(self) -> bool:
        """See `Workers`. Slurm queues what it has no room for; what waits there counts as running."""
        return True

    def start(self, job: Job, console: int) -> SlurmAttempt:
        """See `Workers`."""
        task = SlurmTask.of(job, self.command(job), self.given)
        return SlurmAttempt(self._executor.submit(task), task.console)

    def leave(self) -> None:
        """See `Workers`."""

    def waiting_for(self) -> str:
        """See `Workers`."""
        return "waiting for Slurm"
