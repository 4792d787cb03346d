"""The line that counts, and the time left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dip.sweep.jobs import Job
from dip.sweep.outcomes import Outcome
from dip.sweep.progress import Progress, duration
from tests.sweep.stubs import jobs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at(job: Job, step: int) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "metrics.csv").write_text(f"step,loss\n{step},0.1\n")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("dip.sweep.progress.time.monotonic", lambda: now[0])
    return now


def test_time_left_follows_the_steps_done_since_the_start(tmp_path: Path, clock: list[float]):
    five = jobs(tmp_path, 5)  # of 100 steps each
    at(five[1], 40)  # was interrupted there
    progress = Progress(five, io.StringIO())
    ended = [Outcome(five[4], "finished", before=True), Outcome(five[3], "failed")]
    assert progress.left(ended, five[:1], five[1:3]) is None  # no step yet, so no pace
    clock[0] = 30.0
    at(five[1], 90)
    ended.append(Outcome(five[0], "finished"))
    # 100 + (90 - 40) steps in 30 s; 10 and 100 are left.
    assert progress.left(ended, five[1:2], five[2:3]) == pytest.approx(110 * 30 / 150)


def test_a_terminal_shows_one_line_that_changes(tmp_path: Path, clock: list[float]):
    three, screen = jobs(tmp_path, 3), Terminal()
    progress = Progress(three, screen)
    progress.started(three[0])
    progress.update([], three[:1], three[1:])
    assert screen.getvalue() == "0 of 3 done, 1 running, 0 failed, time left unknown yet"
    clock[0] = 60.0
    done = Outcome(three[0], "finished", psnr=30.0, seconds=60.0)
    progress.ended(done, 1, 120.0)
    progress.update([done], three[1:2], three[2:])
    assert screen.getvalue().rpartition("\r")[2] == "1 of 3 done, 1 running, 0 failed, 2 min left"
    progress.ended(Outcome(three[1], "failed", seconds=1.0, error="broken"), 2, None)
    assert screen.getvalue().endswith(
        f"\r[2/3] failed: {three[1].name}, 1 s, broken; log: {three[1].console}\n"
    )
    progress.close()
    assert screen.getvalue().count("\n") == 1


def test_elsewhere_each_event_is_a_plain_line(tmp_path: Path, clock: list[float]):
    one, screen = jobs(tmp_path, 1), io.StringIO()
    progress = Progress(one, screen)
    progress.started(one[0])
    progress.update([], one, [])
    progress.ended(Outcome(one[0], "stopped", psnr=31.239, seconds=75.4), 1, 600.0)
    assert (
        screen.getvalue()
        == f"started: {one[0].name}\n[1/1] stopped: {one[0].name}, 31.24 dB, 75 s, 10 min left\n"
    )
    assert "\r" not in screen.getvalue()


def test_a_closed_terminal_is_no_reason_to_stop(tmp_path: Path):
    screen = Terminal()
    progress = Progress(jobs(tmp_path, 1), screen)
    screen.close()
    progress.say("to nobody")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (11100, "3 h 05 min")]
)
def test_duration(seconds: float, text: str):
    assert duration(seconds) == text
