"""The jobs of a sweep: each is a checked `Config` with its own run folder."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dip import runs
from dip.configuration import explain
from dip.configuration.commands import joined, text
from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.fitting import experiment
from dip.fitting.pictures import several
from dip.options import log


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a sweep, hashed and compared by identity."""

    config: Config
    overrides: tuple[str, ...]
    """The arguments of `python train.py` that start this run alone."""
    folder: Path
    """The run folder, which need not exist yet."""

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.folder.name

    @property
    def steps(self) -> int:
        """The number of optimisation steps at most; 1 for a classical method."""
        return self.config.method.total(self.config.steps)

    @property
    def console(self) -> Path:
        """The file that holds the output of the job's process."""
        return self.folder / runs.CONSOLE

    @property
    def done(self) -> bool:
        """Whether the run has finished and need not be run again."""
        return not self.config.overwrite and runs.finished(self.folder)

    @property
    def busy(self) -> bool:
        """Whether a process is at work in the run folder now."""
        if not (self.folder / ".lock").exists():
            return False
        try:
            with runs.Lock(self.folder):
                return False
        except RunError as error:
            return error.__cause__ is None  # else the lock cannot be opened


def plan(
    batch: Sequence[Sequence[str]], read: Callable[[Sequence[str]], tuple[Config, Sequence[str]]]
) -> list[list[Job]]:
    """Make and check the jobs of each list of overrides in `batch`, as Hydra's sweeper makes them.

    There is one job per list, or if `image` is a folder or a pattern, one per file. Lists that mean the same run share
    its job. Each distinct warning is logged once.

    Args:
        batch: the lists of overrides.
        read: returns the options of a list, and the overrides that start the run without the sweep.

    Raises:
        DipError: the options of a job are illegal. The message is one line that names the job and the error.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    jobs: dict[Path, Job] = {}
    groups: list[list[Job]] = []
    with warnings_once():
        for number, overrides in enumerate(batch, start=1):
            try:
                wanted = [
                    Job(config, tuple(words), experiment.place(config)[1])  # if all its files exist
                    for config, words in _one_per_image(*read(overrides))
                ]
            except (DipError, HydraException, OmegaConfBaseException) as error:
                which = f"job {number} of {len(batch)} ({joined(overrides)})"
                raise DipError(f"{which}: {explain.in_one_line(error)}; no job was started") from error
            groups.append([jobs.setdefault(job.folder, job) for job in wanted])
            for job, known in zip(wanted, groups[-1], strict=True):
                if known is not job:
                    this, same = joined(job.overrides), joined(known.overrides)
                    log.info("job %d (%s) is the same run as (%s): it runs once", number, this, same)
    return groups


@contextlib.contextmanager
def warnings_once() -> Iterator[None]:
    """Log each distinct warning once inside the block: the jobs of a sweep mostly cause the same ones."""
    seen: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        known = record.levelno >= logging.WARNING and record.getMessage() in seen
        seen.add(record.getMessage())
        return not known

    log.addFilter(new)
    try:
        yield
    finally:
        log.removeFilter(new)


def apart(jobs: Sequence[Job]) -> dict[Job, str]:
    """Return, for each job, the overrides that not all jobs share: `image=a.jpg seed=1`.

    If all jobs have a `name`, what differs from name to name alone is left out.
    """
    words = [{word.partition("=")[0]: word for word in job.overrides} for job in jobs]
    names = {each.get("name") for each in words}
    groups: list[list[dict[str, str]]] = (
        [words] if None in names else [[each for each in words if each["name"] == name] for name in names]
    )
    told = {"name"} if len(names) > 1 else set()
    for group in groups:
        told |= {option for each in group for option in each if len({other.get(option) for other in group}) > 1}
    return {
        job: " ".join(word for option, word in each.items() if option in told)
        for job, each in zip(jobs, words, strict=True)
    }


def _one_per_image(config: Config, overrides: Sequence[str]) -> list[tuple[Config, Sequence[str]]]:
    """Return the options and overrides of one job for each file that `image` stands for."""
    files = several(config.image)
    if files is None:
        return [(config, overrides)]
    others = [word for word in overrides if not word.lstrip("+").startswith("image=")]
    return [(dataclasses.replace(config, image=file), [*others, f"image={text(file)}"]) for file in files]
