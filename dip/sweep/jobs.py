"""What a sweep is made of: jobs, each a checked `Config` with a run folder of its own."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dip import runs
from dip.configuration import explain
from dip.configuration.commands import text
from dip.configuration.schema import Config
from dip.errors import DipError
from dip.fitting import experiment
from dip.fitting.inputs import Pictures, several

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

    Where `image` is a folder or a pattern, there is a job for each of its files.

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
            wanted = list(_one_picture_each(*read(overrides)))
            places = [experiment.place(config)[1] for config, _ in wanted]
        except (DipError, HydraException, OmegaConfBaseException) as error:
            which = f"job {number} of {len(batch)} ({shlex.join(overrides)})"
            raise DipError(f"{which}: {explain.in_one_line(error)}; no job was started") from error
        for (config, words), folder in zip(wanted, places, strict=True):
            if folder in jobs:
                this, same = shlex.join(words), shlex.join(jobs[folder].overrides)
                log.info("job %d (%s) is the same run as (%s): run once", number, this, same)
            else:
                jobs[folder] = Job(config, tuple(words), folder)
    return list(jobs.values())


def apart(jobs: Sequence[Job]) -> dict[Job, str]:
    """What was asked of each job and not of all: `image=a.jpg seed=1`. Folder names tell less."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return {job: " ".join(word for word in job.overrides if word not in common) for job in jobs}


def _one_picture_each(config: Config, words: Sequence[str]) -> Iterator[tuple[Config, Sequence[str]]]:
    """The same options for each of the pictures that `image` stands for, and the overrides that give them."""
    files = several(config.image)
    if files is None:
        Pictures(config).check()
        yield config, words
        return
    others = [word for word in words if not word.lstrip("+").startswith("image=")]
    for file in files:
        one = dataclasses.replace(config, image=file)
        Pictures(one).check()
        yield one, [*others, f"image={text(file)}"]
