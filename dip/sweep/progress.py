"""The output of a sweep: a tqdm bar in a terminal or else plain lines, and at the end a table and the report page."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from dip.options import log
from dip.sweep.jobs import Job, apart
from dip.sweep.outcomes import GOOD, Outcome, recorded_step

LINES_EVERY, BAR_EVERY = 60.0, 2.0
"""Seconds between two looks at the steps of the running jobs: without a terminal, where each is a line, and with one."""


class Progress:
    """Shows the progress of a sweep of `jobs` on `stream` (default: stderr).

    `names` are those of the jobs; default: the options that not all jobs share, or the name of the run folder.
    """

    def __init__(
        self, jobs: Sequence[Job], stream: TextIO | None = None, names: Mapping[Job, str] | None = None
    ) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.ended = self.failed = 0
        self.total = len(jobs)
        self.names = names or {job: options or job.name for job, options in apart(jobs).items()}
        self.steps: dict[str, str] = {}
        self._due = time.monotonic() + (BAR_EVERY if self.terminal else LINES_EVERY)
        self.bar = tqdm(
            total=len(jobs), unit="job", file=self.stream, disable=not self.terminal,
            leave=False, dynamic_ncols=True, miniters=0, mininterval=0.5,
        )  # fmt: skip
        if waiting := [job for job in jobs if not job.done]:
            number = "1 job" if len(waiting) == 1 else f"{len(waiting)} jobs"
            self.say(f"{number} to run; the output of each is in its folder: {waiting[0].console}")

    def say(self, line: str) -> None:
        """Print a line, above the bar."""
        with contextlib.suppress(OSError, ValueError):  # a closed terminal or pipe must not end the sweep
            self.bar.write(line, file=self.stream)
            self.stream.flush()

    def started(self, job: Job) -> None:
        """Note that a job has started."""
        if not self.terminal:
            self.say(f"started: {self.names[job]}")

    def finished(self, outcome: Outcome) -> None:
        """Note how a job has ended. In a terminal, only failed and interrupted jobs get a line."""
        self.ended += 1
        self.failed += outcome.status == "failed"
        with contextlib.suppress(OSError, ValueError):
            self.bar.update()
        if self.terminal and outcome.status in GOOD:
            return
        details = [f"{outcome.psnr:.2f} dB"] if outcome.psnr is not None else []
        details += [f"{outcome.seconds:.0f} s"] if outcome.seconds is not None else []
        details += [f"{outcome.error}; log: {outcome.job.console}"] if outcome.error else []
        place = f"[{self.ended}/{self.total}]"
        self.say(", ".join([f"{place} {outcome.label}: {self.names[outcome.job]}", *details]))

    def update(self, running: Sequence[Job]) -> None:
        """Show the steps of the running jobs, and in a terminal the number of running and failed jobs."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + (BAR_EVERY if self.terminal else LINES_EVERY)
            done = {job: recorded_step(job) for job in running}
            wanted = sum(job.steps for job in running)
            self.steps = {"steps": f"{sum(done.values()):,}/{wanted:,}"} if running else {}
            for job, step in done.items() if not self.terminal else ():
                self.say(f"running: {self.names[job]}" + f", step {step:,} of at most {job.steps:,}" * (job.steps > 1))
        with contextlib.suppress(OSError, ValueError):
            self.bar.set_postfix({"running": len(running), "failed": self.failed, **self.steps}, refresh=False)
            self.bar.update(0)

    def close(self) -> None:
        """Remove the bar."""
        with contextlib.suppress(OSError, ValueError):
            self.bar.close()


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return a table: a line per job, the error and log of a failed one, and last the number of jobs by status."""
    rows = [("status", "PSNR dB", "seconds", "run")]
    overrides = apart([outcome.job for outcome in outcomes])
    for outcome in outcomes:
        psnr = "-" if outcome.psnr is None else f"{outcome.psnr:.2f}"
        took = "-" if outcome.seconds is None else f"{outcome.seconds:.0f}"
        rows.append((outcome.label, psnr, took, f"{outcome.job.name}  {overrides[outcome.job]}"))
        if outcome.error:
            rows += [("", "", "", outcome.error), ("", "", "", f"log: {outcome.job.console}")]
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    lines = [f"{a:<{first}}  {b:>{second}}  {c:>{third}}  {d}".rstrip() for a, b, c, d in rows]
    if any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        lines.append("Run the same command again to resume.")
    jobs = "job" if len(outcomes) == 1 else "jobs"
    counts = Counter(outcome.label for outcome in outcomes)
    by_status = ", ".join(f"{number} {label}" for label, number in counts.items())
    return "\n".join([*lines, f"{len(outcomes)} {jobs} in {tqdm.format_interval(seconds)}: {by_status}"])


def write_reports(outcomes: Sequence[Outcome]) -> list[Path]:
    """Write the report of each folder of runs and return the pages. If one cannot be written, a warning is logged."""
    pages = []
    waiting = ("interrupted", "not started")
    begun = [out.job.folder for out in outcomes if out.status not in waiting or (out.job.folder / ".hydra").is_dir()]
    for folder in dict.fromkeys(run.parent for run in begun):
        try:
            from dip.report import page  # imports matplotlib and jinja2, which only the end of a sweep needs

            pages.append(page.write(folder))
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            log.warning("%s: no report (%s); to try again: python -m dip.report %s", folder, text, folder)
    return pages
