"""When something is due: between records nothing asks the device for a value."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The steps of a run at which metrics are recorded and pictures taken."""

    steps: int
    record_every: int
    snapshot_every: int | None = None

    def records(self, step: int) -> bool:
        """True if a row of metrics is due after step `step` (from 1): the first, the last and every N-th."""
        return step in (1, self.steps) or step % self.record_every == 0

    def snapshots(self, step: int) -> bool:
        """True if a picture is due: every N-th step, or 1, 2, 5, 10, 20, 50, ... since change slows down like that."""
        if self.snapshot_every is not None:
            return step % self.snapshot_every == 0
        return str(step).rstrip("0") in ("1", "2", "5")
