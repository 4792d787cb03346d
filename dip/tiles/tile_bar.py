"""One progress bar over the steps of all tiles."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Mapping
from typing import TextIO

from dip import runs
from dip.errors import RunError
from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome
from dip.sweep.progress import Progress

EVERY = 2.0  # seconds between two looks at the records of the running tiles


class TileProgress(Progress):
    """Shows the steps of all tiles together.

    Args:
        names: the name of each tile.
        steps: the greatest number of steps of a tile. A tile that is stopped early counts as complete.
        shown: whether anything is printed.
        stream: default: stderr.
    """

    def __init__(self, names: Mapping[Job, str], steps: int, shown: bool = True, stream: TextIO | None = None) -> None:
        super().__init__(list(names), stream if shown else io.StringIO())
        self.names, self.steps = names, steps
        self.bar.unit, self.bar.total, self.bar.desc = "step", self.total * steps, "tiles: "
        self._done: dict[Job, int] = {}
        self._next = 0.0

    def finished(self, outcome: Outcome) -> None:
        """Note how a tile has ended."""
        self._done[outcome.job] = self.steps
        super().finished(outcome)

    def update(self, running: int) -> None:
        """Show the steps of the running tiles, as far as they have recorded them."""
        if self.terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            for job in self.names:
                if self._done.get(job, 0) < self.steps and job.folder.is_dir():
                    with contextlib.suppress(RunError, LookupError):
                        self._done[job] = int(runs.history(job.folder)["step"][-1])
        self.bar.n = sum(self._done.values())
        super().update(running)

    def _name(self, job: Job) -> str:
        return f"tile {self.names[job]}"
