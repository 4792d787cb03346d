"""One progress bar over the steps of all tiles."""

import io
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome, recorded_step
from dip.sweep.progress import Progress


class TileProgress(Progress):
    """Shows the steps of all tiles together.

    Args:
        names: the name of each tile.
        steps: the greatest number of steps of a tile. A tile that is stopped early counts as complete.
        shown: whether anything is printed.
        stream: default: stderr.
    """

    def __init__(self, names: Mapping[Job, str], steps: int, shown: bool = True, stream: TextIO | None = None) -> None:
        named = {job: f"tile {name}" for job, name in names.items()}
        super().__init__(list(names), stream if shown else io.StringIO(), named)
        self.most = steps
        self.bar.unit, self.bar.total, self.bar.desc = "step", self.total * steps, "tiles: "
        self._done: dict[Job, int] = {}

    def finished(self, outcome: Outcome) -> None:
        """Note how a tile has ended."""
        self._done[outcome.job] = self.most
        super().finished(outcome)

    def update(self, running: Sequence[Job]) -> None:
        """Show the steps of the running tiles, as far as they have recorded them."""
        if time.monotonic() >= self._due:
            self._done |= {job: recorded_step(job) for job in running}
        self.bar.n = sum(self._done.values())
        super().update(running)
