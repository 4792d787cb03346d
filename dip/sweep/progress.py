"""How far a sweep is: one line that changes in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from typing import TextIO

from dip.sweep.jobs import Job, apart
from dip.sweep.outcomes import GOOD, Outcome
from dip.sweep.pace import Pace


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Shows the state of a sweep.

    Args:
        jobs: all of them.
        stream: where to; default: stderr as it is now.
    """

    def __init__(self, jobs: Sequence[Job], stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.count = len(jobs)
        self.asked = apart(jobs)
        self.pace = Pace(jobs)
        self._shown = 0
        self._due = 0.0

    def say(self, line: str) -> None:
        """A line that stays."""
        self._wipe()
        self._write(f"{line}\n")

    def started(self, job: Job) -> None:
        """Notes that a job has begun, and says so where there is no line that counts."""
        self.pace.started(job)
        if not self.terminal:
            self.say(f"started: {self._named(job)}")

    def ended(
        self, outcome: Outcome, position: int, running: Collection[Job], waiting: Collection[Job]
    ) -> None:
        """Notes how the `position`-th job to end has ended, and says so; in a terminal, only of those in trouble."""
        if outcome.status in GOOD and not outcome.before:
            self.pace.finished(outcome.job)
        if self.terminal and outcome.status in GOOD:
            return
        details = [f"{outcome.psnr:.2f} dB"] if outcome.psnr is not None else []
        details += [f"{outcome.seconds:.0f} s"] if outcome.seconds is not None else []
        details += [f"{outcome.error}; log: {outcome.job.console}"] if outcome.error else []
        left = self.pace.left(running, waiting)
        details += [f"{duration(left)} left"] if left and not outcome.before else []
        status = "finished before" if outcome.before else outcome.status
        self.say(
            f"[{position}/{self.count}] {status}: {self._named(outcome.job)}"
            + "".join(f", {text}" for text in details)
        )

    def _named(self, job: Job) -> str:
        return f"{job.name} ({asked})" if (asked := self.asked.get(job)) else job.name

    def update(self, ended: Collection[Outcome], running: Collection[Job], waiting: Collection[Job]) -> None:
        """Renews the line, at most twice a second."""
        if not self.terminal or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + 0.5
        failed = sum(outcome.status == "failed" for outcome in ended)
        good = sum(outcome.status in GOOD for outcome in ended)
        left = self.pace.left(running, waiting)
        words = [f"{good} of {self.count} done", f"{len(running)} running", f"{failed} failed"]
        words.append("time left unknown yet" if left is None else f"{duration(left)} left")
        line = ", ".join(words)[: shutil.get_terminal_size().columns - 1]
        self._wipe()
        self._write(line)
        self._shown = len(line)

    def close(self) -> None:
        """Takes the changing line away."""
        self._wipe()

    def _wipe(self) -> None:
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = 0

    def _write(self, text: str) -> None:
        # A closed terminal or pipe takes the words, not the sweep.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()
