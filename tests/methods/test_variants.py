"""Runs with each variant: resuming, tasks, number formats, and what is refused."""

from pathlib import Path

import numpy
import pytest
from torch import nn

import dip
from dip.errors import OptionError
from dip.fitting.fit import Fit as Fitting
from dip.fitting.network_input import with_all_channels
from dip.methods import METHODS, Variant
from dip.model.module import DeepImagePrior
from tests.conftest import TINY, Fit, composed
from tests.disturbed import differences, killed

VARIANTS = sorted(name for name, kind in METHODS.items() if issubclass(kind, Variant) and name != "dip")
SHORT = {"weight_noise": "method.burn_in=5"}


def options(name: str) -> list[str]:
    return [f"method={name}", *([SHORT[name]] if name in SHORT else [])]


@pytest.mark.fault(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_killed_run_ends_the_same(name: str, fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    given = ("steps=12", "record_every=5", "checkpoint_every=0", "keep_checkpoint=true", *options(name))
    whole, _ = fit(*given, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 8, *given)
    resumed, _ = fit(*given)
    assert differences(resumed, whole) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_fits_an_ensemble_of_odd_size_behind_an_operator_in_bf16(name: str, fit: Fit):
    given = ("target=superres", "target.factor=2", "size=[18,22]", "ensemble=2", "precision=bf16", "stop=never")
    folder, result = fit("steps=25", "record_every=5", "optimizer=muon", *given, *options(name))
    losses = numpy.load(folder / "losses.npy")
    assert numpy.isfinite(losses).all()
    assert losses[-5:].mean() < 0.95 * losses[:3].mean()
    assert result["status"] == "finished"


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_fits_a_volume(name: str, fit: Fit, tmp_path: Path):
    numpy.save(tmp_path / "v.npy", numpy.random.default_rng(0).random((4, 16, 16)))
    given = ("net=hourglass3d", f"image={tmp_path / 'v.npy'}", "axes=ZHW", "size=null", "target=degraded", "skips=[1]")
    _, result = fit("steps=3", *given, "net.depth=1", *options(name))
    assert result["status"] == "finished"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("net=pixels", "method=random_projector"), "net=pixels.*a network with an input.*net=hourglass"),
        (("net=pixels", "method=sequential"), "net=pixels.*a network with an input"),
        (("target=flash", "method=self_guided"), "target=flash.*without an input of its own"),
        (("method=weight_noise", "method.burn_in=-1"), "method.burn_in=-1.*>= 0"),
    ],
)
def test_what_a_variant_cannot_do_is_one_line(given: tuple[str, ...], message: str):
    with pytest.raises(OptionError, match=message) as caught:
        composed(*given)
    assert "\n" not in str(caught.value)


def test_weights_that_are_never_averaged_are_a_warning(caplog: pytest.LogCaptureFixture):
    composed("method=weight_noise", "steps=7001")
    assert not caplog.records
    composed("method=weight_noise", "steps=7000")
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "method.burn_in=7000: a run of 7000 steps ends before the outputs are averaged"
    )
    assert record.getMessage().endswith("for example method.burn_in=2333")


def test_a_network_without_normalisations_is_refused_before_anything_is_made(tmp_path: Path):
    with pytest.raises(OptionError, match="method=random_projector: must be dip for a network without normalisations"):
        dip.restore(
            numpy.zeros((16, 16)), net=lambda i, o: nn.Conv2d(i, o, 3, padding=1), method="random_projector", steps=2,
            progress=False, out=tmp_path / "outputs",
        )  # fmt: skip
    assert not (tmp_path / "outputs").exists()


def test_a_volume_that_is_thinner_than_the_input_is_refused(tmp_path: Path):
    numpy.save(tmp_path / "v.npy", numpy.random.default_rng(0).random((2, 16, 16)))
    given = ("net=hourglass3d", f"image={tmp_path / 'v.npy'}", "axes=ZHW", "size=null", "target=degraded", "skips=[1]")
    config = composed(*TINY[1:], *given, "net.depth=1", "net.kernel_up=5", "method=sequential")
    with pytest.raises(OptionError, match="the image has 2 slices and the input of net=hourglass3d 3"):
        Fitting(config, tmp_path / "run", "")


def test_a_network_with_a_smaller_input_is_refused(tmp_path: Path):
    config = composed("net=decoder", "size=64", "method=sequential")
    with pytest.raises(OptionError, match="net=decoder.*a network whose input has the image's size.*net=hourglass"):
        Fitting(config, tmp_path / "run", "")


@pytest.mark.parametrize("name", ["self_guided", "sequential"])
def test_the_input_has_the_channels_of_the_image(name: str, tmp_path: Path):
    fitting = Fitting(composed(*TINY, f"method={name}", "size=[20,27]"), tmp_path / "run", "")
    module, pair = fitting.build()
    assert pair.pair[0].shape == (1, 3, 24, 32)
    assert next(module.nets.parameters()).shape[1] == 3
    assert with_all_channels(fitting.config, fitting.observation).z.planes(1) == 3
    assert all(perturb.sigma == 0 for perturb in module.perturb)


def test_the_known_noise_of_a_photograph_is_for_denoisers(caplog: pytest.LogCaptureFixture):
    composed("target=degraded", "method=bm3d", "target.noise.sigma=0.1")
    assert not caplog.records
    composed("target=degraded", "method=guided", "target.noise.sigma=0.1")
    assert caplog.messages == [
        "target.noise: denoisers and baselines use it, and BM3D of method=guided; stopping rules estimate the noise"
    ]
