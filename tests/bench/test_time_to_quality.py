"""Time to quality, of curves with known results."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy
import pytest

from dip import runs
from dip.bench import time_to_quality
from dip.errors import RunError
from tests.conftest import Fit


def test_the_ratio_of_two_curves():
    at = numpy.arange(1.0, 11)
    slow = {"a": (100 * at, numpy.array([20, 25, 28, 29, 29.85, 29.95, 30, 29, 28, 27.0]))}
    fast = {"a": (at, numpy.array([28, 29, 29.9, 30.2, 30, 30, 30, 30, 30, 30.0]))}
    (row,) = time_to_quality.compare(slow, fast)
    assert (row["slow_best"], row["slow_seconds"], row["slow_near"]) == (30, 700, 600)
    assert (row["fast_best"], row["fast_near"]) == (30.2, 3)
    assert row["ratio"] == pytest.approx(700 / 3)
    assert row["ratio_near"] == pytest.approx(200)


def test_without_reaching_the_quality_there_is_no_ratio():
    at = numpy.arange(1.0, 4)
    (row,) = time_to_quality.compare({"a": (at, numpy.full(3, 30.0))}, {"a": (at, numpy.full(3, 29.0))})
    assert row["fast_near"] is row["ratio"] is row["ratio_near"] is None


def test_runs_become_a_table_and_a_figure(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, lr in (("slow", 0.003), ("fast", 0.01)):
        fit("steps=40", "record_every=5", f"lr={lr}", f"out={tmp_path / name}")
    to = tmp_path / "to"
    _, ended = fit("steps=40", "stop=heldout", "stop.patience=1", "record_every=1", f"out={tmp_path / 'ended'}")
    assert ended["status"] == "stopped"
    given = f"--slow {tmp_path}/slow 1 --fast {tmp_path}/fast 0.5 --ended {tmp_path}/ended --to {to}"
    assert time_to_quality.main(given.split()) == 0
    assert {path.name for path in to.iterdir()} == {"table.csv", "curves.csv", "quality.png", "quality.svg"}
    with open(to / "table.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["ended"]) == pytest.approx(ended["psnr"], rel=1e-6)
    assert float(row["ended_seconds"]) == ended["steps"] * 0.5
    assert float(row["ended_ratio"]) == pytest.approx(float(row["slow_seconds"]) / (ended["steps"] * 0.5))
    with open(to / "curves.csv", newline="") as file:
        points = [point for point in csv.DictReader(file) if point["way"] == "fast"]
    assert max(points, key=lambda point: float(point["psnr"]))["psnr"] == row["fast_best"]
    assert {float(point["seconds"]) for point in points} == {step / 2 for step in (1, 2, *range(5, 41, 5))}
    assert capsys.readouterr().out.startswith("astronaut")


def test_a_folder_without_scores_is_refused(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fit("steps=2", "target=degraded")
    code = time_to_quality.main(["--slow", str(tmp_path / "outputs"), "1", "--fast", str(tmp_path / "outputs"), "1"])
    assert code == 1
    assert "give runs with a reference" in capsys.readouterr().err


def test_seeds_are_averaged(fit: Fit, tmp_path: Path):
    histories = [runs.history(fit("steps=20", "record_every=5", f"seed={seed}")[0]) for seed in (0, 1)]
    at, psnr = time_to_quality.curves(tmp_path / "outputs", 0.5)["astronaut"]
    assert at.tolist() == [0.5, 1.0, 2.5, 5.0, 7.5, 10.0]
    expected = [sum(pair) / 2 for pair in zip(*(history["psnr_ema"] for history in histories), strict=True)]
    assert psnr == pytest.approx(expected)
    fit("steps=15", "record_every=5")
    with pytest.raises(RunError, match="equal steps"):
        time_to_quality.curves(tmp_path / "outputs", 0.5)


def test_ends_are_averaged_over_seeds(fit: Fit, tmp_path: Path):
    results = [fit(f"steps={steps}", f"seed={steps}")[1] for steps in (2, 4)]
    found = time_to_quality.ends(tmp_path / "outputs", 0.5)
    psnr = sum(result["psnr"] for result in results) / 2
    assert found == {"astronaut": {"ended": pytest.approx(psnr), "ended_seconds": 1.5}}
    fit("steps=2", "target=degraded", "seed=9")
    with pytest.raises(RunError, match="give runs with a reference"):
        time_to_quality.ends(tmp_path / "outputs", 0.5)
