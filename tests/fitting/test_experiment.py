"""A run as a user sees it: `python train.py` in its own process, and its run folder."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dip import runs
from dip.errors import DivergedError, ImageError, OptionError
from dip.model.module import DeepImagePrior
from dip.report.figures.run import draw
from tests.conftest import ROOT, TINY, Fit, Train, environment


def only_run(folder: Path) -> Path:
    (run,) = [path for path in folder.iterdir() if path.is_dir()]
    return run


def result_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def rows_of(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_run(train: Train, tmp_path: Path):
    done = train("steps=25", "record_every=10", "logger=tensorboard")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "outputs")
    assert run.name.startswith("noisy-skips2-size32-fp32-steps25-seed0-")

    result = result_of(run)
    assert result["status"] == "finished"
    assert result["steps"] == result["restored_step"] == 25
    assert result["config"]["skips"] == [2]
    assert result["precision"]["name"] == "fp32"
    assert result["step_seconds"] > 0
    assert result["peak_memory_bytes"] > 1e6
    assert result["versions"]["torch"]

    rows = rows_of(run)
    assert [int(row["step"]) for row in rows] == [1, 10, 20, 25]
    losses = numpy.load(run / "losses.npy")
    assert losses.shape == (25,)
    assert float(rows[-1]["loss"]) == pytest.approx(float(losses[24]))
    assert result["oracle_psnr"] == max(float(row["psnr_ema"]) for row in rows)

    names = ("reference", "target", "output", "restored", "step-000001", "step-000020")
    assert {f"{name}.png" for name in names} <= {path.name for path in (run / "images").iterdir()}
    restored, reference = (
        numpy.asarray(Image.open(run / "images" / f"{name}.png")) / 255 for name in ("restored", "reference")
    )
    psnr = -10 * math.log10(numpy.square(restored - reference).mean())
    assert psnr == pytest.approx(result["psnr"], abs=0.02)  # the file has 8 bits

    figures = {"loss.png", "loss.svg", "psnr.png", "snapshots.png"}
    assert figures <= {path.name for path in (run / "figures").iterdir()}
    assert yaml.safe_load((run / ".hydra" / "config.yaml").read_text()) == result["config"]
    assert "steps=25" in yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text())
    assert "finished" in (run / "run.log").read_text()
    assert not (run / "checkpoints").exists()
    assert not list(run.glob(".*lock"))

    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Scalars("psnr_ema")] == [1, 10, 20, 25]
    assert [event.step for event in events.Images("output")] == [1, 2, 5, 10, 20]
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.fault(5)
def test_the_same_command_again_reports_the_finished_run_and_changes_nothing(train: Train, fit: Fit):
    run, _ = fit("steps=3")
    draw(run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    again = train("steps=3")
    assert again.returncode == 0
    assert "already finished" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    fit("steps=3", "overwrite=true")
    assert (run / "result.json").stat().st_mtime_ns != before[run / "result.json"]


def test_a_finished_run_without_figures_gets_them_when_it_is_asked_for_again(train: Train, fit: Fit):
    run, _ = fit("steps=3")
    assert runs.lacks_figures(run)
    losses = (run / "losses.npy").read_bytes()
    assert train("steps=3").returncode == 0
    assert not runs.lacks_figures(run)
    (run / "losses.npy").write_bytes(losses[:-1])
    (run / "figures" / "snapshots.png").unlink()
    again = train("steps=3")
    assert again.returncode == 0, "a figure never costs a result"
    assert "no figures (ValueError" in again.stderr
    assert runs.finished(run)


@pytest.mark.fault(7)
def test_a_run_that_another_process_finishes_meanwhile_is_not_repeated(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    """The second process has checked the folder before the first finished, and gets the lock after that."""
    real, between = runs.Lock.__enter__, []

    def enter(lock: runs.Lock) -> runs.Lock:
        if not between:
            between.append(lock)
            fit("steps=3")
            monkeypatch.setattr(DeepImagePrior, "training_step", lambda *_: pytest.fail("computed again"))
        return real(lock)

    monkeypatch.setattr(runs.Lock, "__enter__", enter)
    run, result = fit("steps=3")
    assert between
    assert result["status"] == "finished"
    assert result["folder"] == str(run)


@pytest.mark.fault(6)
def test_another_option_or_another_picture_means_another_folder(fit: Fit, tmp_path: Path):
    picture = tmp_path / "picture.png"
    for shade in (10, 200):
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(picture)
        for seed in (0, 1):
            fit("steps=1", f"image={picture}", f"seed={seed}")
    assert len(list((tmp_path / "outputs").iterdir())) == 4


def test_without_a_reference_the_scores_are_empty(fit: Fit):
    run, result = fit("steps=5", "target=degraded")
    assert result["psnr"] is result["ssim"] is result["oracle_psnr"] is result["oracle_step"] is None
    assert all(row["psnr"] == row["psnr_ema"] == "" for row in rows_of(run))
    assert not (run / "images" / "reference.png").exists()


def test_reference_is_scored_and_never_fitted(fit: Fit, tmp_path: Path):
    rng = numpy.random.default_rng(0)
    for name in ("noisy", "one", "other"):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=numpy.uint8)).save(tmp_path / f"{name}.png")
    options = (f"image={tmp_path}/noisy.png", "target=degraded", "steps=5")
    run, result = fit(*options, f"reference={tmp_path}/one.png")
    other_run, other_result = fit(*options, f"reference={tmp_path}/other.png")
    assert result["psnr"] != other_result["psnr"]
    assert numpy.array_equal(numpy.load(run / "losses.npy"), numpy.load(other_run / "losses.npy"))


def test_a_reference_of_another_size_is_refused(fit: Fit, tmp_path: Path):
    Image.new("RGB", (40, 32)).save(tmp_path / "clean.png")
    with pytest.raises(ImageError, match="3 x 512 x 512"):
        fit("size=null", f"reference={tmp_path}/clean.png", "target=degraded", "steps=1")
    assert not (tmp_path / "outputs").exists()


def contents(run: Path) -> dict[str, Any]:
    """What must be equal, byte for byte, whether a run was interrupted or not."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(run)]
    pictures = {path.name: path.read_bytes() for path in (run / "images").iterdir()}
    return {"rows": rows, "losses": (run / "losses.npy").read_bytes(), **pictures}


@pytest.mark.fault(1)
@pytest.mark.parametrize(("stop", "optimizer"), [("never", "muon"), ("wmv", "adam")])
def test_killed_at_any_step_it_ends_the_same(train: Train, tmp_path: Path, stop: str, optimizer: str):
    options = [*TINY, "steps=300", "record_every=7", f"stop={stop}", "checkpoint_every=0.05"]
    options += [f"optimizer={optimizer}"]
    if stop == "wmv":
        options += ["stop.window=20", "stop.patience=150"]
    assert train(*options).returncode == 0
    whole = only_run(tmp_path / "outputs")
    command = [sys.executable, str(ROOT / "train.py"), *options, f"out={tmp_path / 'killed'}"]
    kills, status = 0, None
    while status != 0:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        wait_for_a_new_checkpoint(tmp_path / "killed", process)
        if kills < 3 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        stderr = process.communicate(timeout=120)[1]
        status = process.returncode
        assert status in (0, -signal.SIGKILL), stderr
    assert kills == 3
    assert "continuing from step-" in stderr
    resumed = only_run(tmp_path / "killed")
    assert contents(resumed) == contents(whole)
    assert result_of(resumed)["restored_step"] == result_of(whole)["restored_step"]


def wait_for_a_new_checkpoint(out: Path, process: subprocess.Popen[str]) -> None:
    def newest() -> str:
        return max((path.name for path in out.glob("*/checkpoints/*.ckpt")), default="")

    before, deadline = newest(), time.monotonic() + 60
    while newest() == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.fault(9)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_resumes(train: Train, tmp_path: Path, number: int, code: int):
    process = start(tmp_path / "outputs", "steps=400", stderr=subprocess.PIPE)
    os.kill(process.pid, number)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == code, stderr
    assert "repeat the command to resume" in stderr
    run = only_run(tmp_path / "outputs")
    assert result_of(run)["status"] == "interrupted"
    reached = result_of(run)["steps"]
    assert 20 <= reached < 400
    done = train("steps=400")
    assert done.returncode == 0, done.stderr
    assert f"continuing from step-{reached:09d}" in done.stderr
    assert result_of(run)["status"] == "finished"


@pytest.mark.fault(20)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(fit: Fit, tmp_path: Path):
    a, b, c = (
        contents(fit("steps=10", f"out={tmp_path / out}", f"seed={seed}")[0])
        for out, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert a == b
    assert a["losses"] != c["losses"]


@pytest.mark.fault(17)
def test_a_diverging_run_fails_in_one_line(fit: Fit, tmp_path: Path):
    with pytest.raises(DivergedError, match="not finite"):
        fit("steps=50", "lr=1e20", "record_every=10")
    result = result_of(only_run(tmp_path / "outputs"))
    assert result["status"] == "failed"
    assert "not finite" in result["error"]


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_a_logger_that_is_not_installed_is_refused_before_there_is_a_folder(fit: Fit, tmp_path: Path):
    with pytest.raises(OptionError, match="logger=wandb: must be"):
        fit("steps=1", "logger=wandb")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.fault(15)
@pytest.mark.parametrize("error", [OSError("No space left on device"), ValueError("from matplotlib")])
def test_an_error_of_a_figure_is_a_warning(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
):
    def fail(*_: Any) -> None:
        raise error

    folder, _ = fit("steps=2")
    monkeypatch.setattr("dip.report.figures.run.psnr_curve", fail)
    with caplog.at_level("WARNING", logger="dip"):
        draw(folder)
    assert any(str(error) in line for line in caplog.messages)
    assert runs.finished(folder)
    assert runs.lacks_figures(folder)


def test_the_name_of_another_group_member_is_refused(fit: Fit):
    with pytest.raises(OptionError, match="target.name=clean: must be noisy here"):
        fit("steps=1", "target.name=clean")


def test_what_hydra_cannot_read_is_one_line(train: Train):
    done = train("net=5")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def start(folder: Path, *options: str, **how: Any) -> subprocess.Popen[str]:
    """Start a long run and wait until it has fitted for 20 steps."""
    command = [sys.executable, str(ROOT / "train.py"), *TINY, "steps=3000", f"out={folder}", *options]
    process = subprocess.Popen(command, text=True, env=environment(), **how)
    deadline = time.monotonic() + 60
    while not list(folder.glob("*/images/step-000020.png")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.fault(9)
def test_a_closed_terminal_does_not_end_the_run(tmp_path: Path):
    reader, writer = os.pipe()
    os.close(reader)  # as behind `| head -0`
    process = start(tmp_path, stdout=writer, stderr=writer)
    os.close(writer)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert result_of(only_run(tmp_path))["status"] == "interrupted"


@pytest.mark.fault(9)
def test_a_signal_that_is_ignored_from_the_start_stays_ignored(tmp_path: Path):
    nohup = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    process = start(tmp_path, stderr=subprocess.DEVNULL, preexec_fn=nohup)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
