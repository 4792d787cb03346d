"""`method=guided`: BM3D of the observation is the network's input and half of the result."""

import dataclasses
import logging
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dip import images
from dip.bm3d import bm3d
from dip.bm3d import denoised as bm3d_of
from dip.fitting import experiment, prefilter
from dip.fitting.fit import Fit
from dip.fitting.inputs import observe
from dip.fitting.network_input import with_all_channels
from dip.fitting.pictures import Pictures
from dip.noise.clipping import unclipped
from dip.noise.level import colour_levels, examine, noise_level
from dip.noise.lost_structure import CERTAIN, VISIBLE, share_if_white
from dip.targets import Degraded, Observation
from dip.targets.baselines import compute
from dip.targets.noise_models import Camera, Poisson
from dip.targets.observation import direct
from tests.conftest import composed
from tests.disturbed import rows_of
from tests.targets.photos import photo

SMALL = (
    "net.depth=3", "net.channels=8", "skips=[2]", "method=guided", "logger=csv", "precision=fp32", "baselines=false",
)  # fmt: skip


def observed(*options: str) -> Observation:
    small = SMALL[3:] if "net=decoder" in options else SMALL
    config = composed("image=coffee", "size=64", *small, *options)
    return prefilter.prefiltered(config, observe(config, Pictures(config)).seen)


def test_bm3d_of_the_estimated_level_is_the_input():
    seen = observed("target=noisy")
    y = seen.y[0].permute(1, 2, 0).numpy()
    expected = bm3d(y, examine(seen.y).sigma).clip(0, 1)
    assert seen.denoised is not None
    assert seen.z is seen.denoised
    np.testing.assert_array_equal(seen.denoised[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("target=inpaint", "target.missing=0.5"), "target=inpaint is not denoising"),
        (("target=clean",), "target=clean is not denoising"),
        (("target=degraded",), "the noise is correlated"),
        (("target=noisy", "target.noise.kind=salt_and_pepper"), "BM3D does not remove impulses"),
        (("target=noisy", "z.guide=astronaut"), "z.guide is the guide"),
        (("target=flash",), "target=flash is not denoising"),
        (("target=noisy", "net=decoder"), "the input of net=decoder is smaller"),
    ],
)
def test_elsewhere_it_is_the_plain_method_and_says_why(options, reason, caplog):
    with caplog.at_level(logging.INFO, "dip"):
        assert observed(*options).denoised is None
    assert f"method=guided: starts without BM3D, as method=dip, since {reason}" in caplog.text


@pytest.mark.parametrize("kind", ["poisson", "speckle"])
def test_noise_that_depends_on_brightness_is_removed_as_by_the_baseline(kind):
    options = ("target=noisy", f"target.noise.kind={kind}")
    seen = observed(*options)
    model = composed("image=coffee", "size=64", *SMALL, *options).target.noise_model(0.0)
    torch.testing.assert_close(seen.denoised, compute("denoising", seen, model)["bm3d"])
    assert seen.z is seen.denoised
    assert seen.share == 0
    assert seen.noise == ((1 / 30, 0.0) if kind == "poisson" else (0.0, 0.0))


def test_unknown_photon_noise_is_recognised_and_removed_nearly_as_well_as_if_known(tmp_path, caplog):
    clean = photo("coffee", 96, 96)
    y = Poisson(30.0).sample(clean, torch.Generator().manual_seed(0)).clamp(0, 1)
    images.save(tmp_path / "y.png", y, images.Picture(y))
    config = composed(f"image={tmp_path / 'y.png'}", "target=degraded", *SMALL)
    with caplog.at_level(logging.INFO, "dip"):
        seen = prefilter.prefiltered(config, observe(config, Pictures(config)).seen)
    assert "as where photons are counted" in caplog.text

    def error(image):
        return (image - clean).square().mean().sqrt().item()

    known = compute("denoising", seen, Poisson(30.0))["bm3d"]
    one_level = bm3d_of(seen.y, examine(seen.y).sigma)
    assert error(seen.denoised) < 1.05 * error(known) < 0.95 * error(one_level)


def test_an_image_without_noise_that_is_called_white_is_not_denoised():
    config = composed("image=coffee", "size=64", *SMALL, "target=clean", "stop=adaptive", "stop.noise=white")
    uniform = direct(torch.full((1, 3, 32, 32), 0.5), None)
    config = dataclasses.replace(config, target=Degraded())
    assert prefilter.prefiltered(config, uniform) is uniform


def test_a_large_image_has_a_guide_but_not_one_of_many_channels(monkeypatch):
    monkeypatch.setattr(prefilter, "MANY", 4 * 64 * 64 - 1)
    seen = observed("target=noisy")
    assert seen.denoised is not None
    wide = dataclasses.replace(seen, y=torch.cat([seen.y, seen.y[:, :1]], 1), z=None, denoised=None)
    assert prefilter.prefiltered(composed("image=coffee", "size=64", *SMALL, "target=noisy"), wide) is wide


def test_the_result_is_the_mean_of_the_average_and_bm3d_without_the_bias_of_clipping(tmp_path):
    config = composed("image=coffee", "size=64", *SMALL, "target=noisy", "steps=3", "stop=never")
    fit = Fit(config, tmp_path, "")
    result = fit.run(progress=False)
    assert fit.module is not None
    assert fit.module.average is not None
    assert fit.observation.denoised is not None
    sigma = examine(fit.observation.y).sigma
    share = sigma / (sigma + 25 / 255)
    mean = (1 - share) * fit.module.average + share * fit.observation.denoised
    expected = unclipped(mean, fit.observation.y, (0.0, sigma**2))
    torch.testing.assert_close(fit.restored, expected)
    error = (expected - fit.observation.reference).square().mean()
    assert result["psnr"] == pytest.approx(-10 * torch.log10(error).item(), abs=1e-4)


def test_the_network_sees_the_guide_alone_through_a_skip_at_the_finest_level(tmp_path):
    config = composed("image=coffee", "size=64", *SMALL, "target=noisy")
    fit = Fit(config, tmp_path / "run", "")
    module, pair = fit.build()
    assert torch.equal(pair.pair[0], fit.observation.denoised)
    assert with_all_channels(fit.config, fit.observation).skips == [1, 2]
    assert fit.config.skips == [2]
    by_hand = config.net.build(3, 3, [1, 2])
    assert sum(p.numel() for p in module.nets.parameters()) == sum(p.numel() for p in by_hand.parameters())


@pytest.mark.parametrize(("options", "expected"), [
    (("target.noise.sigma=0.15",), 0.15), (("target.noise.kind=poisson", "target.noise.peak=10"), 0.2),
    (("target.noise.sigma=0.02",), 1 / 30), (("target.noise.sigma=0.15", "perturbation=0"), 0.0),
])  # fmt: skip
def test_the_perturbation_is_at_least_the_level_of_the_noise(options, expected, tmp_path):
    config = composed("image=coffee", "size=64", *SMALL, "target=noisy", *options)
    module, _ = Fit(config, tmp_path / "run", "").build()
    assert module.perturb[0].sigma == pytest.approx(expected, rel=0.1)


def test_it_is_better_than_bm3d_and_than_the_plain_method(tmp_path):
    """On a photograph with strong noise, after equally many steps."""
    psnr = {}
    for method in ("dip", "guided"):
        config = composed(
            "image=coffee", "size=64", *SMALL, f"method={method}", "net.channels=16", "target=noisy", "optimizer=muon",
            "lr=0.02", "steps=60", "stop=never",
        )  # fmt: skip
        fit = Fit(config, tmp_path, "", with_images=False)
        psnr[method] = fit.run(progress=False)["psnr"]
    bm3d_alone = -10 * torch.log10((fit.observation.denoised - fit.observation.reference).square().mean()).item()
    assert psnr["guided"] > max(psnr["dip"], bm3d_alone)


def test_its_seconds_and_its_message_belong_to_the_run(tmp_path, monkeypatch):
    """BM3D is computed before the first step: its time counts, as that of method=bm3d does."""
    computed = prefilter.bm3d.denoised

    def slow(*given: object) -> torch.Tensor:
        time.sleep(1)
        return computed(*given)

    monkeypatch.setattr(prefilter.bm3d, "denoised", slow)
    config = composed("image=coffee", "size=64", *SMALL, "target=noisy", "steps=2", f"out={tmp_path}")
    result = experiment.run(config, progress=False)
    assert result["seconds"] > 1
    assert float(rows_of(Path(result["folder"]))[0]["seconds"]) > 1
    assert "BM3D of the image is the network's input" in Path(result["folder"], "run.log").read_text()


def test_texture_that_is_taken_for_white_noise_stays_in_the_photograph(caplog):
    scene = photo("grass", 412, 332)[..., 200:296, 150:246]
    y = Camera(iso=6400.0).sample(scene, torch.Generator().manual_seed(3)).clamp(0, 1)
    noise = examine(y)
    assert noise.kind == "white"
    denoised = bm3d_of(y, noise.sigma)
    seen = dataclasses.replace(
        observed("target=noisy", "method=dip"),
        y=y,
        denoised=denoised,
        noise=(0.0, noise.sigma**2),
        share=share_if_white(y, denoised, noise.sigma),
    )
    with caplog.at_level(logging.WARNING, "dip"):
        restored, networks = prefilter.mixed(denoised, seen)
    error = [float((image - scene).square().mean()) for image in (y, denoised, restored)]
    assert error[1] > 2 * error[0], "BM3D removes the texture"
    assert error[2] < error[0]
    assert "of the restored image is the photograph itself; method=dip" in caplog.text
    share = noise.sigma / (noise.sigma + 25 / 255)
    assert networks == pytest.approx((1 - share) * (1 - seen.share))
    assert networks < 0.2
    found = {"name": "combined", "noise": "white", "sigma": noise.sigma}
    plain = dataclasses.replace(seen, denoised=None, share=0.0)  # a fit that did not start from BM3D
    most = max(seen.share, 1 - VISIBLE / float((y - denoised).square().mean().sqrt()))
    assert seen.share > prefilter.DOUBTED
    image, networks = prefilter.mixed(denoised, plain, found)
    torch.testing.assert_close(image, denoised.lerp(y, most))
    assert networks == pytest.approx(1 - most)
    for other in (
        None,
        {"noise": "correlated", "sigma": noise.sigma},
        {"name": "combined", "noise": "white", "sigma": CERTAIN},
    ):
        image, networks = prefilter.mixed(denoised, plain, other)
        assert torch.equal(image, denoised)
        assert networks == 1


def test_noise_that_the_user_calls_white_is_white():
    """Of the photograph itself, whose noise is correlated; where it is white the result stays the same."""
    told = ("stop=adaptive", "stop.noise=white")
    seen = observed("target=degraded", *told)
    level = noise_level(seen.y)
    torch.testing.assert_close(seen.denoised, bm3d_of(seen.y, colour_levels(seen.y)))
    assert seen.noise == (0.0, level**2)
    examined, said = (observed("target=noisy", *options) for options in ((), told))
    assert torch.equal(examined.denoised, said.denoised)
    assert (examined.noise, examined.share) == (said.noise, said.share)
