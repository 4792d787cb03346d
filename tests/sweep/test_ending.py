"""The end of a sweep: its table, exit status and report."""

from __future__ import annotations

from pathlib import Path

import pytest

from dip import runs
from dip.sweep import ending
from dip.sweep.outcomes import Outcome
from tests.sweep.stubs import jobs, local, sweep


@pytest.mark.fault(23)
def test_the_table_names_failures_and_their_logs(tmp_path: Path):
    four = jobs(tmp_path, 4)
    outcomes = [
        Outcome(four[0], "finished", 30.126, 61.7),
        Outcome(four[1], "failed", seconds=3.2, error="killed by SIGKILL (out of memory?)"),
        Outcome(four[2], "stopped", 8.5, 7.0, before=True),
        Outcome(four[3], "not started"),
    ]
    assert ending.table(outcomes, 700.0).splitlines() == [
        "status           PSNR dB  seconds  run",
        f"finished           30.13       62  {four[0].name}  seed=0",
        f"failed                 -        3  {four[1].name}  seed=1",
        "                                   killed by SIGKILL (out of memory?)",
        f"                                   log: {four[1].console}",
        f"stopped, before     8.50        7  {four[2].name}  seed=2",
        f"not started            -        -  {four[3].name}  seed=3",
        "Run the same command again to resume.",
        "4 jobs in 11:40: 1 finished, 1 finished before, 1 failed, 1 not started",
    ]


@pytest.mark.parametrize(
    ("statuses", "signal", "expected"),
    [
        (["finished", "stopped"], None, 0),
        (["finished", "failed"], None, 1),
        (["finished", "interrupted"], None, 1),
        (["finished", "not started"], 2, 130),
        (["interrupted"], 15, 143),
    ],
)
def test_exit_status(tmp_path: Path, statuses: list[str], signal: int | None, expected: int):
    outcomes = [Outcome(job, status) for job, status in zip(jobs(tmp_path, 2), statuses, strict=False)]
    assert ending.exit_status(outcomes, signal) == expected


def test_the_report_shows_failed_jobs_too(tmp_path: Path):
    two = jobs(tmp_path, 2)
    outcomes, _ = sweep(two, local({two[0]: "die", two[1]: "exit"}))
    assert ending.write_reports(outcomes) == [tmp_path / "report.html"]
    page = (tmp_path / "report.html").read_text()
    assert "killed by SIGKILL (out of memory?)" in page
    assert "exit status 3: no such thing" in page
    assert {row["status"] for row in runs.read(tmp_path)} == {"failed"}


def test_a_report_that_cannot_be_written_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dip.report.write", lambda folder: 1 / 0)
    assert ending.write_reports([Outcome(jobs(tmp_path, 1)[0], "finished")]) == []
    assert caplog.messages == [
        f"{tmp_path}: no report (ZeroDivisionError: division by zero); to try again: python -m dip.report {tmp_path}"
    ]
