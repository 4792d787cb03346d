"""Jobs on a Ray cluster, which schedules them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from dip.errors import DipError
from dip.options import check_integer, option, reject
from dip.sweep.cluster import Task
from dip.sweep.jobs import Job
from dip.sweep.launcher import PLUGINS, SweepLauncher


@dataclasses.dataclass
class RayAttempt:
    """A job that was submitted to Ray; see `dip.sweep.loop.Attempt`."""

    reference: Any

    def poll(self) -> int | str | None:
        """A text if Ray gave up, for example because the worker was killed too often."""
        import ray

        if not ray.wait([self.reference], timeout=0)[0]:
            return None
        try:
            return int(ray.get(self.reference))
        except ray.exceptions.TaskCancelledError:
            return -15
        except ray.exceptions.RayError as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())}"

    def end(self, force: bool = False) -> None:
        """Interrupt the worker, which asks the job to end; with `force`, kill both."""
        import ray

        ray.cancel(self.reference, force=force)

    def kill(self) -> None:
        """Kill the worker, and with it the job."""
        self.end(force=True)


@dataclasses.dataclass(eq=False)
class RayLauncher(SweepLauncher):
    """Runs jobs on a Ray cluster: `hydra/launcher=ray`. Ray queues the jobs that it has no room for."""

    address: str | None = option(
        None,
        "of the cluster; null starts one on this machine for the duration of the sweep",
        "an address",
        "auto",
    )
    cpus: int = option(1, "CPUs of each job, also its number of threads", "an integer >= 1", "4")
    gpus: float | None = option(
        None,
        "GPUs of each job; null: 1 if the cluster has any",
        "null, a number from 0 to 1, or an integer",
        "0.5",
    )
    retries: int = option(
        2, "restarts of a job whose worker died; it resumes from its last checkpoint", "an integer >= 0", "2"
    )

    def __post_init__(self) -> None:
        check_integer(self, "cpus", low=1, prefix="hydra.launcher.")
        check_integer(self, "retries", low=0, prefix="hydra.launcher.")
        number = (
            isinstance(self.gpus, (int, float)) and self.gpus >= 0 and (self.gpus <= 1 or self.gpus % 1 == 0)
        )
        if self.gpus is not None and not number:
            raise reject(self, "gpus", "hydra.launcher.")

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Connect to the cluster. Raises DipError if Ray is not installed, or if there is no cluster at `address`."""
        try:
            import ray
        except ImportError:
            raise DipError("hydra/launcher=ray: Ray is not installed; pip install -e '.[ray]'") from None
        try:
            if not ray.is_initialized():
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise DipError(f"hydra.launcher.address={self.address}: no Ray cluster there ({text})") from error
        gpus = min(1, ray.cluster_resources().get("GPU", 0)) if self.gpus is None else self.gpus
        self._run = ray.remote(num_cpus=self.cpus, num_gpus=gpus, max_retries=self.retries)(_run)

    def start(self, job: Job) -> RayAttempt:
        """Submit `job`."""
        given = {**self.environment, "OMP_NUM_THREADS": str(self.cpus)}
        return RayAttempt(self._run.remote(Task.of(job, self.command(job), given)))


RayLauncher.__module__ = PLUGINS


def _run(task: Task) -> int:
    return task()
