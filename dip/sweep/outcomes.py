"""The outcome of a job, from what its process left in the run folder."""

import contextlib
import math
import signal
from collections.abc import Mapping
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

    @property
    def label(self) -> str:
        """The status for the user: `finished`, or `finished before` if no process was started."""
        return f"{self.status} before" if self.before else self.status


def signature(job: Job) -> tuple[int, int] | None:
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


def settle(job: Job, code: int | str, fresh: bool, seconds: float, stopping: bool) -> Outcome | None:
    """Return the outcome of a job whose process has ended; None if another process is at work in its run folder.

    A `result.json` with status "failed" is written for a job that could not write it, so that the report shows it.

    Args:
        job: the job.
        code: exit status of the process; negative: the signal that killed it; a text: why there is none.
        fresh: whether `result.json` was written since the process started.
        seconds: how long the process ran.
        stopping: whether the sweep has asked the job to end.
    """
    result = (runs.read_result(job.folder) if fresh else None) or {}
    if result.get("status") in GOOD:
        return Outcome(job, result["status"], result.get("psnr"), result.get("seconds"))
    if not result and job.done:  # another process was faster
        return read_finished(job)
    killed = isinstance(code, int) and (code < 0 or code > 128)
    if result.get("status") == "interrupted" or (not result and stopping and killed):
        return Outcome(job, "interrupted", seconds=seconds)
    if not result and not stopping and job.busy:
        return None
    return fail(job, result.get("error") or _reason(job, code), seconds, write=not result)


def fail(job: Job, error: str | Exception, seconds: float = 0.0, write: bool = True) -> Outcome:
    """Return the outcome of a failed job and, if `write`, write its `result.json`, unless that is impossible."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: cannot be written ({error.strerror}); choose another folder with out=FOLDER"
    elif isinstance(error, Exception):
        kind = "" if isinstance(error, DipError) else f"{type(error).__name__}: "
        error = kind + " ".join(str(error).split())
    if write and not runs.finished(job.folder):
        result = {
            "status": "failed", "name": job.name, "config": schema.plain(job.config), "error": error,
            "steps": recorded_step(job) or None, "seconds": round(seconds, 3),
        }  # fmt: skip
        with contextlib.suppress(RunError, OSError), runs.Lock(job.folder):
            runs.write_json(job.folder / "result.json", result)
    return Outcome(job, "failed", seconds=seconds, error=error)


def recorded_step(job: Job) -> int:
    """The last recorded step of a job; 0 before the first."""
    with contextlib.suppress(RunError, LookupError, OSError):
        return int(runs.history(job.folder)["step"][-1])
    return 0


def _reason(job: Job, code: int | str) -> str:
    """Explain in one line why a process ended; for an exit status with the last line that it printed."""
    if isinstance(code, str):
        return code
    if code < 0:
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if code == 0:
        return "exit status 0 but no result"
    lines = []
    with contextlib.suppress(OSError):
        lines = job.console.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((" ".join(line.split())[:300] for line in reversed(lines) if line.strip()), "")
    return f"exit status {code}" + (f": {last.removeprefix('error: ')}" if last else "")


def score(result: Mapping[str, Any], folder: str | Path) -> float | None:
    """Return the score of a run that an optimising sweeper should MAXIMISE; None if the run has neither value.

    It is the PSNR of the restored image in dB if there is a reference. Otherwise it is the negative of what the
    stopping rule watched at the record nearest to the restored step, because for every rule smaller is better. Such
    scores are comparable between runs of the same stopping rule only.

    Args:
        result: the content of `result.json`.
        folder: the run folder.
    """
    psnr, restored = result.get("psnr"), result.get("restored_step")
    if psnr is not None or restored is None:
        return psnr
    rows = runs.history(folder)
    records = zip(rows.get("step", ()), rows.get("watched", ()), strict=True)
    known = [(abs(step - restored), -value) for step, value in records if not math.isnan(value)]
    return min(known, key=lambda record: record[0])[1] if known else None
