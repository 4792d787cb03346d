"""Progress of a sweep: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

from dip.sweep.outcomes import Outcome
from dip.sweep.progress import Progress
from tests.sweep.stubs import jobs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_the_failed_jobs(tmp_path: Path):
    three, screen = jobs(tmp_path, 3), Terminal()
    progress = Progress(three, screen)
    progress.started(three[0])
    progress.finished(Outcome(three[0], "finished", psnr=30.0, seconds=60.0))
    progress.finished(Outcome(three[1], "failed", seconds=1.0, error="broken"))
    progress.bar.mininterval = 0
    progress.update(running=1)
    progress.bar.refresh()
    assert "| 2/3 [" in screen.getvalue()
    assert "running=1, failed=1]" in screen.getvalue()
    progress.close()
    line = f"[2/3] failed: {three[1].name} (seed=1), 1 s, broken; log: {three[1].console}\n"
    assert line in screen.getvalue()
    assert screen.getvalue().count("\n") == 1


def test_elsewhere_each_event_is_a_plain_line(tmp_path: Path):
    one, screen = jobs(tmp_path, 1), io.StringIO()
    progress = Progress(one, screen)
    progress.started(one[0])
    progress.update(running=1)
    progress.finished(Outcome(one[0], "stopped", psnr=31.239, seconds=75.4))
    progress.close()
    assert screen.getvalue() == f"started: {one[0].name}\n[1/1] stopped: {one[0].name}, 31.24 dB, 75 s\n"


def test_a_closed_terminal_does_not_end_the_sweep(tmp_path: Path):
    one, screen = jobs(tmp_path, 1), Terminal()
    progress = Progress(one, screen)
    screen.close()
    progress.say("to nobody")
    progress.finished(Outcome(one[0], "finished"))
    progress.update(running=0)
    progress.close()
