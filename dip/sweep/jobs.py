"""What a sweep is made of: jobs, each a checked `Config` with a run folder of its own."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dip import cli, experiment, runs
from dip.config import Config
from dip.errors import DipError, ImageError
from dip.pictures import Pictures
from dip.samples import SAMPLES

log = logging.getLogger("dip")


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a sweep. No two jobs of a sweep are equal: they are told apart, and hashed, as objects."""

    config: Config
    overrides: tuple[str, ...]
    """What stands behind `python train.py` to run it alone."""
    folder: Path
    """Its run folder, made or not."""

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.folder.name

    @property
    def console(self) -> Path:
        """What the job's process prints."""
        return self.folder / runs.CONSOLE

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do: the run has finished before and is not to be done again."""
        return not self.config.overwrite and runs.finished(self.folder)

    def recorded_step(self) -> int:
        """The step of the last record in `metrics.csv`; 0 before the first. Cheap however long the run."""
        try:
            with open(self.folder / "metrics.csv", "rb") as file:
                file.seek(max(0, file.seek(0, 2) - 4096))
                whole = file.read().rpartition(b"\n")[0]  # a last line without its end is still being written
        except OSError:
            return 0
        step = whole.rpartition(b"\n")[2].partition(b",")[0]
        return int(step) if step.isdigit() else 0


def plan(
    batch: Sequence[Sequence[str]], read: Callable[[Sequence[str]], tuple[Config, Sequence[str]]]
) -> list[Job]:
    """The jobs that the overrides in `batch` ask for, all checked; those that come to the same run appear once.

    Args:
        batch: one list of overrides per job, as Hydra's sweeper makes them.
        read: from overrides to the options and the overrides to start the job with.

    Raises:
        DipError: a job's options are illegal. The one line names the job and what is wrong with it.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    jobs: dict[Path, Job] = {}
    for number, overrides in enumerate(batch, start=1):
        try:
            config, words = read(overrides)
            _check_pictures(config)
            folder = experiment.place(config)[1]
        except (DipError, HydraException, OmegaConfBaseException) as error:
            which = f"job {number} of {len(batch)} ({shlex.join(overrides)})"
            raise DipError(f"{which}: {cli.explain(error)}; no job was started") from error
        if folder in jobs:
            same = shlex.join(jobs[folder].overrides)
            log.info("job %d (%s) is the same run as (%s): run once", number, shlex.join(overrides), same)
        else:
            jobs[folder] = Job(config, tuple(words), folder)
    return list(jobs.values())


def _check_pictures(config: Config) -> None:
    """A missing file would fail its job only once torch is imported, and the sweep would have begun."""
    for option, source in Pictures(config).sources.items():
        if source not in SAMPLES and not Path(source).exists():
            legal = f"give a path, or a sample: {' '.join(sorted(SAMPLES))}"
            raise ImageError(
                f"{option}={source}: there is no such file; {legal}; for example {option}=photo.png"
            )
