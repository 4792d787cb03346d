"""The loop of a sweep: starts jobs while there is room, waits for them, and ends them in order after a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome, Signature, fail, read_finished, settle, signature
from dip.sweep.progress import Progress

TICK = 0.1  # seconds between two looks at the jobs
PATIENCE = 60.0  # seconds that a job has to write a checkpoint


class Attempt(Protocol):
    """A job that runs, or waits in a cluster's queue."""

    def poll(self) -> int | str | None:
        """The exit status (negative: the signal that killed it), or a text if there is none; None while it runs."""

    def end(self) -> None:
        """Ask the job to write a checkpoint and end."""

    def kill(self) -> None:
        """End the job at once."""


class Workers(Protocol):
    """Where jobs run: processes of this machine or those of a cluster."""

    def start(self, job: Job) -> Attempt | None:
        """Start `job`; None if there is no room now. Any exception is a failure of this job."""


@dataclass(frozen=True)
class Running:
    """A job that has been started."""

    job: Job
    attempt: Attempt
    before: Signature
    began: float


class Stop:
    """Notes SIGINT, SIGTERM and SIGHUP; a second SIGINT or SIGTERM asks to end at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.at_once = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Install the handlers inside the block. Does nothing outside the main thread, where Python has no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = ("SIGINT", "SIGTERM", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
        # Ignored signals stay ignored: nohup ignores SIGHUP, and a shell script's background jobs ignore SIGINT.
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._note) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.at_once = self.signal is not None and number != getattr(signal, "SIGHUP", None)
        self.signal = self.signal or number


class Loop:
    """Runs `jobs` on `workers`."""

    def __init__(self, jobs: Sequence[Job], workers: Workers, progress: Progress) -> None:
        self.jobs, self.workers, self.progress = jobs, workers, progress
        self.waiting = list(jobs)
        self.running: list[Running] = []
        self.outcomes: dict[Job, Outcome] = {}
        self.stop = Stop()
        self._said: set[str] = set()

    def run(self) -> list[Outcome]:
        """Run all jobs, or after a signal end the running ones. Returns one outcome per job, in the order of `jobs`."""
        for job in self.jobs:
            if job.done:
                self._settled(read_finished(job))
        try:
            with self.stop.watching():
                while self.waiting or self.running:
                    self._collect()
                    if self.stop.signal is None:
                        self._start()
                    else:
                        self._wind_down()
                    self.progress.update(len(self.running))
                    if self.waiting or self.running:
                        time.sleep(TICK)
        finally:
            self._abandon()
            self.progress.close()
        return [self.outcomes[job] for job in self.jobs]

    def _collect(self) -> None:
        """Settle the jobs that have ended."""
        for entry in list(self.running):
            code = entry.attempt.poll()
            if code is None:
                continue
            self.running.remove(entry)
            stopping, seconds = self.stop.signal is not None, time.monotonic() - entry.began
            outcome = settle(entry.job, code, entry.before, seconds, stopping)
            if outcome is None:
                self.waiting.append(entry.job)
            else:
                self._settled(outcome)

    def _start(self) -> None:
        """Start jobs while there is room; skip those that another sweep runs."""
        for job in list(self.waiting):
            if job.busy:
                continue
            if job.done:  # run by another sweep in the meantime
                self._settled(read_finished(job))
                continue
            before = signature(job)
            try:
                attempt = self.workers.start(job)
            except Exception as error:
                self._settled(fail(job, error))
                continue
            if attempt is None:
                if not self.running:
                    self._say_once("waiting: other sweeps use all devices")
                return
            self.waiting.remove(job)
            self.running.append(Running(job, attempt, before, time.monotonic()))
            self.progress.started(job)
        if self.waiting and not self.running:
            self._say_once(f"waiting for another sweep, which runs {len(self.waiting)} of the jobs")

    def _wind_down(self) -> None:
        """Ask the running jobs to end, once; kill them after a second signal."""
        self.outcomes |= {job: Outcome(job, "not started") for job in self.waiting}
        self.waiting = []
        if self.running and self._say_once(
            "stopping: the running jobs write a checkpoint; interrupt again to end at once"
        ):
            for entry in self.running:
                entry.attempt.end()
        if self.stop.at_once:
            for entry in self.running:
                entry.attempt.kill()

    def _abandon(self) -> None:
        """After an error in the sweep itself: end the running jobs, and kill them after `PATIENCE` seconds."""
        for entry in self.running:
            entry.attempt.end()
        limit = time.monotonic() + PATIENCE
        while self.running:
            self.running = [entry for entry in self.running if entry.attempt.poll() is None]
            if time.monotonic() > limit:
                for entry in self.running:
                    entry.attempt.kill()
            time.sleep(TICK)

    def _settled(self, outcome: Outcome) -> None:
        self.outcomes[outcome.job] = outcome
        if outcome.job in self.waiting:
            self.waiting.remove(outcome.job)
        self.progress.finished(outcome)

    def _say_once(self, line: str) -> bool:
        """Print `line` unless it has been printed before; True if it has not."""
        new = line not in self._said
        self._said.add(line)
        if new:
            self.progress.say(line)
        return new
