"""Progress of a sweep: a tqdm bar over its jobs in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TextIO

from tqdm import tqdm

from dip.sweep.jobs import Job, apart
from dip.sweep.outcomes import GOOD, Outcome


class Progress:
    """Shows the progress of a sweep of `jobs` on `stream` (default: stderr)."""

    def __init__(self, jobs: Sequence[Job], stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.failed = 0
        self.overrides = apart(jobs)
        self.bar = tqdm(
            total=len(jobs), unit="job", file=self.stream, disable=not self.terminal,
            leave=False, dynamic_ncols=True, miniters=0, mininterval=0.5,
        )  # fmt: skip
        self.ended = 0

    def say(self, line: str) -> None:
        """Print a line, above the bar."""
        with contextlib.suppress(OSError, ValueError):  # a closed terminal or pipe must not end the sweep
            self.bar.write(line, file=self.stream)
            self.stream.flush()

    def started(self, job: Job) -> None:
        """Note that a job has started."""
        if not self.terminal:
            self.say(f"started: {self._name(job)}")

    def finished(self, outcome: Outcome) -> None:
        """Note how a job has ended. In a terminal, only failed and interrupted jobs get a line."""
        self.ended += 1
        self.failed += outcome.status == "failed"
        with contextlib.suppress(OSError, ValueError):
            self.bar.update()
        if self.terminal and outcome.status in GOOD:
            return
        details = [f"{outcome.psnr:.2f} dB"] if outcome.psnr is not None else []
        details += [f"{outcome.seconds:.0f} s"] if outcome.seconds is not None else []
        details += [f"{outcome.error}; log: {outcome.job.console}"] if outcome.error else []
        status = "finished before" if outcome.before else outcome.status
        place = f"[{self.ended}/{self.bar.total}]"
        self.say(", ".join([f"{place} {status}: {self._name(outcome.job)}", *details]))

    def update(self, running: int) -> None:
        """Show the number of running and failed jobs."""
        with contextlib.suppress(OSError, ValueError):
            self.bar.set_postfix({"running": running, "failed": self.failed}, refresh=False)
            self.bar.update(0)

    def close(self) -> None:
        """Remove the bar."""
        with contextlib.suppress(OSError, ValueError):
            self.bar.close()

    def _name(self, job: Job) -> str:
        overrides = self.overrides.get(job)
        return f"{job.name} ({overrides})" if overrides else job.name
