"""`stop=adaptive`: one command for white, correlated and no noise; what it records; resuming."""

import logging

import numpy as np
import pytest
import torch

from dip import images
from dip.bm3d import denoised
from dip.fitting import results
from dip.metrics import psnr
from dip.noise.level import noise_levels
from dip.stopping import STOPS, Adaptive, HeldOut
from dip.targets import Degraded, NoiseOptions, Noisy, baselines
from dip.targets.noise_models import Estimated
from dip.targets.observation import direct
from tests.conftest import composed
from tests.targets.photos import photo

CAMERA = ("target=noisy", "target.noise.kind=camera", "target.noise.iso=12800")
WHITE = ("target=noisy", "target.sigma=0.1")


def test_white_noise_gives_the_same_bits_as_heldout(fit):
    options = ("image=coffee", "steps=30", "record_every=10", "perturbation_half_life=15", "size=48", *WHITE)
    folder, adaptive = fit(*options, "stop=adaptive")
    other, heldout = fit(*options, "stop=heldout")
    assert adaptive["rule"]["name"] == "heldout"
    assert adaptive["rule"]["noise"] == "white"
    assert "rule" not in heldout
    for name in ("loss", "psnr", "restored_step", "status", "oracle_psnr"):
        assert adaptive[name] == heldout[name]
    for name in ("images/restored.png", "images/output.png"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(("noise", "correlated"), [(CAMERA, True), (WHITE, False)])
def test_only_correlated_noise_filters_the_loss_and_changes_the_kept_average(fit, tmp_path, noise, correlated):
    options = ("image=coffee", "size=32", "steps=110", "record_every=10", "net.channels=4", "net.depth=2", *noise)
    kept, plain = (
        fit(*options, "stop=adaptive", f"stop.smoothing={strength}", f"out={tmp_path / str(strength)}")
        for strength in (0.3, 0)
    )
    assert (kept[1]["psnr"] != plain[1]["psnr"]) == correlated
    never = fit(*options, "stop=never" if correlated else "stop=combined")[1]
    assert plain[1]["restored_step"] > 0
    assert (kept[1]["loss"] != never["loss"]) == correlated
    for name in ("loss", "restored_step", "oracle_psnr"):
        assert kept[1][name] == plain[1][name]


def test_the_log_and_the_result_say_which_rule_runs_and_why(fit, caplog):
    with caplog.at_level(logging.INFO, "dip"):
        folder, result = fit("image=coffee", "size=96", "steps=10", "stop=adaptive", *CAMERA)
    rule = result["rule"]
    assert rule["name"] == "covariance"
    assert rule["noise"] == "correlated"
    assert 0 < rule["whiteness"] < 0.27
    assert rule["strong"]
    kind = "correlated, and too strong to be texture"
    line = f"stop=adaptive: covariance, since the noise is {kind} (whiteness {rule['whiteness']:.2f}, "
    assert any(message.startswith(line) for message in caplog.messages)
    assert line in (folder / "run.log").read_text()


def test_a_clean_image_comes_back_unchanged_and_at_once(fit, tmp_path):
    ramp = (np.add.outer(np.arange(96), np.arange(96)) + 30).astype(np.uint8)
    images.save(tmp_path / "clean.png", torch.from_numpy(ramp)[None, None].float() / 255)
    folder, result = fit(f"image={tmp_path / 'clean.png'}", "target=degraded", "size=96", "steps=5000")
    assert result["rule"]["name"] == "unchanged"
    assert result["status"] == "stopped"
    assert result["steps"] == 1
    assert result["restored_step"] == 0
    assert "stopped (the image is returned unchanged, " in (folder / "run.log").read_text()
    assert torch.equal(
        images.load(folder / "images" / "restored.png").pixels[0, 0] * 255, torch.from_numpy(ramp).float()
    )


@pytest.mark.fault(5, 8)
def test_a_resumed_run_stops_at_the_same_step(fit, tmp_path):
    """The first parts end at steps 104 and 115: their state is extended, as a killed run's is."""
    options = ("image=coffee", "size=32", "net.channels=8", "net.depth=2", "lr=0.05", "record_every=10", *CAMERA)
    options += ("stop=adaptive", "stop.patience=20")
    whole_folder, whole = fit(*options, "steps=400", f"out={tmp_path / 'whole'}")
    assert whole["status"] == "stopped"
    assert 115 < whole["steps"] < 400
    for at in (104, 115):
        fit(*options, f"steps={at}", "keep_checkpoint=true")
    folder, again = fit(*options, "steps=400")
    for name in ("steps", "restored_step", "status", "psnr", "rule"):
        assert again[name] == whole[name]
    restored = "images/restored.png"
    assert (folder / restored).read_bytes() == (whole_folder / restored).read_bytes()


@pytest.mark.slow
def test_a_short_fit_ends_by_itself_near_its_best_image(fit):
    options = ("experiment=quick", "image=coffee", "size=96", "net.channels=16", "steps=1000", "record_every=20")
    _, result = fit(*options, "logger=csv", "baselines=false", *CAMERA, tiny=False)
    assert result["rule"]["name"] == "covariance"
    assert result["status"] == "stopped"
    assert result["oracle_psnr"] - result["psnr"] < 1


@pytest.mark.parametrize("name", ["fast", "quick"])
def test_fast_and_quick_use_it_for_denoising_only(name):
    assert composed(f"experiment={name}").stop == Adaptive(patience=300, white="heldout")
    assert composed(f"experiment={name}", "target=inpaint").stop == HeldOut(patience=300)
    assert composed(f"experiment={name}", "perturbation_half_life=0").stop.white == "combined"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("noise", "rule"), [("white", "combined"), ("correlated", "covariance"), ("strong", "covariance")]
)
def test_the_log_says_which_rule_runs_for_noise_that_the_user_names(noise, rule, caplog):
    with caplog.at_level(logging.INFO, "dip"):
        STOPS["adaptive"](noise=noise).start(Noisy(sigma=0.1).observe(photo(), 0).y, 0)
    kind = {"strong": "correlated, and too strong to be texture"}.get(noise, noise)
    (line,) = caplog.messages
    assert line.startswith(f"stop=adaptive: {rule}, since the noise is {kind} (whiteness not measured, ")


def test_baselines_are_told_the_level_of_correlated_noise(monkeypatch, tmp_path):
    told: list[float] = []
    monkeypatch.setattr(baselines, "compute", lambda task, observation, noise: told.append(noise.sigma) or {})
    scene = photo("rocket", 192, 192)
    for noise in (NoiseOptions("camera", iso=12800.0), NoiseOptions("gaussian", sigma=0.05)):
        noisy = Noisy(noise=noise).observe(scene, 0).y
        results.baselines(Degraded(), Degraded().observe(noisy, 0), tmp_path)
        true = (noisy - scene).square().mean().sqrt().item()
        assert told.pop() == pytest.approx(true, rel=0.25)


def test_the_bm3d_baseline_is_told_what_the_program_tells_its_own(tmp_path):
    """Gray noise stored in colour has all its energy in the luminance; correlated noise is stronger at low frequencies."""
    scene = photo("camera", 64, 64).expand(-1, 3, -1, -1)
    drawn = torch.randn((1, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    gray = (scene + 0.1 * drawn).clamp(0, 1)
    correlated = Noisy(noise=NoiseOptions("camera", iso=12800.0)).observe(photo("rocket", 64, 64), 0).y
    for y, clean, gain in ((gray, scene, 1.5), (correlated, photo("rocket", 64, 64), 0.3)):
        sigma, told, _ = noise_levels(y)
        found = baselines.BASELINES["denoising"]["bm3d"](direct(y, clean), Estimated(sigma, told))
        assert torch.equal(found, denoised(y, told))
        plain = baselines.BASELINES["denoising"]["bm3d"](direct(y, clean), Estimated(sigma))
        assert psnr(found, clean) > psnr(plain, clean) + gain


@pytest.mark.parametrize("method", ["dip", "guided"])
def test_counts_of_few_photons_are_no_text_if_they_are_simulated(fit, tmp_path, method):
    """Both have two values."""
    options = ("stop=adaptive", f"method={method}", "target=noisy", "steps=4", "z.channels=4")
    folder, result = fit("image=astronaut", "target.noise={kind:poisson,peak:1}", *options)
    assert len(images.load(folder / "images" / "target.png").pixels.unique()) == 2
    assert result["restored_step"] > 0
    assert result["config"]["stop"]["noise"] == "white"
    text = (torch.arange(32 * 32).view(1, 1, 32, 32) % 7 < 3).float()
    images.save(tmp_path / "text.png", text)
    folder, result = fit(f"image={tmp_path / 'text.png'}", "target.noise={kind:none}", *options)
    assert result["rule"]["noise"] == "none"
    assert torch.equal(images.load(folder / "images" / "restored.png").pixels, text)
