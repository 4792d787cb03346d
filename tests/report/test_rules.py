"""Rules side by side, on runs whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dip.report import rules


def run(done: bool = True, **answers: tuple[float | None, int | None]) -> Any:
    found = {
        name: {"gap": gap, "ended": ended, "step": 1, "psnr": 1.0} for name, (gap, ended) in answers.items()
    }
    return SimpleNamespace(done=done, result={"rules": found} if found else {})


def test_means_worst_and_steps_saved():
    found = [
        run(a=(0.2, 1000), b=(1.0, None)),
        run(a=(0.4, 3000), b=(0.0, 2000)),
        run(),
        run(done=False, a=(9.0, 1)),
    ]
    best, other = rules.rows(found)
    assert (best["rule"], best["n"], best["gap_worst"], best["ended"], best["ended_step"]) == (
        "a",
        2,
        0.4,
        2,
        2000,
    )
    assert best["gap_mean"] == pytest.approx(0.3)
    assert best["saved"] == pytest.approx(0.8)
    assert (other["gap_mean"], other["ended"], other["ended_step"]) == (0.5, 1, 2000)
    assert other["saved"] == pytest.approx(0.4), "a run that it would not have ended saves nothing"


def test_only_rules_that_every_run_has_and_runs_with_a_reference():
    found = [run(a=(0.2, 1), b=(0.1, 1)), run(a=(0.3, 1)), run(a=(None, 1))]
    assert rules.gaps(found) == {"a": [0.2, 0.3]}
    assert rules.gaps([]) == {}
    assert rules.rows([]) == []
