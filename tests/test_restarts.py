"""Restarts: independent fits of one observation, averaged, each of them finished for good."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy
import pytest

import dip
from dip import runs
from dip.errors import RunError
from dip.module import DeepImagePrior
from dip.report.collect import collect
from dip.restarts import Restarts
from tests.conftest import Fit
from tests.test_experiment import contents
from tests.test_resuming import killed

OPTIONS = ("steps=30", "record_every=10", "restarts=2")


def images(folder: Path) -> list[numpy.ndarray]:
    return [numpy.load(folder / f"restart-{n}" / "restored.npy") for n in (1, 2)]


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_the_mean_of_the_restarts_is_scored_and_saved(fit: Fit, tmp_path: Path):
    folder, result = fit(*OPTIONS, "target.sigma=0.2")
    first, second = images(folder)
    assert not numpy.allclose(first, second, atol=0.01), "other weights, another z"
    reference = dip.restore("astronaut", target="clean", size=32, steps=1, progress=False).observed
    psnr = [-10 * numpy.log10(numpy.square(image - reference).mean()) for image in (first, second)]
    together = -10 * numpy.log10(numpy.square((first + second) / 2 - reference).mean())
    assert result["psnr"] == pytest.approx(together, abs=1e-3)
    assert [part["psnr"] for part in result["restarts"]] == pytest.approx(psnr, abs=1e-3)
    assert together > min(psnr)  # by convexity
    assert (result["status"], result["steps"]) == ("finished", 60)
    assert result["oracle_psnr"] is result["restored_step"] is None, "what one fit has, the mean has not"
    assert {"restored.png", "target.png", "reference.png"} <= {p.name for p in (folder / "images").iterdir()}
    assert (folder / "figures" / "loss.png").read_bytes() == (
        folder / "restart-1" / "figures" / "loss.png"
    ).read_bytes()


def test_the_first_restart_is_the_run_without_restarts_and_all_see_one_target(fit: Fit):
    folder, _ = fit(*OPTIONS)
    alone, result = fit("steps=30", "record_every=10")
    assert contents(folder / "restart-1")["losses"] == contents(alone)["losses"]
    targets = [(folder / part / "images" / "target.png").read_bytes() for part in ("restart-1", "restart-2")]
    assert targets[0] == targets[1] == (alone / "images" / "target.png").read_bytes()
    assert result["psnr"] == result_of(folder / "restart-1")["psnr"]


def test_killed_in_the_second_it_ends_the_same_and_leaves_the_first_alone(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    whole, _ = fit(*OPTIONS, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 45, *OPTIONS, "checkpoint_every=0")
    (folder,) = (tmp_path / "outputs").iterdir()
    first = (folder / "restart-1" / "result.json").stat().st_mtime_ns
    again, result = fit(*OPTIONS, "checkpoint_every=0")
    assert again == folder
    assert (folder / "restart-1" / "result.json").stat().st_mtime_ns == first
    assert (folder / "images" / "restored.png").read_bytes() == (
        whole / "images" / "restored.png"
    ).read_bytes()
    assert result["psnr"] == result_of(whole)["psnr"]


def test_a_report_counts_one_run(fit: Fit, tmp_path: Path):
    fit(*OPTIONS)
    assert len(runs.read(tmp_path / "outputs")) == 1
    assert len(collect(tmp_path / "outputs")) == 1


def test_the_python_call_averages_too():
    tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}
    one = dip.restore("astronaut", target="noisy", **tiny)
    two = dip.restore("astronaut", target="noisy", restarts=2, **tiny)
    assert two.metrics["restarts"][0]["psnr"] == pytest.approx(one.metrics["psnr"])
    assert two.metrics["psnr"] != one.metrics["psnr"]
    assert two.history["psnr"] == one.history["psnr"], "of the first"


def test_a_curve_that_a_full_disk_has_cost_costs_no_more(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    real = Restarts._part

    def lose(self: Restarts, *given: Any) -> Any:
        part = real(self, *given)
        for name in ("losses.npy", "metrics.csv"):
            (self.fits[0].folder / name).unlink(missing_ok=True)
        return part

    monkeypatch.setattr(Restarts, "_part", lose)
    folder, result = fit("steps=4", "restarts=2")
    assert result["status"] == "finished"
    assert not (folder / "losses.npy").exists()


def test_a_signal_in_the_last_step_of_a_fit_ends_before_the_next(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    calls, real = 0, DeepImagePrior.training_step

    def hit(self: DeepImagePrior, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            signal.raise_signal(signal.SIGTERM)
        return real(self, *given)

    monkeypatch.setattr(DeepImagePrior, "training_step", hit)
    folder, result = fit("steps=4", "restarts=3")
    assert (result["status"], result["signal"], calls) == ("interrupted", signal.SIGTERM, 4)
    assert result_of(folder / "restart-1")["status"] == "finished"
    _, result = fit("steps=4", "restarts=3")
    assert (result["status"], calls) == ("finished", 12)


def test_a_folder_that_is_gone_at_the_end_is_named(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Between the last fit and the mean of all."""
    real = Restarts._save

    def vanish(self: Restarts, result: dict[str, Any]) -> None:
        self.folder.rename(tmp_path / "aside")
        real(self, result)

    monkeypatch.setattr(Restarts, "_save", vanish)
    with pytest.raises(RunError, match="the run folder is gone"):
        fit("steps=4", "restarts=2")
    monkeypatch.undo()
    (tmp_path / "aside").rename(tmp_path / "outputs" / "back")
    assert not [path for path in (tmp_path / "outputs").iterdir() if path.name != "back"]


def test_a_failure_in_the_second_fit_tells_its_steps(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls, real = 0, DeepImagePrior.training_step

    def fail(self: DeepImagePrior, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 24:
            raise RunError("the fourth step of the second fit")
        return real(self, *given)

    monkeypatch.setattr(DeepImagePrior, "training_step", fail)
    with pytest.raises(RunError, match="second fit"):
        fit("steps=20", "restarts=2")
    (folder,) = (tmp_path / "outputs").iterdir()
    assert json.loads((folder / "result.json").read_text())["steps"] == 3
