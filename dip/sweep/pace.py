"""The time that is left, from the steps that jobs have done."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from dip.sweep.jobs import Job

Sight = tuple[int, float]
"""A step and when it was seen, in seconds."""


class Pace:
    """Learns from the jobs of a sweep how long a step takes, and how long it takes to get to the first."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        # Where each job stood when the sweep began.
        self._first = {job: min(job.recorded_step(), job.config.steps) for job in jobs}
        self._begun: dict[Job, float] = {}
        self._early: dict[Job, Sight] = {}
        self._late: dict[Job, Sight] = {}

    def started(self, job: Job) -> None:
        """Notes that a job's process has begun."""
        self._begun[job] = time.monotonic()

    def finished(self, job: Job) -> None:
        """Notes that a job has come to its end."""
        self._early.setdefault(job, (self._first[job], self._begun[job]))
        self._late[job] = job.config.steps, time.monotonic()

    def left(self, running: Collection[Job], waiting: Collection[Job]) -> float | None:
        """Seconds until all jobs are done; None while nothing is known of their pace."""
        rest = sum(job.config.steps - self._first[job] for job in waiting)
        for job in running:
            step = min(job.recorded_step(), job.config.steps)
            if step > self._first[job]:
                self._early.setdefault(job, (step, time.monotonic()))
                if step > self._late.get(job, self._early[job])[0]:
                    self._late[job] = step, time.monotonic()
            rest += job.config.steps - max(step, self._first[job])
        steps = sum(step - self._early[job][0] for job, (step, _) in self._late.items())
        if not steps:
            return None
        spent = sum(when - self._early[job][1] for job, (_, when) in self._late.items())
        starting = sum(when - self._begun[job] for job, (_, when) in self._early.items()) / len(self._early)
        return (rest * spent / steps + len(waiting) * starting) / max(1, len(running))
