"""An ensemble: several networks in one run, whose image is the mean of their outputs."""

import json
from typing import Any

import numpy
import pytest
import torch

import dip
from dip.errors import RunError
from dip.fitting.fit import Fit as Fitting
from dip.model.module import DeepImagePrior
from tests.disturbed import contents, ends_the_same

NET = {"channels": 8, "depth": 3}
TINY: dict[str, Any] = {"size": 32, "steps": 10, "net": NET, "skips": [2], "progress": False}
OPTIONS = ("steps=30", "record_every=10", "ensemble=2")


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_networks_of_an_ensemble_differ_in_weights_z_and_perturbation(fit, monkeypatch):
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
    _, three = fit("steps=1", "ensemble=3")
    fit("steps=1", "ensemble=2", "target=flash")
    _, shared, _ = built.pop()
    assert torch.equal(shared[0], shared[1]), "all networks share an input that is given"
    assert three["parameters"] == 3 * one["parameters"]
    for alone, several in zip(*built, strict=True):
        assert torch.equal(alone[0], several[0]), "the first network is that of a single run"
        assert len(several) == 3
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert not torch.allclose(several[a], several[b], atol=0.01)


def test_the_restored_image_is_the_mean(monkeypatch):
    made: list[numpy.ndarray] = []
    real = DeepImagePrior._backward

    def backward(self: DeepImagePrior, *given: Any) -> Any:
        image, *others = real(self, *given)
        made.append(image.numpy())  # (1, C, H, W)
        return image, *others

    monkeypatch.setattr(DeepImagePrior, "_backward", backward)
    four = dip.restore("astronaut", target="noisy", ensemble=4, ema=0, **TINY)
    assert len(made) == 4 * 10
    assert four.image.transpose(2, 0, 1)[None] == pytest.approx(numpy.mean(made[-4:], axis=0), abs=1e-6)
    assert (four.metrics["steps"], four.metrics["restored_step"]) == (10, 10)


def test_an_error_in_one_network_fails_the_run(fit, tmp_path, monkeypatch, threads):
    calls, real = 0, DeepImagePrior._backward

    def fail(self: DeepImagePrior, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if given[0] is self.nets[1] and self.step == 4:
            raise RunError("the fourth step of the second network")
        return real(self, *given)

    monkeypatch.setattr(DeepImagePrior, "_backward", fail)
    with pytest.raises(RunError, match="second network"):
        fit("steps=20", "ensemble=2")
    (folder,) = (tmp_path / "outputs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("failed", 4)
    monkeypatch.undo()
    assert fit("steps=20", "ensemble=2")[1]["status"] == "finished"


def test_a_killed_ensemble_resumes_exactly(fit, monkeypatch, tmp_path, threads):
    given = (*OPTIONS, "precision=bf16", "checkpoint_every=0")
    ends_the_same(monkeypatch, fit, tmp_path / "whole", DeepImagePrior, "training_step", 15, *given)


def test_a_longer_ensemble_continues_from_a_shorter_one(fit, tmp_path):
    whole, _ = fit(*OPTIONS, f"out={tmp_path / 'whole'}")
    fit("steps=20", "record_every=10", "ensemble=2", "keep_checkpoint=true")
    longer, _ = fit(*OPTIONS)
    assert "continuing from its step 20" in (longer / "run.log").read_text()
    assert contents(longer) == contents(whole)
