"""The end of a sweep: a table of all jobs, the exit status, and the report page."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from dip.sweep.jobs import apart
from dip.sweep.outcomes import GOOD, Outcome, count

log = logging.getLogger("dip")


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return a table: a line per job, the error and log of a failed one, and last the number of jobs by status."""
    rows, overrides = (
        [("status", "PSNR dB", "seconds", "run", "")],
        apart([outcome.job for outcome in outcomes]),
    )
    for outcome in outcomes:
        psnr = "-" if outcome.psnr is None else f"{outcome.psnr:.2f}"
        took = "-" if outcome.seconds is None else f"{outcome.seconds:.0f}"
        status = f"{outcome.status}, before" if outcome.before else outcome.status
        rows.append((status, psnr, took, outcome.job.name, overrides[outcome.job]))
        if outcome.error:
            rows += [("", "", "", outcome.error, ""), ("", "", "", f"log: {outcome.job.console}", "")]
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    lines = [f"{a:<{first}}  {b:>{second}}  {c:>{third}}  {d}  {e}".rstrip() for a, b, c, d, e in rows]
    if any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        lines.append("Run the same command again to resume.")
    jobs = "job" if len(outcomes) == 1 else "jobs"
    return "\n".join([*lines, f"{len(outcomes)} {jobs} in {tqdm.format_interval(seconds)}: {count(outcomes)}"])


def exit_status(outcomes: Sequence[Outcome], signal: int | None) -> int:
    """Return 0 if every job has finished, 128 + the signal that ended the sweep, or else 1."""
    if signal is not None:
        return 128 + signal
    return 0 if all(outcome.status in GOOD for outcome in outcomes) else 1


def write_reports(outcomes: Sequence[Outcome]) -> list[Path]:
    """Write the report of each folder that holds runs of the jobs, and return the pages.

    If a report cannot be written, a warning is logged.
    """
    pages = []
    for folder in dict.fromkeys(outcome.job.folder.parent for outcome in outcomes):
        try:
            from dip.report import write  # imports matplotlib and jinja2, which only the end of a sweep needs

            pages.append(write(folder))
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            log.warning("%s: no report (%s); to try again: python -m dip.report %s", folder, text, os.fspath(folder))
    return pages
