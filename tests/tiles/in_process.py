"""Tiles whose jobs run in this process: seconds faster than processes of their own."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dip import tiles
from dip.errors import DipError
from dip.fitting import experiment
from dip.fitting.pictures import Pictures
from dip.sweep.jobs import Job
from dip.sweep.launcher import SweepLauncher
from tests.conftest import composed

TINY = ("net.depth=2", "net.channels=8", "skips=[1]", "z.channels=4", "precision=fp32", "logger=csv", "baselines=false")
IMAGE = ("image=coffee", "size=[32,56]", "tile=32", "steps=8", "stop=never")
TWO = ["y0000-x0000", "y0000-x0024"]
"""The tiles of IMAGE."""


class Ended:
    """An attempt that has ended."""

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code

    def end(self) -> None: ...

    def kill(self) -> None: ...


class InProcess(SweepLauncher):
    """Runs a job from its command line, as its process would; the tiles named in `failing` are killed before."""

    def __init__(self, failing: Collection[str] = ()) -> None:
        self.failing, self.started = failing, []

    def start(self, job: Job) -> Ended:
        tile = job.folder.parent.name
        self.started.append(tile)
        if tile in self.failing:
            return Ended(-9)
        job.folder.mkdir(parents=True, exist_ok=True)
        config = composed(*job.overrides)
        try:
            return Ended(0 if experiment.run(config, job.overrides, False)["folder"] == str(job.folder) else 1)
        except DipError as error:
            job.console.write_text(f"error: {error}\n")
            return Ended(1)


def fit(out: Path, *overrides: str, launcher: SweepLauncher | None = None, given: Any = None) -> dict[str, Any]:
    """The result of a tiny run in tiles."""
    config = composed(*TINY, f"out={out}", *overrides)
    prepare = tiles.prepare(config, launcher or InProcess())
    return experiment.run(config, overrides, False, Pictures(config, given), prepare=prepare)


def names(result: dict[str, Any], status: str | Sequence[str] = ("finished", "stopped")) -> list[str]:
    """The tiles of a result that have the status."""
    return [name for name, tile in result["tiles"].items() if tile["status"] in status]
