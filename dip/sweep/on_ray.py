"""Jobs on a Ray cluster, which decides where and when each one runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from dip.errors import DipError
from dip.sweep.jobs import Job
from dip.sweep.remote import Task
from dip.sweep.workers import Command


class RayAttempt:
    """A job that Ray has."""

    def __init__(self, reference: Any, console: str) -> None:
        self._reference, self._console = reference, console

    def poll(self) -> int | None:
        """See `Attempt`. 1 when Ray gave up, for example because the worker died too often."""
        import ray

        if not ray.wait([self._reference], timeout=0)[0]:
            return None
        try:
            return int(ray.get(self._reference))
        except ray.exceptions.TaskCancelledError:
            return -15
        except ray.exceptions.RayError as error:
            with contextlib.suppress(OSError), open(self._console, "a") as log:
                log.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
            return 1

    def end(self) -> None:
        """See `Attempt`."""
        import ray

        ray.cancel(self._reference, force=False)

    def kill(self) -> None:
        """See `Attempt`."""
        import ray

        ray.cancel(self._reference, force=True)


class RayWorkers:
    """Runs jobs on the Ray cluster at `address`.

    Args:
        address: of the cluster; None: one on this machine, for as long as the sweep lasts.
        cpus: of each job; also its number of threads.
        gpus: of each job, also fractions; None: 1 where the cluster has GPUs.
        retries: how often a job is started again whose worker died; it goes on from its last checkpoint.
        command: makes a job's command line.
        given: environment variables for all jobs.

    Raises:
        DipError: Ray is not installed, or there is no cluster at `address`.
    """

    def __init__(
        self,
        address: str | None,
        cpus: int,
        gpus: float | None,
        retries: int,
        command: Command,
        given: Mapping[str, str],
    ) -> None:
        try:
            import ray
        except ImportError:
            raise DipError("hydra/launcher=ray: Ray is not installed; pip install -e '.[ray]'") from None
        try:
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise DipError(f"hydra.launcher.address={address}: no Ray cluster there ({text})") from error
        self.command, self.given = command, {**given, "OMP_NUM_THREADS": str(cpus)}
        if gpus is None:
            gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        self._run = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=retries)(_run)

    def room(self) -> bool:
        """See `Workers`. Ray queues what it has no room for; what waits there counts as running."""
        return True

    def start(self, job: Job, console: int) -> RayAttempt:
        """See `Workers`."""
        task = Task.of(job, self.command(job), self.given)
        return RayAttempt(self._run.remote(task), task.console)

    def leave(self) -> None:
        """See `Workers`."""

    def waiting_for(self) -> str:
        """See `Workers`."""
        return "waiting for Ray"


def _run(task: Task) -> int:
    return task()
