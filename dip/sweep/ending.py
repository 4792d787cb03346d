"""What a sweep leaves on the screen and in its folder: a table of all jobs, and the report page."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from dip.sweep.jobs import apart
from dip.sweep.outcomes import GOOD, Outcome, counted
from dip.sweep.progress import duration

log = logging.getLogger("dip")


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """One line per job, and below it the error and the log of one that failed; last, how many ended how."""
    rows, asked = [("status", "PSNR dB", "seconds", "run")], apart([outcome.job for outcome in outcomes])
    notes: list[list[str]] = [[]]
    for outcome in outcomes:
        psnr = "-" if outcome.psnr is None else f"{outcome.psnr:.2f}"
        took = "-" if outcome.seconds is None else f"{outcome.seconds:.0f}"
        status = f"{outcome.status}, before" if outcome.before else outcome.status
        rows.append((status, psnr, took, f"{outcome.job.name}  {asked[outcome.job]}".rstrip()))
        notes.append(
            [outcome.error or "", f"log: {outcome.job.console}"] if outcome.status == "failed" else []
        )
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    lines = []
    for (status, psnr, took, name), more in zip(rows, notes, strict=True):
        lines.append(f"{status:<{first}}  {psnr:>{second}}  {took:>{third}}  {name}")
        lines += [" " * (first + second + third + 6) + line for line in more]
    jobs = "job" if len(outcomes) == 1 else "jobs"
    if any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        lines.append("The same command goes on from here.")
    return "\n".join([*lines, f"{len(outcomes)} {jobs} in {duration(seconds)}: {counted(outcomes)}"])


def exit_status(outcomes: Sequence[Outcome], signal: int | None) -> int:
    """0 when every job has come to its end, 128 + the signal that stopped the sweep, else 1."""
    if signal is not None:
        return 128 + signal
    return 0 if all(outcome.status in GOOD for outcome in outcomes) else 1


def write_reports(outcomes: Sequence[Outcome]) -> list[Path]:
    """Writes the report of each folder that the jobs' runs lie in, and says where they are.

    A report that cannot be written costs one warning: the runs are what the sweep was for.
    """
    pages = []
    for folder in dict.fromkeys(outcome.job.folder.parent for outcome in outcomes):
        try:
            from dip.report import write  # matplotlib and jinja2, of which a sweep before its end has no use

            pages.append(write(folder))
        except Exception as error:
            text = " ".join(str(error).split())
            again = f"python -m dip.report {os.fspath(folder)}"
            log.warning(
                "no report of %s (%s: %s); to try again: %s", folder, type(error).__name__, text, again
            )
    return pages
