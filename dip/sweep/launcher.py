"""The base of the launchers: turns the overrides of Hydra's sweeper into jobs, runs them, and reports on them."""

import atexit
import contextlib
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dip import runs
from dip.configuration import commands, composition, shipped
from dip.configuration.schema import Config
from dip.errors import OptionError, RunError
from dip.options import Options, log
from dip.sweep.dispatch import Attempt, Loop
from dip.sweep.jobs import Job, plan
from dip.sweep.outcomes import GOOD, Outcome, score
from dip.sweep.progress import Progress, table, write_reports


class SweepLauncher(Launcher, Options):
    """Runs a sweep. Subclasses define where the jobs run."""

    prefix = "hydra.launcher."

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.context, self.config = hydra_context, config
        # Hydra's sweepers compose each job as a check; `launch` does it again, and its messages name the job. This holds for
        # all sweepers of the process, which runs one sweep.
        Sweeper.validate_batch_is_legal = lambda *_: None  # type: ignore[method-assign]
        folder = Path(config.hydra.sweep.dir).absolute()
        self.missing = [path for path in (folder / "multirun.yaml", folder, *folder.parents) if not path.exists()]
        atexit.register(self._leave_nothing)

    def command(self, job: Job) -> list[str]:
        """Return the command line of a job."""
        return [sys.executable, *shipped.program(), *job.overrides]

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Check the options against `jobs` and connect to what runs them. Raises DipError."""

    def start(self, job: Job) -> Attempt | None:
        """Start `job`; None if there is no room now. See `dip.sweep.dispatch`."""
        raise NotImplementedError

    def again(self, job: Job, error: str) -> str | None:
        """The reason, for a message, to start `job` once more, which has failed with `error`; None: it is not restarted."""
        return None

    def others(self) -> str:
        """The reason, for a message, for which `start` finds no room."""
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
        refuse_numbered(jobs)
        self.prepare(jobs)
        atexit.unregister(self._leave_nothing)
        self._describe(jobs)
        began = time.monotonic()
        loop = Loop(jobs, self.start, Progress(jobs), self.others, self.again)
        outcomes = loop.run()
        last = initial_job_idx + len(words) >= OmegaConf.select(sweeper, "n_trials", default=0)
        with contextlib.suppress(BrokenPipeError):
            print(table(outcomes, time.monotonic() - began), flush=True)
            for page in write_reports(outcomes) if last or loop.signal else ():
                print(f"report: {page}", flush=True)
        if loop.signal is not None:
            sys.exit(128 + loop.signal)
        # A sweeper that optimises handles failed jobs itself.
        if sweeper._target_.endswith(".BasicSweeper") and not all(outcome.status in GOOD for outcome in outcomes):
            sys.exit(1)
        return [_returned(group, loop.outcomes, overrides) for group, overrides in zip(groups, words, strict=True)]

    def _leave_nothing(self) -> None:
        """Delete `multirun.yaml` and empty folders, which Hydra makes before the jobs are checked, after a refusal."""
        for path in self.missing:
            with contextlib.suppress(OSError):  # also for a folder with content, which stays
                path.unlink() if path.name == "multirun.yaml" and path.is_file() else path.rmdir()

    def _read(self, overrides: Sequence[str]) -> tuple[Config, Sequence[str]]:
        """Return the options of a job, and overrides that give the same options without the sweep file."""
        composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            del composed["hydra"]
        config = composition.read(composed, sys.argv[1:])
        # The job's process does not search the folder of -cd.
        typed = any(source.provider == "command-line" for source in self.config.hydra.runtime.config_sources)
        if typed or self.config.hydra.job.config_name != "config":
            return config, commands.words(config)
        return config, overrides

    def _describe(self, jobs: Sequence[Job]) -> None:
        """Beside the run folders: the command that was typed is added to `command.txt`, the jobs are listed in `runs.PLANNED`,
        and the sweep file is copied."""
        first, *words = sys.orig_argv[1:] or ["-"]  # after the interpreter: a program, or an option such as -m
        python = ["python"] if first.startswith("-") or first.endswith(".py") else []
        typed = commands.joined([*python, Path(first).name, *words]) + "\n"
        job, sources = self.config.hydra.job, self.config.hydra.runtime.config_sources
        paths = [Path(source.path, f"{job.config_name}.yaml") for source in sources if source.schema == "file"]
        sweep_file = next((path for path in paths if path.is_file() and job.config_name != "config"), None)
        for folder in {job.folder.parent for job in jobs}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with open(folder / "command.txt", "a+", encoding="utf-8") as file:
                    file.seek(0)
                    if typed not in file:  # a search calls `launch` several times
                        file.write(typed)
                planned = "".join(f"{job.name}\n" for job in jobs if job.folder.parent == folder)
                runs.write_text(folder / runs.PLANNED, planned)
                if sweep_file is not None:
                    runs.write_bytes(folder / "sweep.yaml", sweep_file.read_bytes())
            except (OSError, RunError) as error:
                log.warning("%s: the command of the sweep cannot be written (%s)", folder, error)


def refuse_numbered(jobs: Sequence[Job]) -> None:
    """Raise OptionError if a job names one GPU by its number. A launcher shows each job only the GPU that it assigns."""
    for job in jobs:
        if job.config.device.startswith("cuda:"):
            legal = "auto in a sweep, which assigns a GPU to each job"
            raise OptionError("device", job.config.device, legal, "device=auto")


def _returned(group: Sequence[Job], outcomes: Mapping[Job, Outcome], overrides: Sequence[str]) -> JobReturn:
    """Return for Hydra's sweeper the mean score of the jobs in `group`, or the error of one that failed."""
    scores = []
    for job in group:
        if outcomes[job].status not in GOOD:
            error = RunError(f"{job.folder}: {outcomes[job].error or outcomes[job].status}")
            return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)
        value = score(runs.read_result(job.folder) or {}, job.folder)
        scores += [] if value is None else [value]
    mean = statistics.fmean(scores) if scores else None
    return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=mean)
