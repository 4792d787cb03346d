"""Hydra's side of a sweep: the launchers, their options, and how a job's overrides become a `Job`."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import shlex
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dip import runs
from dip.configuration import composition, shipped
from dip.configuration import schema as options
from dip.configuration.commands import command, text
from dip.configuration.schema import Config
from dip.errors import OptionError
from dip.sweep import ending, gpus
from dip.sweep.jobs import Job, plan
from dip.sweep.loop import Loop
from dip.sweep.processes import Processes
from dip.sweep.progress import Progress
from dip.sweep.workers import Workers

# Hydra takes a launcher only from a package called `hydra_plugins`, which it searches by itself. A real one would be a
# second package at the top level, and would be found only once installed. So this module is known under a second name,
# which `register` gives it, and works from a plain checkout too.
MODULE = "hydra_plugins.dip"


def check(name: str, value: Any, fine: bool, legal: str, example: str) -> None:
    """Raises `OptionError` for option `hydra.launcher.<name>` unless its value is `fine`."""
    if not fine:
        raise OptionError(f"hydra.launcher.{name}", value, legal, f"hydra.launcher.{name}={example}")


class SweepLauncher(Launcher):
    """Runs a sweep; what runs the jobs is for subclasses to say."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.context, self.config = hydra_context, config

    def workers(self, jobs: Sequence[Job]) -> Workers:
        """What runs `jobs`. Raises OptionError."""
        raise NotImplementedError

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the sweep, prints its table and writes its report; exits unless all jobs came to their end.

        Raises:
            DipError: a job's options are illegal. Nothing was started.
        """
        batch = OmegaConf.select(self.config, "hydra.sweeper.max_batch_size")
        if batch is not None:
            legal = "null: all jobs are checked before the first starts"
            raise OptionError("hydra.sweeper.max_batch_size", batch, legal, "hydra.launcher.jobs=2")
        self._has_body = self._sweep_file_sets_options()
        jobs = plan([filter_overrides(overrides) for overrides in job_overrides], self._read)
        self._keep_sweep_file()
        began = time.monotonic()
        loop = Loop(jobs, self.workers(jobs), Progress(jobs))
        outcomes = loop.run()
        with contextlib.suppress(BrokenPipeError):
            print(ending.table(outcomes, time.monotonic() - began), flush=True)
            for page in ending.write_reports(outcomes):
                print(f"report: {page}", flush=True)
        status = ending.exit_status(outcomes, loop.stop.signal)
        if status:
            sys.exit(status)
        return []

    def command(self, job: Job) -> list[str]:
        """The command line of a job."""
        return [sys.executable, *shipped.program(), *job.overrides]

    def _compose(self, overrides: Sequence[str]) -> Config:
        return _read(self.context.config_loader.load_sweep_config(self.config, list(overrides)))

    def _read(self, overrides: Sequence[str]) -> tuple[Config, Sequence[str]]:
        """The options of a job, and the overrides that give them without the sweep file."""
        config = self._compose(overrides)
        if self._has_body:
            return config, shlex.split(command(options.plain(config)))[2:]
        stated = any(word.lstrip("+").startswith("out=") for word in overrides)
        where = [] if stated or config.out == Config().out else [f"out={text(config.out)}"]
        return config, [*overrides, *where]

    def _sweep_file_sets_options(self) -> bool:
        """Whether the sweep file says more about its jobs than their overrides do (`out` is passed on in any case)."""
        if self.config.hydra.job.config_name == "config":
            return False
        plain = _read(
            self.context.config_loader.load_configuration("config", overrides=[], run_mode=RunMode.RUN)
        )
        return self._compose([]) != dataclasses.replace(plain, out=self.config.out)

    def _keep_sweep_file(self) -> None:
        """Copies the sweep file to `out/sweep.yaml`: its head is the report's question."""
        name = self.config.hydra.job.config_name
        if name == "config":
            return
        for source in self.config.hydra.runtime.config_sources:
            path = Path(source.path) / f"{name}.yaml"
            if source.schema == "file" and path.is_file():
                folder = Path(self.config.out)
                folder.mkdir(parents=True, exist_ok=True)
                runs.write_text(folder / "sweep.yaml", path.read_text(encoding="utf-8"))
                return


def _read(composed: DictConfig) -> Config:
    """The options of what Hydra composed, its own among them."""
    with open_dict(composed):
        del composed["hydra"]
    return composition.read(composed)


class ProcessesLauncher(SweepLauncher):
    """Jobs as processes of this machine: `hydra/launcher=local` and `hydra/launcher=gpus`.

    Args:
        jobs: at a time; None: as many as there are GPUs, times `jobs_per_gpu`; without a GPU, one per two cores.
        jobs_per_gpu: at a time on one GPU.

    Raises:
        OptionError: one of these is not an integer >= 1.
    """

    __module__ = MODULE

    def __init__(self, jobs: int | None, jobs_per_gpu: int) -> None:
        if jobs is not None:
            check("jobs", jobs, isinstance(jobs, int) and jobs >= 1, "null or an integer >= 1", "2")
        check(
            "jobs_per_gpu",
            jobs_per_gpu,
            isinstance(jobs_per_gpu, int) and jobs_per_gpu >= 1,
            "an integer >= 1",
            "2",
        )
        self.jobs, self.jobs_per_gpu = jobs, jobs_per_gpu

    def workers(self, jobs: Sequence[Job]) -> Processes:
        """One job per GPU at a time; on the CPU, the threads divided."""
        cores = gpus.cores()
        given: dict[str, Any] = dict(self.config.hydra.job.env_set)
        cards = [] if all(job.config.device == "cpu" for job in jobs) else gpus.gpus()
        if not cards:
            at_once = self.jobs or max(1, cores // 2)
            return Processes([gpus.CPU], at_once, at_once, cores, self.command, given)
        for job in jobs:
            if job.config.device.startswith("cuda:"):
                legal = "auto in a sweep, which gives each job a GPU"
                raise OptionError("device", job.config.device, legal, "device=auto")
        return Processes(cards, self.jobs_per_gpu, self.jobs, cores, self.command, given)


class RayLauncher(SweepLauncher):
    """Jobs on a Ray cluster: `hydra/launcher=ray`. The options are those of `dip.sweep.on_ray.RayWorkers`.

    Raises:
        OptionError: one of them has an illegal value.
    """

    __module__ = MODULE

    def __init__(self, address: str | None, cpus: int, gpus: float | None, retries: int) -> None:
        check("cpus", cpus, isinstance(cpus, int) and cpus >= 1, "an integer >= 1", "4")
        fine = gpus is None or (
            isinstance(gpus, (int, float)) and gpus >= 0 and (gpus <= 1 or gpus == int(gpus))
        )
        check("gpus", gpus, fine, "null, 0, a part of 1, or a whole number", "0.5")
        check("retries", retries, isinstance(retries, int) and retries >= 0, "an integer >= 0", "2")
        self.address, self.cpus, self.gpus, self.retries = address, cpus, gpus, retries

    def workers(self, jobs: Sequence[Job]) -> Workers:
        """Ray's."""
        from dip.sweep.on_ray import RayWorkers

        given = dict(self.config.hydra.job.env_set)
        return RayWorkers(self.address, self.cpus, self.gpus, self.retries, self.command, given)


class SlurmLauncher(SweepLauncher):
    """Jobs on a Slurm cluster: `hydra/launcher=slurm`. The options are those of `dip.sweep.on_slurm.SlurmWorkers`.

    Raises:
        OptionError: `cluster` has an illegal value.
    """

    __module__ = MODULE

    def __init__(self, cluster: str, parameters: Any) -> None:
        check("cluster", cluster, cluster in ("slurm", "local"), "slurm or local", "local")
        self.cluster = cluster
        self.parameters = {name: value for name, value in parameters.items() if value is not None}

    def workers(self, jobs: Sequence[Job]) -> Workers:
        """Slurm's."""
        from dip.sweep.on_slurm import SlurmWorkers

        folder = Path(self.config.out).absolute() / ".slurm"
        given = dict(self.config.hydra.job.env_set)
        return SlurmWorkers(folder, self.cluster, self.parameters, self.command, given)


def register() -> None:
    """Makes the launchers known to Hydra."""
    package = MODULE.partition(".")[0]
    try:
        importlib.import_module(package)  # other launchers that are installed live there
    except ImportError:
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = []
    sys.modules[MODULE] = sys.modules[__name__]
    for launcher in (ProcessesLauncher, RayLauncher, SlurmLauncher):
        Plugins.instance().register(launcher)
