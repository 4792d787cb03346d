"""The sweep itself: starts jobs while there is room, waits for them, and stops in order when told to."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome, Traces, found_finished, settle
from dip.sweep.progress import Progress
from dip.sweep.workers import Attempt, Workers, claim

TICK = 0.1  # seconds between two looks at the jobs
PATIENCE = 60.0  # seconds for a checkpoint


@dataclass
class Running:
    """A job at work."""

    job: Job
    attempt: Attempt
    before: Traces
    console: int
    began: float


class Stop:
    """Notes SIGINT, SIGTERM and SIGHUP; a second SIGINT or SIGTERM means at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.at_once = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Takes over the handlers meanwhile. Outside the main thread, where Python takes no signals, does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # What was ignored stays so: nohup ignores SIGHUP, a shell script's background jobs SIGINT.
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._note) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.at_once = self.signal is not None and number != signal.SIGHUP
        self.signal = self.signal or number


class Loop:
    """Runs `jobs` on `workers` and keeps what came of them in `outcomes`."""

    def __init__(self, jobs: Sequence[Job], workers: Workers, progress: Progress) -> None:
        self.jobs, self.workers, self.progress = jobs, workers, progress
        self.waiting = list(jobs)
        self.running: list[Running] = []
        self.outcomes: dict[Job, Outcome] = {}
        self.stop = Stop()
        self._told: set[str] = set()

    def run(self) -> list[Outcome]:
        """Runs them all, or, after a signal, ends those that run; one outcome per job, in the order of `jobs`."""
        for job in [job for job in self.waiting if job.done]:
            self._ended(found_finished(job))
        try:
            with self.stop.watching():
                while self.waiting or self.running:
                    self._look()
                    if self.stop.signal is not None:
                        self._wind_down()
                    else:
                        self._start()
                    self.progress.update(
                        self.outcomes.values(), [entry.job for entry in self.running], self.waiting
                    )
                    if self.waiting or self.running:
                        time.sleep(TICK)
        finally:
            self._abandon()
            self.progress.close()
        return [self.outcomes[job] for job in self.jobs]

    def _look(self) -> None:
        """Notes the jobs that have ended."""
        for entry in list(self.running):
            code = entry.attempt.poll()
            if code is None:
                continue
            stopping = self.stop.signal is not None
            seconds = time.monotonic() - entry.began
            outcome = settle(entry.job, code, entry.before, seconds, stopping)
            self.running.remove(entry)
            os.close(entry.console)  # only now: no other sweep begins with the job before it is settled
            self._ended(outcome)

    def _start(self) -> None:
        """Starts what there is room for."""
        try:
            self._fill()
        finally:
            self.workers.leave()

    def _fill(self) -> None:
        """Starts jobs until there is no room, passing over those that another sweep runs."""
        for job in list(self.waiting):
            if not self.workers.room():
                if not self.running:
                    self._say_once(self.workers.waiting_for())
                return
            console = claim(job)
            if console is None:
                continue
            if job.done:  # by another sweep, meanwhile
                os.close(console)
                self._ended(found_finished(job))
                continue
            before = Traces.of(job)
            try:
                attempt = self.workers.start(job, console)
            except BaseException:
                os.close(console)
                raise
            self.waiting.remove(job)
            self.running.append(Running(job, attempt, before, console, time.monotonic()))
            self.progress.started(job)
        if self.waiting and not self.running:
            self._say_once(f"waiting: another sweep runs the last {len(self.waiting)} of the jobs")

    def _wind_down(self) -> None:
        """Tells the running jobs to end, once; or, told twice, ends them."""
        for job in list(self.waiting):
            self._ended(Outcome(job, "not started"), quiet=True)
        if self.running and self._say_once(
            "stopping: the running jobs write a checkpoint; again to end them at once"
        ):
            for entry in self.running:
                entry.attempt.end()
        if self.stop.at_once:
            for entry in self.running:
                entry.attempt.kill()

    def _abandon(self) -> None:
        """Leaves no job behind after an error of our own: ends those that run, by force after `PATIENCE` seconds."""
        for entry in self.running:
            entry.attempt.end()
        end = time.monotonic() + PATIENCE
        while self.running:
            for entry in list(self.running):
                if entry.attempt.poll() is not None:
                    os.close(entry.console)
                    self.running.remove(entry)
                elif time.monotonic() > end:
                    entry.attempt.kill()
            time.sleep(TICK)

    def _ended(self, outcome: Outcome, quiet: bool = False) -> None:
        self.outcomes[outcome.job] = outcome
        if outcome.job in self.waiting:
            self.waiting.remove(outcome.job)
        if not quiet:
            running = [entry.job for entry in self.running]
            self.progress.ended(outcome, len(self.outcomes), running, self.waiting)

    def _say_once(self, line: str) -> bool:
        if line in self._told:
            return False
        self._told.add(line)
        self.progress.say(line)
        return True
