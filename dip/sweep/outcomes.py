"""The outcome of a job, from what its process left in the run folder."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dip import runs
from dip.configuration import schema
from dip.errors import DipError, RunError
from dip.sweep.jobs import Job

GOOD = ("finished", "stopped")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job."""

    job: Job
    status: str
    """finished, stopped (by the stopping rule), failed, interrupted (resumes on the next call) or "not started"."""
    psnr: float | None = None
    seconds: float | None = None
    error: str | None = None
    """One line, for a failed job only."""
    before: bool = False
    """Whether the run had finished before, so that no process was started."""


Signature = tuple[int, int] | None


def signature(job: Job) -> Signature:
    """Return what changes whenever `result.json` is written, which always replaces the file; None without one."""
    try:
        found = (job.folder / "result.json").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read_finished(job: Job) -> Outcome:
    """Return the outcome of a job whose run had finished before."""
    result = runs.read_result(job.folder) or {"status": "finished"}
    return Outcome(job, result["status"], result.get("psnr"), result.get("seconds"), before=True)


def settle(job: Job, code: int | str, before: Signature, seconds: float, stopping: bool) -> Outcome | None:
    """Return the outcome of a job whose process has ended; None if another process is at work in its run folder.

    A `result.json` with status "failed" is written for a job that could not write it, so that the report shows it.

    Args:
        job: the job.
        code: exit status of the process; negative: the signal that killed it; a text: why there is none.
        before: the `signature` when the process started.
        seconds: how long the process ran.
        stopping: whether the sweep has asked the job to end.
    """
    fresh = signature(job) != before
    result = runs.read_result(job.folder) if fresh else None
    if result is not None and result["status"] in GOOD:
        return Outcome(job, result["status"], result.get("psnr"), result.get("seconds"))
    if result is None and job.done:  # another process was faster
        return read_finished(job)
    killed = isinstance(code, int) and (code < 0 or code > 128)
    if (result is not None and result["status"] == "interrupted") or (result is None and stopping and killed):
        return Outcome(job, "interrupted", seconds=seconds)
    if result is None and not stopping and job.busy:
        return None
    error = (result or {}).get("error") or _reason(job, code)
    return fail(job, error, seconds, write=result is None)


def fail(job: Job, error: str | BaseException, seconds: float = 0.0, write: bool = True) -> Outcome:
    """Return the outcome of a failed job and, if `write`, write its `result.json`, unless that is impossible."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: cannot be written ({error.strerror}); choose another folder with out=FOLDER"
    elif isinstance(error, BaseException):
        kind = "" if isinstance(error, DipError) else f"{type(error).__name__}: "
        error = kind + " ".join(str(error).split())
    result = {
        "status": "failed",
        "name": job.name,
        "config": schema.plain(job.config),
        "error": error,
        "steps": None,
        "seconds": round(seconds, 3),
    }
    if write:
        with contextlib.suppress(RunError, LookupError):
            result["steps"] = int(runs.history(job.folder)["step"][-1])
        with contextlib.suppress(RunError, OSError), runs.Lock(job.folder):
            runs.write_json(job.folder / "result.json", result)
    return Outcome(job, "failed", seconds=seconds, error=error)


def _reason(job: Job, code: int | str) -> str:
    """Explain in one line why a process ended; for an exit status with the last line that it printed."""
    if isinstance(code, str):
        return code
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if code == 0:
        return "exit status 0 but no result"
    try:
        with open(job.console, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        lines = []
    last = next((" ".join(line.split())[:300] for line in reversed(lines) if line.strip()), "")
    return f"exit status {code}" + (f": {last.removeprefix('error: ')}" if last else "")


def count(outcomes: Sequence[Outcome]) -> str:
    """Return the number of jobs by status: `3 finished, 1 failed`."""
    words = ["finished before" if outcome.before else outcome.status for outcome in outcomes]
    order = ["finished", "stopped", "finished before", "failed", "interrupted", "not started"]
    return ", ".join(f"{words.count(word)} {word}" for word in order if word in words)


def score(result: Mapping[str, Any], folder: str | Path) -> float | None:
    """Return the score of a run that an optimising sweeper should MAXIMISE; None if the run has neither value.

    It is the PSNR of the restored image in dB if there is a reference. Otherwise it is the negative of what the
    stopping rule watched at the record nearest to the restored step, because for every rule smaller is better. Such
    scores are comparable between runs of the same stopping rule only.

    Args:
        result: the content of `result.json`.
        folder: the run folder.
    """
    psnr, step = result.get("psnr"), result.get("restored_step")
    if psnr is not None or step is None:
        return psnr
    rows = runs.history(folder)
    known = [
        pair for pair in zip(rows.get("step", ()), rows.get("watched", ()), strict=True) if not math.isnan(pair[1])
    ]
    return -min(known, key=lambda pair: abs(pair[0] - step))[1] if known else None
