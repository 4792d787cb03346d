"""The base of the launchers: turns the overrides of Hydra's sweeper into jobs, runs them, and reports on them."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dip import runs
from dip.configuration import composition, schema, shipped
from dip.configuration.commands import command
from dip.configuration.schema import Config
from dip.errors import OptionError, RunError
from dip.sweep import ending
from dip.sweep.jobs import Job, plan
from dip.sweep.loop import Attempt, Loop
from dip.sweep.outcomes import GOOD, Outcome, score
from dip.sweep.progress import Progress

log = logging.getLogger("dip")


class SweepLauncher(Launcher):
    """Runs a sweep. Subclasses define where the jobs run; they are the `Workers` of `dip.sweep.loop`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.context, self.config = hydra_context, config

    @property
    def environment(self) -> Mapping[str, Any]:
        """Environment variables for all jobs, from Hydra's option `hydra.job.env_set`."""
        return dict(self.config.hydra.job.env_set)

    def command(self, job: Job) -> list[str]:
        """Return the command line of a job."""
        return [sys.executable, *shipped.program(), *job.overrides]

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Check the options against `jobs` and connect to what runs them. Raises DipError."""

    def start(self, job: Job) -> Attempt | None:
        """See `dip.sweep.loop.Workers`."""
        raise NotImplementedError

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, print a table of them and write the report.

        Returns:
            For each list of overrides, the score of its run (`dip.sweep.outcomes.score`), or the error.

        Raises:
            DipError: the options of a job are illegal. Nothing was started.
            SystemExit: a signal ended the sweep, or a job of a sweep that does not optimise has failed.
        """
        sweeper = self.config.hydra.sweeper
        if OmegaConf.select(sweeper, "max_batch_size") is not None:
            legal = "null: all jobs are checked before the first starts"
            raise OptionError("hydra.sweeper.max_batch_size", sweeper.max_batch_size, legal, "hydra.launcher.jobs=2")
        words = [filter_overrides(overrides) for overrides in job_overrides]
        groups = plan(words, self._read)
        jobs = list(dict.fromkeys(job for group in groups for job in group))
        self.prepare(jobs)
        self._describe(jobs)
        began = time.monotonic()
        loop = Loop(jobs, self, Progress(jobs))
        outcomes = loop.run()
        last = initial_job_idx + len(words) >= OmegaConf.select(sweeper, "n_trials", default=0)
        with contextlib.suppress(BrokenPipeError):
            print(ending.table(outcomes, time.monotonic() - began), flush=True)
            for page in ending.write_reports(outcomes) if last or loop.stop.signal else ():
                print(f"report: {page}", flush=True)
        status = ending.exit_status(outcomes, loop.stop.signal)
        if status and (loop.stop.signal is not None or str(sweeper._target_).endswith(".BasicSweeper")):
            sys.exit(status)
        return [_returned(group, loop.outcomes, overrides) for group, overrides in zip(groups, words, strict=True)]

    def _read(self, overrides: Sequence[str]) -> tuple[Config, Sequence[str]]:
        """Return the options of a job, and overrides that give the same options without the sweep file."""
        composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            del composed["hydra"]
        config = composition.read(composed)
        if self.config.hydra.job.config_name != "config":
            return config, shlex.split(command(schema.plain(config)))[2:]
        return config, overrides

    def _describe(self, jobs: Sequence[Job]) -> None:
        """Write `command.txt`, the command that was typed, and `sweep.yaml`, the sweep file, beside the run folders."""
        first, *words = sys.orig_argv[1:] or ["-"]  # after the interpreter: a program, or an option such as -m
        python = ["python"] if first.startswith("-") or first.endswith(".py") else []
        files = {"command.txt": shlex.join([*python, Path(first).name, *words]) + "\n"}
        name = self.config.hydra.job.config_name
        for source in self.config.hydra.runtime.config_sources if name != "config" else ():
            path = Path(source.path) / f"{name}.yaml"
            if source.schema == "file" and path.is_file():
                files.setdefault("sweep.yaml", path.read_text(encoding="utf-8"))
        for folder in {job.folder.parent for job in jobs}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for file, content in files.items():
                    runs.write_text(folder / file, content)
            except OSError as error:
                log.warning("%s: the command of the sweep cannot be written (%s)", folder, error.strerror)


def _returned(group: Sequence[Job], outcomes: Mapping[Job, Outcome], overrides: Sequence[str]) -> JobReturn:
    """Return for Hydra's sweeper the mean score of the jobs in `group`, or the error of one that failed."""
    scores = []
    for job in group:
        if outcomes[job].status not in GOOD:
            error = RunError(f"{job.folder}: {outcomes[job].error or outcomes[job].status}")
            return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)
        scores.append(score(runs.read_result(job.folder) or {}, job.folder))
    known = [value for value in scores if value is not None]
    mean = sum(known) / len(known) if known else None
    return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=mean)
