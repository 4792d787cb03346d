"""A fit of several networks side by side: one run, whose image is the mean of theirs."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

import dip
from dip.fit import Fit as Fitting
from dip.module import DeepImagePrior
from tests.conftest import Fit
from tests.test_experiment import contents
from tests.test_resuming import killed

OPTIONS = ("steps=30", "record_every=10", "restarts=2")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_restarts_differ_in_all_that_chance_decides(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    built: list[tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor]]] = []
    real = Fitting.build

    def build(self: Fitting):
        module, pair = real(self)
        z = pair.pair[0]
        noise = [perturb(torch.zeros_like(z[:1]), 1) for perturb in module.perturb]
        built.append(([net.head.weight.detach().clone() for net in module.nets], z, noise))
        return module, pair

    monkeypatch.setattr(Fitting, "build", build)
    _, one = fit("steps=1")
    _, three = fit("steps=1", "restarts=3")
    assert three["parameters"] == 3 * one["parameters"]
    for alone, several in zip(*built, strict=True):
        assert torch.equal(alone[0], several[0]), "the first is that of a run without restarts"
        assert len(several) == 3
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert not torch.allclose(several[a], several[b], atol=0.01)


def test_the_mean_is_better_than_either_alone(fit: Fit):
    """As the loss is the mean of theirs, and that of a mean is below it: squares are convex."""
    folder, result = fit("steps=60", "record_every=60", "restarts=4", "target.sigma=0.2", "ema=0")
    _, alone = fit("steps=60", "record_every=60", "target.sigma=0.2", "ema=0")
    assert result["psnr"] > alone["psnr"]
    assert (result["status"], result["steps"], result["restored_step"]) == ("finished", 60, 60)
    assert numpy.load(folder / "losses.npy").shape == (60,)


def test_killed_they_go_on_bit_for_bit(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int
):
    whole, expected = fit(*OPTIONS, "precision=bf16", f"out={tmp_path / 'whole'}")
    given = (*OPTIONS, "precision=bf16", "checkpoint_every=0")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 15, *given)
    again, result = fit(*given)
    assert contents(again) == contents(whole)
    assert result["psnr"] == expected["psnr"]


def test_more_steps_go_on_where_fewer_ended(fit: Fit, tmp_path: Path):
    whole, _ = fit(*OPTIONS, f"out={tmp_path / 'whole'}")
    fit("steps=20", "record_every=10", "restarts=2", "keep_checkpoint=true")
    longer, _ = fit(*OPTIONS)
    assert "going on from its step 20" in (longer / "run.log").read_text()
    assert contents(longer) == contents(whole)


def test_the_python_call_averages_too():
    tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}
    one = dip.restore("astronaut", target="noisy", **tiny)
    two = dip.restore("astronaut", target="noisy", restarts=2, **tiny)
    assert not numpy.allclose(one.image, two.image, atol=1e-3)
    assert (one.observed == two.observed).all()


def test_one_own_input_serves_all(fit: Fit):
    """A flash photo is what it is; weights and perturbation differ."""
    _, result = fit("steps=3", "target=flash", "restarts=2")
    assert result["status"] == "finished"
    assert result["psnr"] is not None
