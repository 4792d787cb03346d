"""The line that counts, and the time left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dip.sweep.outcomes import Outcome
from dip.sweep.progress import Progress, duration
from tests.sweep.stubs import jobs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_changes(tmp_path: Path, clock: list[float]):
    three, screen = jobs(tmp_path, 3), Terminal()
    progress = Progress(three, screen)
    progress.started(three[0])
    progress.update([], three[:1], three[1:])
    assert screen.getvalue() == "0 of 3 done, 1 running, 0 failed, time left unknown yet"
    clock[0] = 60.0
    done = Outcome(three[0], "finished", psnr=30.0, seconds=60.0)
    progress.ended(done, 1, [], three[1:])
    progress.started(three[1])
    progress.update([done], three[1:2], three[2:])
    assert screen.getvalue().rpartition("\r")[2] == "1 of 3 done, 1 running, 0 failed, 2 min left"
    progress.ended(Outcome(three[1], "failed", seconds=1.0, error="broken"), 2, [], three[2:])
    assert (
        f"\r[2/3] failed: {three[1].name} (seed=1), 1 s, broken; log: {three[1].console}, 60 s left\n"
        in screen.getvalue()
    )
    progress.close()
    assert screen.getvalue().count("\n") == 1


def test_elsewhere_each_event_is_a_plain_line(tmp_path: Path):
    one, screen = jobs(tmp_path, 1), io.StringIO()
    progress = Progress(one, screen)
    progress.started(one[0])
    progress.update([], one, [])
    progress.ended(Outcome(one[0], "stopped", psnr=31.239, seconds=75.4), 1, [], [])
    assert screen.getvalue() == f"started: {one[0].name}\n[1/1] stopped: {one[0].name}, 31.24 dB, 75 s\n"
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
