"""The time left: steps at the pace seen, and a start for each job that still waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from dip.sweep.jobs import Job
from dip.sweep.pace import Pace
from tests.sweep.stubs import jobs


def at(job: Job, step: int) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "metrics.csv").write_text(f"step,loss\n{step},0.1\n")


def test_nothing_is_known_before_two_records(tmp_path: Path, clock: list[float]):
    one = jobs(tmp_path, 1)  # of 100 steps
    pace = Pace(one)
    pace.started(one[0])
    clock[0] = 8.0
    assert pace.left(one, []) is None
    at(one[0], 10)
    assert pace.left(one, []) is None
    clock[0] = 9.0
    at(one[0], 20)
    assert pace.left(one, []) == pytest.approx(80 * 0.1)


def test_starting_a_job_takes_time_too(tmp_path: Path, clock: list[float]):
    three = jobs(tmp_path, 3)
    pace = Pace(three)
    pace.started(three[0])
    clock[0] = 8.0
    at(three[0], 10)
    pace.left(three[:1], three[1:])
    clock[0] = 17.0
    pace.finished(three[0])  # 90 steps in 9 s, after 8 s
    assert pace.left([], three[1:]) == pytest.approx(2 * (8 + 100 * 0.1))
    pace.started(three[1])
    pace.started(three[2])
    assert pace.left(three[1:], []) == pytest.approx(100 * 0.1)  # side by side


def test_a_job_that_goes_on_has_fewer_steps_to_do(tmp_path: Path, clock: list[float]):
    two = jobs(tmp_path, 2)
    at(two[1], 60)
    pace = Pace(two)
    pace.started(two[0])
    clock[0] = 50.0
    pace.finished(two[0])
    assert pace.left([], two[1:]) == pytest.approx(40 * 0.5)
    pace.started(two[1])
    at(two[1], 50)  # back at its checkpoint
    assert pace.left(two[1:], []) == pytest.approx(40 * 0.5)
