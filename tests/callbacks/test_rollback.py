"""A fit that collapses, or whose loss is not finite, is rolled back to its last good state."""

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

from dip import runs
from dip.callbacks import rollback
from dip.errors import DivergedError
from dip.fitting import fit as fit_module
from dip.model.losses import MSE
from dip.model.module import DeepImagePrior
from dip.runs.checkpoint_files import load
from tests.disturbed import contents, killed, only, rows_of

pytestmark = pytest.mark.fault(17)
STEPS = ("size=16", "net.depth=2", "net.channels=4", "skips=[1]", "steps=130", "record_every=10")


def damaged(monkeypatch: pytest.MonkeyPatch, at: dict[int, Callable[[torch.Tensor], Any]]) -> None:
    """After step k, apply `at[k]` to every weight of the network."""
    real = DeepImagePrior.training_step

    def training_step(module: DeepImagePrior, *args: Any) -> None:
        real(module, *args)
        if module.step in at:
            with torch.no_grad():
                for parameter in module.nets.parameters():
                    at[module.step](parameter)

    monkeypatch.setattr(DeepImagePrior, "training_step", training_step)


def explode(weight: torch.Tensor) -> None:
    weight.mul_(-20).add_(3)


def make_nan(weight: torch.Tensor) -> None:
    weight.fill_(math.nan)


def test_an_ordinary_fit_has_no_rollback(fit):
    folder, result = fit(*STEPS)
    assert result["events"] == []
    assert all(row["back_to"] == "" for row in rows_of(folder))


# Losses are checked at 1, 10, 20, ...; states are kept at 50 and 100. Damage at 100 is in the state, not in its loss.
@pytest.mark.parametrize(
    ("at", "found", "stop"),
    [
        (55, 60, "never"),
        (83, 90, "wmv"),
        pytest.param(83, 90, "emv", marks=pytest.mark.slow),
        (97, 110, "heldout"),
        (100, 110, "compare"),
    ],
)
def test_a_collapse_is_undone(fit, monkeypatch, caplog, stop, at, found):
    damaged(monkeypatch, {at: explode})
    with caplog.at_level(logging.WARNING, logger="dip"):
        folder, result = fit(*STEPS, f"stop={stop}")
    losses = numpy.load(folder / "losses.npy")
    assert losses[at] > 2 * losses[at - 1], "the damage raises the loss"
    back_to = 0 if at == 55 else 50
    assert [(event["step"], event["back_to"]) for event in result["events"]] == [(found, back_to)]
    assert numpy.median(losses[-10:]) < 1.2 * numpy.median(losses[40:50])
    assert [row["back_to"] for row in rows_of(folder) if row["step"] == str(found)] == [str(back_to)]
    assert any(f"restored the state of step {back_to}" in line for line in caplog.messages)
    assert result["status"] == "finished"


@pytest.mark.parametrize("method", ["dip", "self_guided", "sparse_noise"])
def test_weights_moments_average_and_rate_are_restored_together(fit, monkeypatch, method):
    damaged(monkeypatch, {93: explode})
    seen: dict[str, Any] = {}

    def state(trainer: Any, module: DeepImagePrior) -> list[torch.Tensor]:
        moments = trainer.optimizers[0].state_dict()["state"].values()
        tensors = [*module.state_dict().values(), *(tensor for one in moments for tensor in one.values())]
        return [tensor.detach().clone() for tensor in [*tensors, module.average]]

    real_state, real_back = rollback.Rollback._state, rollback.Rollback._back

    def keep(self: Any, trainer: Any, module: DeepImagePrior, levels: list[float]) -> dict[str, Any]:
        if module.step:
            seen[f"kept {module.step}"] = state(trainer, module)
        return real_state(self, trainer, module, levels)

    def back(self: Any, trainer: Any, module: DeepImagePrior, *args: Any, **kwargs: Any) -> None:
        real_back(self, trainer, module, *args, **kwargs)
        seen["back"] = state(trainer, module)
        seen["rate"] = trainer.optimizers[0].param_groups[0]["lr"]

    monkeypatch.setattr(rollback.Rollback, "_state", keep)
    monkeypatch.setattr(rollback.Rollback, "_back", back)
    fit(*STEPS, "steps=101", f"method={method}")
    assert all(map(torch.equal, seen["kept 50"], seen["back"]))
    assert seen["rate"] == 0.01


def test_the_collapse_of_one_network_rolls_all_back(fit, monkeypatch):
    """Its loss doubles. The mean of four rises by a quarter only, which is below the threshold."""
    real = DeepImagePrior.training_step

    def training_step(module: DeepImagePrior, *given: Any) -> None:
        real(module, *given)
        if 60 < module.step <= 75:
            module.losses = module.losses * torch.tensor([1, 1, 1, 2])
            module.loss = module.losses.mean()

    monkeypatch.setattr(DeepImagePrior, "training_step", training_step)
    _, result = fit(*STEPS, "steps=76", "record_every=15", "ensemble=4")
    assert [event["step"] for event in result["events"]] == [75]


def test_a_spike_that_ends_before_the_record_needs_no_rollback(fit, monkeypatch):
    kept: list[torch.Tensor] = []

    def spoil(weight: torch.Tensor) -> None:
        kept.append(weight.clone())
        explode(weight)

    def mend(weight: torch.Tensor) -> None:
        weight.copy_(kept.pop(0))

    damaged(monkeypatch, {72: spoil, 73: mend})
    folder, result = fit(*STEPS, "steps=85")
    losses = numpy.load(folder / "losses.npy")
    assert losses[72] > 2 * losses[71]
    assert result["events"] == []


def test_a_loss_that_rises_after_three_rollbacks_is_accepted(fit, monkeypatch):
    damaged(monkeypatch, dict.fromkeys((63, 73, 83, 93), explode))
    _, result = fit(*STEPS, "steps=111")
    assert [event["step"] for event in result["events"]] == [70, 80, 90]


def test_a_loss_that_is_not_finite_halves_the_rate(fit, monkeypatch):
    rates: list[float] = []
    damaged(monkeypatch, {73: make_nan})
    real = fit_module.Fit._finish

    def finish(self: Any, trainer: Any, *args: Any) -> Any:
        rates.extend(group["lr"] for group in trainer.optimizers[0].param_groups)
        return real(self, trainer, *args)

    monkeypatch.setattr(fit_module.Fit, "_finish", finish)
    folder, result = fit(*STEPS, "steps=100")
    assert [(event["step"], event["back_to"]) for event in result["events"]] == [(80, 50)]
    assert "not finite at step 74" in result["events"][0]["why"]
    assert rates == [0.005]
    assert numpy.isfinite(numpy.load(folder / "losses.npy")[80:]).all()
    assert [row["loss"] for row in rows_of(folder) if row["step"] == "80"] == [""]
    assert math.isfinite(result["psnr"])


def test_no_checkpoint_has_weights_that_are_not_finite(fit, monkeypatch, tmp_path):
    damaged(monkeypatch, {23: make_nan})
    written: list[int] = []
    real = fit_module.Checkpoints.save

    def save(self: Any, trainer: Any, step: int) -> None:
        real(self, trainer, step)
        newest = max(self.folder.glob("step-*.ckpt"))
        state = load(newest, trainer.strategy.checkpoint_io.identity)
        assert all(bool(value.isfinite().all()) for value in state["state_dict"].values())
        written.append(int(newest.stem[5:]))

    monkeypatch.setattr(fit_module.Checkpoints, "save", save)
    fit(*STEPS, "steps=35", "checkpoint_every=0")
    assert written[21:30] == [22, *[22] * 7, 30], "none at the steps with NaN, one after the rollback"


def test_it_fails_after_three_halvings(fit, tmp_path):
    with pytest.raises(DivergedError, match="not finite at step .* after 3 rollbacks at half the rate; lower lr"):
        fit("steps=400", "lr=1e20", "record_every=10")
    result = runs.read_result(only(tmp_path / "outputs"))
    assert result["status"] == "failed"
    assert 1 <= result["steps"] < 400
    assert "not finite" in result["error"]


@pytest.mark.parametrize(
    ("damage", "at"),
    [(explode, 47), pytest.param(explode, 54, marks=pytest.mark.slow), (make_nan, 54), (explode, 63)],
)
def test_killed_around_a_rollback_it_ends_the_same(fit, monkeypatch, tmp_path, damage, at):
    """At 47 the damage is not found yet, nor (if it is an explosion) at 54. At 63 it is undone."""
    monkeypatch.setattr(rollback, "EVERY", 20)
    options = (*STEPS, "steps=80", "stop=heldout", "checkpoint_every=1000")
    damaged(monkeypatch, {45: damage})
    whole, _ = fit(*options, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", at + 1, *options, "checkpoint_every=0")
    resumed, result = fit(*options)
    assert len(result["events"]) == 1
    assert contents(resumed) == contents(whole)


@pytest.mark.parametrize("at", [pytest.param(None, marks=pytest.mark.slow), 83])
def test_a_constant_added_to_the_loss_changes_no_rollback(fit, monkeypatch, tmp_path, at):
    """A loss below 0, as many likelihoods have: each improvement of it would be a rise by its ratio."""
    damaged(monkeypatch, {} if at is None else {at: explode})
    folder, plain = fit(*STEPS, "steps=100", f"out={tmp_path / 'plain'}")
    real = MSE.entries
    monkeypatch.setattr(MSE, "entries", lambda self, x, y: real(self, x, y) - 1)
    below, shifted = fit(*STEPS, "steps=100", f"out={tmp_path / 'shifted'}")
    assert shifted["loss"] < -0.9
    wanted = [] if at is None else [(90, 50)]
    for result in (plain, shifted):
        assert [(event["step"], event["back_to"]) for event in result["events"]] == wanted
    assert numpy.allclose(numpy.load(below / "losses.npy") + 1, numpy.load(folder / "losses.npy"), atol=1e-6)
