"""The loop of a sweep: starts jobs while there is room, waits for them, and ends them in order after a signal."""

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from dip.options import log
from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome, fail, read_finished, settle, signature
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


StartJob = Callable[[Job], Attempt | None]
"""Starts a job; None if there is no room now. Any exception is a failure of this job."""

Again = Callable[[Job, str], str | None]
"""The reason, for a message, to start a job once more that has failed with this error; None: it is not restarted."""


@dataclass(frozen=True)
class Running:
    """A job that has been started."""

    job: Job
    attempt: Attempt
    before: tuple[int, int] | None
    """The `signature` of its result when it was started."""
    began: float


class Loop:
    """Runs `jobs`, each started by `start`, and once more where `again` says so. `others` says why nothing can start.

    SIGINT, SIGTERM and SIGHUP end the running jobs with a checkpoint; a second SIGINT or SIGTERM ends them at once.
    """

    def __init__(
        self, jobs: Sequence[Job], start: StartJob, progress: Progress, others: Callable[[], str],
        again: Again = lambda job, error: None,
    ) -> None:  # fmt: skip
        self.jobs, self.start, self.progress, self.again, self.others = jobs, start, progress, again, others
        self.waiting = list(jobs)
        self.running: list[Running] = []
        self.outcomes: dict[Job, Outcome] = {}
        self.signal: int | None = None
        self.at_once = False
        self._waits = functools.cache(self._warn)

    def run(self) -> list[Outcome]:
        """Run all jobs, or after a signal end the running ones. Returns one outcome per job, in the order of `jobs`."""
        for job in self.jobs:
            if job.done:
                self._settled(read_finished(job))
        try:
            with self._signals_noted():
                while self.signal is None and (self.waiting or self.running):
                    self._start()
                    self._collect()
                self.outcomes |= {job: Outcome(job, "not started") for job in self.waiting}
                if self.running:
                    self.progress.say("stopping: the running jobs write a checkpoint; interrupt again to end at once")
                    self._end()
                while self.running:
                    if self.at_once:
                        self._kill()
                    self._collect()
        finally:
            self._abandon()
            self.progress.close()
        return [self.outcomes[job] for job in self.jobs]

    @contextlib.contextmanager
    def _signals_noted(self) -> Iterator[None]:
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
        hangup = getattr(signal, "SIGHUP", None)
        self.at_once |= number != hangup and self.signal not in (None, hangup)
        self.signal = number if self.signal in (None, hangup) else self.signal

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
                attempt = self.start(job)
            except Exception as error:
                self._settled(fail(job, error))
                continue
            if attempt is None:
                if not self.running:
                    self._waits(self.others)
                return
            self.waiting.remove(job)
            self.running.append(Running(job, attempt, before, time.monotonic()))
            self.progress.started(job)
        if self.waiting and not self.running:
            self._waits(self._theirs)

    def _theirs(self) -> str:
        jobs, first = len(self.waiting), self.waiting[0].folder
        return f"another process runs the jobs that are left ({jobs}, the first in {first}); wait for it, or stop it"

    def _warn(self, reason: Callable[[], str]) -> None:
        """Say why no job runs; also where no progress is shown, because the wait may be long."""
        with self.progress.bar.external_write_mode():
            log.warning("waiting: %s", reason())

    def _collect(self) -> None:
        """Wait for `TICK` seconds, then settle the jobs that have ended."""
        self.progress.update([entry.job for entry in self.running])
        time.sleep(TICK)
        for entry in list(self.running):
            code = entry.attempt.poll()
            if code is None:
                continue
            self.running.remove(entry)
            fresh, seconds = signature(entry.job) != entry.before, time.monotonic() - entry.began
            outcome = settle(entry.job, code, fresh, seconds, self.signal is not None)
            failed = outcome is not None and outcome.status == "failed" and self.signal is None
            why = self.again(entry.job, outcome.error or "") if failed and outcome else None
            if why is not None:
                self.progress.say(f"{entry.job.name}: {why}")
            if outcome is None or why is not None:
                self.waiting.append(entry.job)
            else:
                self._settled(outcome)

    def _settled(self, outcome: Outcome) -> None:
        self.outcomes[outcome.job] = outcome
        if outcome.job in self.waiting:
            self.waiting.remove(outcome.job)
        self.progress.finished(outcome)

    def _abandon(self) -> None:
        """After an error in the sweep itself: end the running jobs, and kill them after `PATIENCE` seconds."""
        self._end()
        limit = time.monotonic() + PATIENCE
        while self.running:
            self.running = [entry for entry in self.running if entry.attempt.poll() is None]
            if time.monotonic() > limit:
                self._kill()
            time.sleep(TICK)

    def _end(self) -> None:
        for entry in self.running:
            entry.attempt.end()

    def _kill(self) -> None:
        for entry in self.running:
            entry.attempt.kill()
