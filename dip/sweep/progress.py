"""How far a sweep is: one line that changes in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from typing import TextIO

from dip.sweep.jobs import Job
from dip.sweep.outcomes import GOOD, Outcome


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
        self.began = time.monotonic()
        # Where each job stood when the sweep began: only steps done since tell its pace.
        self.first = {job: min(job.recorded_step(), job.config.steps) for job in jobs}
        self._shown = 0
        self._due = 0.0

    def say(self, line: str) -> None:
        """A line that stays."""
        self._wipe()
        self._write(f"{line}\n")

    def started(self, job: Job) -> None:
        """Says that a job has begun, where there is no line that counts."""
        if not self.terminal:
            self.say(f"started: {job.name}")

    def ended(self, outcome: Outcome, position: int, left: float | None) -> None:
        """Says how the `position`-th job to end has ended. In a terminal, only of those in trouble.

        `left` is the time to the end of the sweep in seconds, if that can be known.
        """
        if self.terminal and outcome.status in GOOD:
            return
        details = [f"{outcome.psnr:.2f} dB"] if outcome.psnr is not None else []
        details += [f"{outcome.seconds:.0f} s"] if outcome.seconds is not None else []
        details += [f"{outcome.error}; log: {outcome.job.console}"] if outcome.error else []
        details += [f"{duration(left)} left"] if left and not outcome.before else []
        status = "finished before" if outcome.before else outcome.status
        self.say(
            f"[{position}/{self.count}] {status}: {outcome.job.name}"
            + "".join(f", {text}" for text in details)
        )

    def update(self, ended: Collection[Outcome], running: Collection[Job], waiting: Collection[Job]) -> None:
        """Renews the line, at most twice a second."""
        if not self.terminal or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + 0.5
        failed = sum(outcome.status == "failed" for outcome in ended)
        good = sum(outcome.status in GOOD for outcome in ended)
        left = self.left(ended, running, waiting)
        words = [f"{good} of {self.count} done", f"{len(running)} running", f"{failed} failed"]
        words.append("time left unknown yet" if left is None else f"{duration(left)} left")
        line = ", ".join(words)[: shutil.get_terminal_size().columns - 1]
        self._wipe()
        self._write(line)
        self._shown = len(line)

    def left(
        self, ended: Collection[Outcome], running: Collection[Job], waiting: Collection[Job]
    ) -> float | None:
        """Seconds to the end at the pace so far, counted in steps; None before there is a pace."""
        here = [outcome.job for outcome in ended if outcome.status in GOOD and not outcome.before]
        steps = sum(job.config.steps - self.first[job] for job in here)
        rest = sum(job.config.steps - self.first[job] for job in waiting)
        for job in running:
            step = min(max(job.recorded_step(), self.first[job]), job.config.steps)
            steps += step - self.first[job]
            rest += job.config.steps - step
        return rest * (time.monotonic() - self.began) / steps if steps else None

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
