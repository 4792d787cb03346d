"""The steps at which a run records metrics and saves snapshots. Between records nothing is read from the device."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The steps (from 1) at which metrics are recorded and snapshots are saved."""

    steps: int
    record_every: int
    snapshot_every: int | None = None

    def records(self, step: int) -> bool:
        """True if a row of metrics is due after `step`: the first, the last and every `record_every`-th."""
        return step in (1, self.steps) or step % self.record_every == 0

    def early(self, step: int) -> bool:
        """True if an additional row is due after `step`, at 2, 5, 10, 20 and 50 where these are below `record_every`.

        Curves over a logarithmic axis of steps need them. Stopping rules are evaluated at `records` only.
        """
        return step in (2, 5, 10, 20, 50) and step < self.record_every and not self.records(step)

    def snapshots(self, step: int) -> bool:
        """True if a snapshot is due: every `snapshot_every`-th step; without it, at 1, 2, 5, 10, 20, 50, ..."""
        if self.snapshot_every is not None:
            return step % self.snapshot_every == 0
        return str(step).rstrip("0") in ("1", "2", "5")
