"""Special cases of resuming: at the last step, in double precision, on another device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dip import images, runs
from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.fitting import fit as fit_module
from dip.model.module import DeepImagePrior
from dip.runs.checkpoints import footer_of, load, write
from dip.stopping import Never
from tests.conftest import TINY, Fit, composed
from tests.faults.invariants import evidence
from tests.fitting.test_experiment import contents


class Killed(Exception):
    """Ends a run inside this process."""


def killed(monkeypatch: pytest.MonkeyPatch, fit: Fit, owner: type, method: str, at: int, *options: str) -> None:
    """Run `fit(*options)` and end it at the `at`-th call of `owner.method`."""
    calls, real = 0, getattr(owner, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, call)
        with pytest.raises(Killed):
            fit(*options)


@pytest.mark.fault(5, 8)
@pytest.mark.parametrize("stop", [("stop=never",), ("stop=heldout", "stop.patience=1")])
def test_killed_while_it_saves_its_images_it_ends_the_same(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop: tuple[str, ...]
):
    options = ("steps=60", "record_every=7", "checkpoint_every=0", *stop)
    whole, result = fit(*options, f"out={tmp_path / 'whole'}")
    assert result["status"] == ("finished" if stop == ("stop=never",) else "stopped")
    killed(monkeypatch, fit, fit_module.Fit, "_finish", 1, *options)
    resumed, again = fit(*options)
    assert contents(resumed) == contents(whole)
    for key in ("status", "steps", "restored_step", "loss", "psnr"):
        assert again[key] == result[key]


def test_records_that_were_lost_after_the_last_step_are_written_again(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    options = ("steps=20", "record_every=5", "checkpoint_every=0")
    options += ("precision=fp64", "optimizer=muon", "keep_checkpoint=true")
    whole, _ = fit(*options, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, fit_module.Fit, "_finish", 1, *options)
    (folder,) = (tmp_path / "outputs").iterdir()
    metrics = folder / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:90])
    fit(*options)
    assert evidence(folder) == evidence(whole)


def test_checkpoints_stay_until_the_result_is_written(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    """Otherwise a full disk, or a kill at this instant, would cost the whole fit."""
    options, steps = ("steps=20", "checkpoint_every=0"), []
    real = DeepImagePrior.training_step
    monkeypatch.setattr(
        DeepImagePrior, "training_step", lambda self, *given: steps.append(self.step) or real(self, *given)
    )
    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", lambda path, data: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(*options, "seed=1")
    assert len(steps) == 20
    _, result = fit(*options, "seed=1")
    assert result["status"] == "finished"
    assert len(steps) == 20, "no step is repeated"


@pytest.mark.fault(1, 5)
@pytest.mark.parametrize(("step", "precision"), [(1, "fp32"), (2, "fp32"), (20, "fp32"), (11, "fp64")])
def test_killed_at_any_step_and_in_any_precision_it_ends_the_same(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: int, precision: str
):
    options = ("steps=20", "record_every=7", "checkpoint_every=0", f"precision={precision}")
    whole, _ = fit(*options, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", step, *options)
    resumed, _ = fit(*options)
    assert contents(resumed) == contents(whole)


@pytest.mark.fault(1)
def test_a_run_does_not_resume_in_another_precision(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    """`precision=auto` selects bf16 on one machine and float32 on another."""
    options = ("steps=20", "record_every=7", "checkpoint_every=0", "precision=auto")
    monkeypatch.setattr("dip.hardware.devices._native_bf16", lambda device: False)
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 11, *options)
    monkeypatch.setattr("dip.hardware.devices._native_bf16", lambda device: True)
    with pytest.raises(RunError, match="precision.name is fp32 there and bf16 here"):
        fit(*options)


def test_a_failed_run_records_its_steps(fit: Fit, tmp_path: Path):
    with pytest.raises(DipError):
        fit("steps=40", "lr=1e20", "record_every=1")
    (folder,) = (tmp_path / "outputs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "failed"
    assert 1 <= result["steps"] < 40


@pytest.mark.fault(12)
def test_the_weights_of_another_network_are_refused_with_their_keys(fit: Fit, tmp_path: Path):
    options = ("steps=20", "record_every=10", "keep_checkpoint=true")
    folder, _ = fit(*options)
    (path,) = (folder / "checkpoints").iterdir()
    footer = footer_of(path)
    state = load(path, footer["identity"])
    state["state_dict"]["nets.0.strange"] = state["state_dict"].popitem()[1]
    write(path.parent, state, 20, footer["identity"], options=footer["options"])
    (folder / "result.json").unlink()
    with pytest.raises(RunError, match="belongs to another network; restart .*Missing key.*Unexpected key.*strange"):
        fit(*options)


def test_the_average_moves_to_the_device_of_the_output():
    module = DeepImagePrior([torch.nn.Conv2d(1, 1, 1)], (2, 2))
    module.average, module.step = torch.zeros(1, 1, 2, 2), 5  # as loaded from a checkpoint, on the host
    module._follow(torch.ones(1, 1, 2, 2, device="meta"))
    assert module.average.device.type == "meta"


def test_a_stopping_rule_gets_its_tensors_on_the_device_of_the_run(tmp_path: Path):
    class Noting(Never):
        def start(self, target: torch.Tensor, seed: int, known: torch.Tensor | None = None, warm_up: int = 0) -> None:
            assert known is not None
            assert target.device == known.device == torch.device("meta")

    config = composed(*TINY, "target=inpaint", "target.missing=0.5")
    fit = fit_module.Fit(config, tmp_path, "")
    fit.config.stop, fit.device = Noting(), torch.device("meta")
    fit.build()


def test_building_changes_no_random_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds the GPUs"))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("seeds the GPUs"))
    before = torch.get_rng_state()
    fit_module.Fit(composed(*TINY), tmp_path, "").build()
    assert torch.equal(torch.get_rng_state(), before)


def test_events_after_the_last_checkpoint_are_dropped_on_resume(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    options = ("steps=20", "record_every=1", "logger=tensorboard", "checkpoint_every=1000")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 11, *options)
    folder, _ = fit(*options)
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 21))


def test_a_failed_run_records_its_precision_flags(tmp_path: Path):
    failed = fit_module.Fit(composed(*TINY), tmp_path, "").result("failed", error="why")
    assert failed["precision"]["name"] == "fp32"
    assert failed["precision"]["cudnn_allow_tf32"] is False


def test_integers_and_floats_give_the_same_run():
    assert composed("target.sigma=1").target == Config(target=type(Config().target)(sigma=1)).target
    assert repr(Config(target=type(Config().target)(sigma=1)).target.noise.sigma) == "1.0"


@pytest.mark.fault(2)
def test_temporary_files_of_a_killed_run_are_removed(fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    options = ("steps=20", "record_every=5", "checkpoint_every=0")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 11, *options)
    (folder,) = (tmp_path / "outputs").iterdir()

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:  # killed between writing and renaming
        patch.setattr("dip.files.os.replace", kill)
        patch.setattr("dip.files.os.unlink", lambda *_: None)
        with pytest.raises(Killed):
            images.save(folder / "images" / "restored.png", torch.zeros(1, 1, 2, 2))
    assert list(folder.rglob(".*.tmp"))
    fit(*options)
    assert not list(folder.rglob(".*.tmp"))
