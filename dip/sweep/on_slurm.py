"""Jobs on a Slurm cluster, submitted with submitit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dip.errors import DipError
from dip.options import check_choice, option
from dip.sweep.cluster import Task
from dip.sweep.jobs import Job
from dip.sweep.launcher import PLUGINS, SweepLauncher


@dataclasses.dataclass
class SlurmAttempt:
    """A job that was submitted to Slurm; see `dip.sweep.loop.Attempt`."""

    job: Any

    def poll(self) -> int | str | None:
        """A text if Slurm ended the job or submitit failed."""
        if not self.job.done():
            return None
        if self.job.state.startswith("CANCELLED"):
            return -15
        error = self.job.exception()
        if error is None:
            return int(self.job.result())
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
        return f"Slurm job {self.job.job_id}, {self.job.state}: {lines[-1] if lines else 'no output'}"

    def end(self) -> None:
        """Cancel: Slurm sends SIGTERM to all processes of the job, and SIGKILL half a minute later."""
        self.job.cancel(check=False)

    kill = end


@dataclasses.dataclass(eq=False)
class SlurmLauncher(SweepLauncher):
    """Runs each job as a Slurm job: `hydra/launcher=slurm`. Slurm queues the jobs that it has no room for."""

    cluster: str = option("slurm", "slurm, or local to try it without Slurm", "slurm or local", "local")
    parameters: Any = option(
        None, "of submitit's AutoExecutor.update_parameters", "a mapping", "{mem_gb: 16}"
    )

    def __post_init__(self) -> None:
        check_choice(self, "cluster", ("slurm", "local"), prefix="hydra.launcher.")
        self.parameters = {
            name: value for name, value in (self.parameters or {}).items() if value is not None
        }

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Make the executor. Raises DipError if submitit or Slurm is not installed, or for an unknown parameter."""
        try:
            import submitit
        except ImportError:
            raise DipError(
                "hydra/launcher=slurm: submitit is not installed; pip install -e '.[slurm]'"
            ) from None
        # submitit's processes inherit this environment, and must import `dip` from a checkout that is not installed.
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        try:
            folder = Path(self.config.out).absolute() / ".slurm"
            self._executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
            self._executor.update_parameters(**self.parameters)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise DipError(f"hydra/launcher=slurm: {' '.join(str(error).split())}") from error

    def start(self, job: Job) -> SlurmAttempt:
        """Submit `job`."""
        threads = str(self.parameters.get("cpus_per_task") or 1)
        given = {**self.environment, "OMP_NUM_THREADS": threads}
        return SlurmAttempt(self._executor.submit(Task.of(job, self.command(job), given)))


SlurmLauncher.__module__ = PLUGINS
