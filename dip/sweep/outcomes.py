"""How a job ended, read from what its process left."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from dip import runs
from dip.configuration import schema as options
from dip.errors import RunError
from dip.sweep.jobs import Job

log = logging.getLogger("dip")

GOOD = ("finished", "stopped")


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    job: Job
    status: str
    """finished, stopped (by the stopping rule), failed, interrupted (goes on when asked again) or "not started"."""
    psnr: float | None = None
    seconds: float | None = None
    error: str | None = None
    """One line; of a failed job only."""
    before: bool = False
    """Whether this sweep found it finished and started no process."""


@dataclass(frozen=True)
class Traces:
    """What lay in a run folder before an attempt, to tell what the attempt left there."""

    result: tuple[int, int] | None
    console: int
    """Bytes of the console's log."""

    @classmethod
    def of(cls, job: Job) -> Traces:
        """The present state."""
        try:
            size = job.console.stat().st_size
        except OSError:
            size = 0
        return cls(_signature(job), size)


def _signature(job: Job) -> tuple[int, int] | None:
    """Changes whenever `result.json` is written, which is by renaming a new file."""
    try:
        found = os.stat(job.folder / "result.json")
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def found_finished(job: Job) -> Outcome:
    """The outcome of a job for which there is nothing to do."""
    result = runs.read_result(job.folder) or {"status": "finished"}
    return Outcome(job, result["status"], result.get("psnr"), result.get("seconds"), before=True)


def settle(job: Job, code: int, before: Traces, seconds: float, stopping: bool) -> Outcome:
    """The outcome of a job whose process has ended.

    Args:
        job: the job.
        code: the exit status of its process; negative: the signal that killed it.
        before: what lay in its folder when the process started.
        seconds: how long the process lived.
        stopping: whether the sweep has told it to end.

    A job that could not say so itself gets a `result.json` with status "failed" here, so that the report knows of it.
    """
    fresh = _signature(job) != before.result
    result = runs.read_result(job.folder) if fresh else None
    if result is not None and result["status"] in GOOD:
        return Outcome(job, result["status"], result.get("psnr"), result.get("seconds"))
    if result is None and job.done:  # another process, perhaps of another machine, was quicker
        return found_finished(job)
    if result is not None and result["status"] == "interrupted":
        return Outcome(job, "interrupted", seconds=seconds)
    if result is not None:
        return Outcome(
            job, "failed", seconds=seconds, error=result.get("error") or _reason(job, code, before)
        )
    if stopping and (code < 0 or code > 128):
        return Outcome(job, "interrupted", seconds=seconds)
    failed = Outcome(job, "failed", seconds=seconds, error=_reason(job, code, before))
    _write_down(failed)
    return failed


def _reason(job: Job, code: int, before: Traces) -> str:
    """Why a process ended, in one line."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    line = _last_line(job, before.console)
    if code == 0:
        return "exit status 0 but no result"
    return f"exit status {code}" + (f": {line}" if line else "")


def _last_line(job: Job, start: int) -> str:
    """The last line that the attempt printed."""
    try:
        with open(job.console, "rb") as file:
            file.seek(max(start, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((" ".join(line.split())[:300] for line in reversed(lines) if line.strip()), "").removeprefix(
        "error: "
    )


def _write_down(outcome: Outcome) -> None:
    job = outcome.job
    result = {
        "status": "failed",
        "name": job.name,
        "config": options.plain(job.config),
        "error": outcome.error,
        "steps": job.recorded_step() or None,
        "seconds": round(outcome.seconds or 0.0, 3),
    }
    # Where another process is at work in the folder, this one has no business there.
    with contextlib.suppress(RunError), runs.Lock(job.folder):
        runs.write_json(job.folder / "result.json", result)


def counted(outcomes: Sequence[Outcome]) -> str:
    """`3 finished, 1 failed`."""
    words = ["finished before" if outcome.before else outcome.status for outcome in outcomes]
    order = ["finished", "stopped", "finished before", "failed", "interrupted", "not started"]
    return ", ".join(f"{words.count(word)} {word}" for word in order if word in words)
