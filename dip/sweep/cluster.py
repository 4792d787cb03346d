"""Jobs on a Ray or Slurm cluster, which queues the jobs that it has no room for.

A worker must be able to import `dip`. The working folder, the run folders and the Python environment must have the same
path on all machines, as in a shared home folder.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dip.configuration.commands import joined
from dip.errors import DipError
from dip.options import choice, integer, option, reject
from dip.sweep.jobs import Job
from dip.sweep.launcher import SweepLauncher
from dip.sweep.processes import environment, with_parent


@dataclass
class Task:
    """A job that is sent to a worker of the cluster and called there: it runs the job's process and waits for it."""

    command: Sequence[str]
    console: str
    """Path of the console log."""
    folder: str
    """The working folder."""
    environment: Mapping[str, str]

    def __call__(self) -> int:
        """Run the process and return its exit status; negative: the signal that killed it.

        If the worker is asked to end, so is the process, which writes a checkpoint. If the worker is killed, so is the
        process: the job may be started again at once and must find the run folder free.
        """
        with open(self.console, "ab") as log:
            log.write(f"$ {joined(self.command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                self.command, cwd=self.folder, env=environment(self.environment), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=with_parent(signal.SIGKILL),
            )  # fmt: skip
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


@dataclass
class Submitted:
    """A job that was submitted to a cluster; see `dip.sweep.dispatch.Attempt`."""

    future: Any
    """Has `done` and `result`, as `concurrent.futures.Future`."""
    cancel: Callable[[bool], Any]
    """Asks the worker to end; with True, kills it."""
    cancelled: bool = False

    def poll(self) -> int | str | None:
        """The exit status, or a text if the cluster gave up, for example because the worker was killed too often."""
        if not self.future.done():
            return None
        try:
            return int(self.future.result())
        except Exception as error:
            lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
            return -signal.SIGTERM if self.cancelled else f"{type(error).__name__}: {lines[-1] if lines else ''}"

    def end(self, force: bool = False) -> None:
        """Ask the worker to end."""
        self.cancelled = True
        self.cancel(force)

    def kill(self) -> None:
        """Kill the worker, and with it the job."""
        self.end(force=True)


class ClusterLauncher(SweepLauncher):
    """Runs jobs on a cluster. Subclasses set `threads`, the CPU threads of each job, and `submit` a task."""

    threads: int
    submit: Callable[[Task], Submitted]

    def start(self, job: Job) -> Submitted:
        """Submit `job`."""
        job.folder.mkdir(parents=True, exist_ok=True)
        full = environment({})["HYDRA_FULL_ERROR"]
        given = {"HYDRA_FULL_ERROR": full, **self.config.hydra.job.env_set, "OMP_NUM_THREADS": str(self.threads)}
        return self.submit(Task(self.command(job), os.path.abspath(job.console), os.getcwd(), given))


@dataclass(eq=False)
class RayLauncher(ClusterLauncher):
    """Runs jobs on a Ray cluster: `hydra/launcher=ray`."""

    address: str | None = option(None, "of the cluster; null starts one on this machine", "an address", "auto")
    cpus: int = option(1, "CPU threads of each job", integer(1), "4")
    gpus: float | None = option(
        None, "GPUs of each job; null: 1 if there are any", "null, a number from 0 to 1, or an integer", "0.5"
    )
    retries: int = option(2, "restarts of a job whose worker died; it resumes", integer(0), "2")

    def __post_init__(self) -> None:
        super().__post_init__()
        gpus = 0 if self.gpus is None else self.gpus
        if not isinstance(gpus, (int, float)) or gpus < 0 or (gpus > 1 and gpus % 1):
            raise reject(self, "gpus")
        self.threads = self.cpus

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Connect to the cluster. Raises DipError if Ray is not installed, or if there is no cluster at `address`."""
        try:
            import ray
        except ImportError:
            raise DipError("hydra/launcher=ray: Ray is not installed; pip install 'deep-image-prior[ray]'") from None
        try:
            if not ray.is_initialized():
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise DipError(f"hydra.launcher.address={self.address}: no Ray cluster there ({text})") from error
        gpus = min(1, ray.cluster_resources().get("GPU", 0)) if self.gpus is None else self.gpus
        self._run = ray.remote(num_cpus=self.cpus, num_gpus=gpus, max_retries=self.retries)(_run)

    def submit(self, task: Task) -> Submitted:
        """Submit `task`."""
        import ray

        reference = self._run.remote(task)
        return Submitted(reference.future(), lambda force: ray.cancel(reference, force=force))


def _run(task: Task) -> int:
    return task()


@dataclass(eq=False)
class SlurmLauncher(ClusterLauncher):
    """Runs each job as a Slurm job, submitted with submitit: `hydra/launcher=slurm`."""

    cluster: str = option("slurm", "slurm, or local to try it without Slurm", choice(("slurm", "local")), "local")
    parameters: Any = option(None, "of submitit's AutoExecutor.update_parameters", "a mapping", "{mem_gb: 16}")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = {name: value for name, value in (self.parameters or {}).items() if value is not None}
        self.threads = self.parameters.get("cpus_per_task", 1)

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Make the executor. Raises DipError if submitit or Slurm is not installed, or for an unknown parameter."""
        try:
            import submitit
        except ImportError:
            hint = "pip install 'deep-image-prior[slurm]'"
            raise DipError(f"hydra/launcher=slurm: submitit is not installed; {hint}") from None
        # submitit's processes inherit this environment, and must import `dip` from a checkout that is not installed.
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        try:
            folder = Path(self.config.out).absolute() / ".slurm"
            self._executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
            self._executor.update_parameters(**self.parameters)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise DipError(f"hydra/launcher=slurm: {' '.join(str(error).split())}") from error

    def submit(self, task: Task) -> Submitted:
        """Submit `task`. Slurm cancels a job by SIGTERM to all its processes, and SIGKILL after 30 s."""
        job = self._executor.submit(task)
        return Submitted(job, lambda force: job.cancel(check=False))
