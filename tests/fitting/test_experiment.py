"""A run as a user sees it: `python train.py`, and its run folder."""

import importlib.util
import math
import sys

import numpy
import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dip import runs
from dip.configuration.schema import Config
from dip.errors import OptionError
from dip.fitting import experiment
from dip.fitting.experiment import place
from dip.model.module import DeepImagePrior
from dip.report.figures.run import draw
from dip.targets import Noisy
from tests.conftest import TINY, composed
from tests.disturbed import contents, only, rows_of


def test_the_files_of_a_run(main, tmp_path):
    words = ("steps=25", "record_every=10", "logger=tensorboard", "baselines=true", f"out={tmp_path / 'outputs'}")
    status, _, said = main(*TINY, *words)
    assert status == 0, said
    run = only(tmp_path / "outputs")
    assert run.name.startswith("noisy-skips2-size32-fp32-steps25-seed0-")

    result = runs.read_result(run)
    assert result["status"] == "finished"
    assert result["steps"] == result["restored_step"] == 25
    assert result["config"]["skips"] == [2]
    assert result["precision"]["name"] == "fp32"
    assert result["step_seconds"] > 0
    assert result["peak_memory_bytes"] > 1e6
    assert result["versions"]["torch"]
    assert " thread" in result["device"]

    rows = rows_of(run)
    assert [int(row["step"]) for row in rows] == [1, 2, 5, 10, 20, 25]
    losses = numpy.load(run / "losses.npy")
    assert losses.shape == (25,)
    assert float(rows[-1]["loss"]) == pytest.approx(float(losses[24]))
    assert result["oracle_psnr"] == max(float(row["psnr_ema"]) for row in rows)

    names = ("reference", "target", "output", "restored", "step-000001", "step-000020", "baseline-nlm")
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
    assert [event.step for event in events.Scalars("psnr_ema")] == [1, 2, 5, 10, 20, 25]
    assert [event.step for event in events.Scalars("restored/psnr")] == [25]
    assert {name: events.Images(name)[0].step for name in ("target", "reference", "restored")} == {
        "target": 0, "reference": 0, "restored": 25,
    }  # fmt: skip
    assert [event.step for event in events.Images("output")] == [1, 2, 5, 10, 20]
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.fault(5)
def test_the_same_command_again_reports_the_finished_run_and_changes_nothing(train, fit, monkeypatch):
    run, _ = fit("steps=3")
    draw(run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    again = train("steps=3")
    assert again.returncode == 0
    assert "already finished" in again.stderr
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "hydra" in imported
    assert not imported & {"torch", "lightning", "numpy", "scipy", "matplotlib"}, (
        "they take seconds on a loaded machine"
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    fit("steps=3", "overwrite=true")
    assert (run / "result.json").stat().st_mtime_ns != before[run / "result.json"]


def test_what_a_finished_run_no_longer_saves_is_told(fit, caplog):
    fit("steps=3")
    fit("steps=3", "device=cpu", "checkpoint_every=7")
    assert "overwrite=true" not in caplog.text
    fit("steps=3", "keep_checkpoint=true", "snapshot_every=2")
    assert "keep_checkpoint, snapshot_every: no effect, since the run has finished" in caplog.text


@pytest.mark.fault(15)
def test_a_finished_run_without_figures_gets_them_when_it_is_asked_for_again(main, fit):
    run, _ = fit("steps=3")
    assert runs.lacks_figures(run)
    losses, words = (run / "losses.npy").read_bytes(), (*TINY, "steps=3", f"out={run.parent}")
    assert main(*words)[0] == 0
    assert not runs.lacks_figures(run)
    (run / "losses.npy").write_bytes(losses[:-1])
    (run / "figures" / "snapshots.png").unlink()
    status, _, said = main(*words)
    assert status == 0, "a figure never costs a result"
    assert "no figures (ValueError" in said
    assert runs.finished(run)


@pytest.mark.fault(7)
def test_a_run_that_another_process_finishes_meanwhile_is_not_repeated(fit, monkeypatch):
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


def test_without_a_reference_the_scores_are_empty(fit):
    run, result = fit("steps=5", "target=degraded")
    assert result["psnr"] is result["ssim"] is result["oracle_psnr"] is result["oracle_step"] is None
    assert all(row["psnr"] == row["psnr_ema"] == "" for row in rows_of(run))
    assert not (run / "images" / "reference.png").exists()


@pytest.mark.fault(20)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(fit, tmp_path):
    a, b, c = (
        contents(fit("steps=10", f"out={tmp_path / out}", f"seed={seed}")[0])
        for out, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert a == b
    assert a["losses"] != c["losses"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("target.name=clean", "target.name=clean: must be noisy here"),
        ("stop=heldout size=[1,1]", "stop"),
        pytest.param(
            "logger=wandb", "logger=wandb: must be",
            marks=pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed"),
        ),
    ],
)  # fmt: skip
def test_options_are_refused_before_there_is_a_folder(fit, tmp_path, option, message):
    with pytest.raises(OptionError, match=message):
        fit("steps=1", "target=noisy", *option.split())
    assert not (tmp_path / "outputs").exists()


def test_integers_and_floats_give_the_same_run():
    assert place(composed("target.sigma=1")) == place(Config(target=Noisy(sigma=1)))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("/x/dip/__main__.py", "python -m dip"),
        ("train.py", "python train.py"),
        ("/bin/deep-image-prior", "deep-image-prior"),
    ],
)
def test_the_log_begins_with_a_command_that_repeats_the_run(program, words, monkeypatch, tmp_path, caplog):
    (tmp_path / ".hydra").mkdir()
    monkeypatch.setattr(sys, "argv", [program])
    with caplog.at_level("INFO", "dip"):
        experiment._describe(tmp_path, Config(), ["steps=2", "skips=[1]"])
    assert caplog.messages[0] == f"{words} steps=2 'skips=[1]'"
