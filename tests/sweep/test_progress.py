"""What a sweep prints: a bar in a terminal, plain lines elsewhere, a table of all jobs and the report."""

import io

import pytest

from dip.configuration.schema import Config
from dip.methods.denoisers import BM3D, Pixel2Pixel
from dip.report.collect import collect
from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome
from dip.sweep.progress import Progress, table, write_reports
from tests.sweep.stubs import jobs, local, sweep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_the_failed_jobs(tmp_path):
    three, screen = jobs(tmp_path, 3), Terminal()
    progress = Progress(three, screen)
    progress.started(three[0])
    progress.finished(Outcome(three[0], "finished", psnr=30.0, seconds=60.0))
    progress.finished(Outcome(three[1], "failed", seconds=1.0, error="broken"))
    progress.bar.mininterval = 0
    progress.update([three[2]])
    progress.bar.refresh()
    assert "| 2/3 [" in screen.getvalue()
    assert "running=1, failed=1]" in screen.getvalue()
    progress.close()
    line = f"[2/3] failed: seed=1, 1 s, broken; log: {three[1].console}\n"
    assert line in screen.getvalue()
    assert screen.getvalue().count("\n") == 2
    assert f"3 jobs to run; the output of each is in its folder: {three[0].console}\n" in screen.getvalue()


def test_elsewhere_each_event_is_a_plain_line(tmp_path):
    one, screen = jobs(tmp_path, 1), io.StringIO()
    progress = Progress(one, screen)
    progress.started(one[0])
    progress.update(one)
    progress.finished(Outcome(one[0], "stopped", psnr=31.239, seconds=75.4))
    progress.close()
    assert screen.getvalue().splitlines() == [
        f"1 job to run; the output of each is in its folder: {one[0].console}",
        f"started: {one[0].name}",
        f"[1/1] stopped: {one[0].name}, 31.24 dB, 75 s",
    ]


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_running_jobs_show_their_steps_before_the_first_has_ended(tmp_path, kind, monkeypatch):
    two, screen, now = jobs(tmp_path, 2), kind(), [0.0]
    monkeypatch.setattr("dip.sweep.progress.time.monotonic", lambda: now[0])
    progress = Progress(two, screen)
    progress.bar.mininterval = 0
    two[0].folder.mkdir(parents=True, exist_ok=True)
    (two[0].folder / "metrics.csv").write_text("step,loss\n1,0.5\n1350,0.25\n14")
    steps = two[0].config.steps
    for now[0] in (1.0, 61.0, 62.0):
        progress.update(two)
    progress.bar.refresh()
    progress.close()
    if kind is Terminal:
        assert f"steps=1,350/{2 * steps:,}]" in screen.getvalue()
    else:
        lines = [line for line in screen.getvalue().splitlines() if line.startswith("running: ")]
        assert lines == [
            f"running: seed=0, step 1,350 of at most {steps:,}",
            f"running: seed=1, step 0 of at most {steps:,}",
        ]


def test_the_steps_of_a_denoiser_are_its_own(tmp_path, monkeypatch):
    screen, now = io.StringIO(), [0.0]
    monkeypatch.setattr("dip.sweep.progress.time.monotonic", lambda: now[0])
    methods = (Pixel2Pixel(), BM3D())
    two = [Job(Config(method=method), (f"method={method.name}",), tmp_path / method.name) for method in methods]
    progress, now[0] = Progress(two, screen), 61.0
    progress.update(two)
    assert progress.steps == {"steps": "0/3,001"}
    assert screen.getvalue().splitlines()[1:] == [
        "running: method=pixel2pixel, step 0 of at most 3,000",
        "running: method=bm3d",
    ]


def test_a_closed_terminal_does_not_end_the_sweep(tmp_path):
    one, screen = jobs(tmp_path, 1), Terminal()
    progress = Progress(one, screen)
    screen.close()
    progress.say("to nobody")
    progress.finished(Outcome(one[0], "finished"))
    progress.update([])
    progress.close()


@pytest.mark.fault(23)
def test_the_table_names_failures_and_their_logs(tmp_path):
    four = jobs(tmp_path, 4)
    outcomes = [
        Outcome(four[0], "finished", 30.126, 61.7),
        Outcome(four[1], "failed", seconds=3.2, error="killed by SIGKILL (out of memory?)"),
        Outcome(four[2], "stopped", 8.5, 7.0, before=True),
        Outcome(four[3], "not started"),
    ]
    assert table(outcomes, 700.0).splitlines() == [
        "status          PSNR dB  seconds  run",
        f"finished          30.13       62  {four[0].name}  seed=0",
        f"failed                -        3  {four[1].name}  seed=1",
        "                                  killed by SIGKILL (out of memory?)",
        f"                                  log: {four[1].console}",
        f"stopped before     8.50        7  {four[2].name}  seed=2",
        f"not started           -        -  {four[3].name}  seed=3",
        "Run the same command again to resume.",
        "4 jobs in 11:40: 1 finished, 1 failed, 1 stopped before, 1 not started",
    ]


def test_the_report_shows_failed_jobs_too(tmp_path):
    two = jobs(tmp_path, 2)
    outcomes, _ = sweep(two, local({two[0]: "die", two[1]: "exit"}))
    assert write_reports(outcomes) == [tmp_path / "report.html"]
    page = (tmp_path / "report.html").read_text()
    assert "killed by SIGKILL (out of memory?)" in page
    assert "exit status 3: no such thing" in page
    assert {run.status for run in collect(tmp_path)} == {"failed"}


def test_a_sweep_that_ended_before_its_first_record_has_no_report(tmp_path, caplog):
    two = jobs(tmp_path, 2)
    two[0].folder.mkdir()  # holds the console log of its process alone
    assert write_reports([Outcome(two[0], "interrupted"), Outcome(two[1], "not started")]) == []
    assert caplog.messages == []


def test_a_report_that_cannot_be_written_is_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("dip.report.page.write", lambda folder: 1 / 0)
    assert write_reports([Outcome(jobs(tmp_path, 1)[0], "finished")]) == []
    assert caplog.messages == [
        f"{tmp_path}: no report (ZeroDivisionError: division by zero); to try again: python -m dip.report {tmp_path}"
    ]
