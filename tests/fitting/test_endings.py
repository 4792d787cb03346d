"""How runs end: interrupted with the image so far, with a loss worse than a constant image, refused before Lightning."""

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dip import runs
from dip.fitting import results
from dip.model.module import DeepImagePrior
from dip.report.page import write
from tests.disturbed import contents


def test_an_interrupted_run_leaves_its_present_image(fit, tmp_path, monkeypatch, caplog):
    given = ("steps=30", "record_every=10")
    whole, _ = fit(*given, f"out={tmp_path / 'whole'}")
    shorter, _ = fit("steps=17", "record_every=10", f"out={tmp_path / 'shorter'}")
    real = DeepImagePrior.training_step

    def step(self: DeepImagePrior, *batch: Any) -> None:
        real(self, *batch)
        if self.step == 17:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(DeepImagePrior, "training_step", step)
        folder, result = fit(*given)
    assert (result["status"], result["steps"], result["restored_step"]) == ("interrupted", 17, 17)
    image = folder / "images" / "restored.png"
    assert image.read_bytes() == (shorter / "images" / "restored.png").read_bytes()
    assert f"image so far: {image} (step 17 of 30)" in (folder / "run.log").read_text()
    again, result = fit(*given)
    assert (again, result["status"]) == (folder, "finished")
    photo = tmp_path / "photo.tif"
    Image.fromarray(np.random.default_rng(0).random((32, 32), np.float32)).save(photo)
    with monkeypatch.context() as patch:
        patch.setattr(DeepImagePrior, "training_step", step)
        folder, _ = fit(*given, f"image={photo}", f"out={tmp_path / 'values'}")
    exact = folder / "images" / "restored.tif"
    assert f"image so far: {exact}, shown in restored.png (step 17 of 30)" in (folder / "run.log").read_text()
    assert contents(again) == contents(whole)


def test_a_fit_worse_than_a_constant_image_is_a_warning_and_marked(fit, tmp_path, caplog):
    good, fine = fit("steps=60", "net.channels=16", "target=clean")
    assert not [record for record in caplog.records if "the fit failed" in record.message]
    assert "warning" not in fine
    caplog.clear()
    folder, result = fit("steps=60", "lr=10", "target=clean")
    warnings = [record.message for record in caplog.records if record.message.startswith("the fit failed: ")]
    assert warnings == [result["warning"]]
    assert result["loss"] > 1.1 * result["constant_loss"]
    # The constant image that is closest to y leaves its variance.
    pixels = np.asarray(Image.open(folder / "images" / "target.png")) / 255
    assert result["constant_loss"] == pytest.approx(pixels.var(axis=(0, 1)).mean(), rel=1e-3)
    page = write(tmp_path / "outputs").read_text()
    listed = page.partition('id="unfinished"')[2].partition("</section>")[0]
    assert result["warning"] in listed
    assert folder.name in listed
    assert good.name not in listed


def test_a_run_without_a_reference_ends_in_a_line_that_says_how_to_get_scores(fit, tmp_path):
    folder, _ = fit("steps=2", "target=degraded", "stop=never")
    assert f"{folder}: finished (restored from step 2 of 2, 0 s, reference=IMAGE adds scores)" in _log(folder)
    folder, result = fit("steps=2", "target=noisy")
    assert f": finished (PSNR {result['psnr']:.2f} dB, restored from step 2 of 2, " in _log(folder)
    assert "adds scores" not in _log(folder)


def _log(folder: Path) -> str:
    return re.sub(r", \d+ s", ", 0 s", (folder / "run.log").read_text())


@pytest.mark.parametrize(
    ("loss", "constant", "warned"),
    [(0.271, 0.083, True), (0.0834, 0.0833, False), (0.0005, 0.0, False), (None, 0.1, False), (0.02, 0.083, False)],
)
def test_when_a_fit_has_failed(loss, constant, warned):
    line = results.warning(loss, constant, 0.01, 3000, torch.tensor([[[[0.2, 0.3]]]]))
    assert (line is not None) is warned
    assert line is None or line.endswith("lower lr or raise steps, for example lr=0.003 steps=6000")


@pytest.mark.parametrize(("loss", "warned"), [(0.012, True), (0.0005, True), (0.00009, False)])
def test_more_steps_do_not_help_a_saturated_output(loss, warned):
    """Each channel is constant. The loss of a black image for a dark photo is below that of other failures."""
    black_and_white = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 4, 5)
    line = results.warning(loss, 0.00008, 0.1, 600, black_and_white)
    assert (line is not None) is warned
    assert line is None or line.startswith("the fit failed: its output is constant, and its loss at the end, ")
    assert line is None or line.endswith("lower lr, for example lr=0.01")


def test_a_black_image_of_a_dark_photo_is_told(fit, tmp_path):
    dark = np.random.default_rng(0).integers(0, 13, (32, 32, 3), np.uint8)
    Image.fromarray(dark).save(tmp_path / "dark.png")
    _, result = fit(f"image={tmp_path / 'dark.png'}", "steps=40", "lr=1", "target=clean", "stop=never")
    assert result["loss"] == pytest.approx(np.square(dark / 255).mean(), rel=1e-4)
    assert "its output is constant" in result["warning"]
    assert "steps" not in result["warning"]


def test_masked_pixels_do_not_count_for_the_constant_image(fit, tmp_path):
    mask = np.full((32, 32), 255, np.uint8)
    mask[:, 16:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    folder, result = fit("steps=2", "target=inpaint", f"target.mask={tmp_path / 'mask.png'}", "stop=never")
    pixels = np.asarray(Image.open(folder / "images" / "target.png"))[:, :16] / 255
    # The loss is the mean over all pixels, of which the missing half contributes nothing.
    assert result["constant_loss"] == pytest.approx(pixels.var(axis=(0, 1)).mean() / 2, rel=1e-2)


def test_a_wrong_mask_is_refused_before_lightning_is_imported(train, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((8, 30), np.uint8)).save(tmp_path / "mask.png")
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    done = train("target=inpaint", f"target.mask={tmp_path / 'mask.png'}")
    assert "\nerror: target.mask" in done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert "lightning" not in imported
    assert not (tmp_path / "outputs").exists()


def test_a_run_to_the_end_keeps_the_image_of_the_rule(fit):
    options = ("steps=60", "record_every=5", "stop=discrepancy", "stop.sigma=0.2")
    short, stopped = fit(*options)
    long, finished = fit(*options, "stop.to_the_end=true")
    assert (stopped["status"], finished["status"]) == ("stopped", "finished")
    assert (finished["ended"], finished["steps"]) == (stopped["steps"], 60)
    for name in ("restored_step", "psnr", "ssim"):
        assert finished[name] == stopped[name]
    assert (short / "images/restored.png").read_bytes() == (long / "images/restored.png").read_bytes()
    rows = runs.history(long)
    watched = [step for step, value in zip(rows["step"], rows["watched"], strict=True) if np.isfinite(value)]
    assert max(watched) == finished["ended"] < max(rows["step"]) == 60


def test_the_constant_image_has_the_objective_of_the_method(fit):
    """method=random_projector minimises the root of the loss, to which a constant image adds no total variation."""
    folder, result = fit("steps=2", "method=random_projector", "stop=never")
    pixels = np.asarray(Image.open(folder / "images" / "target.png")) / 255
    assert result["constant_loss"] == pytest.approx(pixels.var(axis=(0, 1)).mean() ** 0.5, rel=1e-2)


def test_an_exact_restoration_has_a_score(fit, tmp_path):
    photo = tmp_path / "flat.png"
    Image.fromarray(np.full((32, 32), 100, np.uint8)).save(photo)
    given = ("steps=1", "target=degraded", "stop=adaptive", f"image={photo}", f"reference={photo}")
    folder, result = fit(*given)
    assert (result["psnr"], result["ssim"]) == (100, pytest.approx(1))
    fit(*given)
    assert _log(folder).count("PSNR 100.00 dB") == 1
    assert "adds scores" not in _log(folder)


@pytest.mark.parametrize("given", [("stop=covariance",), ("target=jpeg", "target.quality=10")], ids=str)
def test_the_constant_image_has_the_objective_that_training_has(fit, monkeypatch, given):
    """The loss of a network whose output is that image, computed by a step: with the filter of the residual, or intervals."""
    modules: list[DeepImagePrior] = []
    real = results.constant_loss

    def constant_loss(module, observation):
        modules.append(module)
        y, losses = observation.y, []
        level = y.mean((2, 3), keepdim=True).expand_as(y)
        monkeypatch.setattr(
            DeepImagePrior, "manual_backward", lambda self, loss: losses.append(loss.item()) or loss.backward()
        )

        class Constant(torch.nn.Module):
            def forward(self, z: torch.Tensor) -> torch.Tensor:
                return level + 0 * z.mean().requires_grad_()

        module._backward(Constant(), module.extras[0], lambda z, step: z, torch.zeros(1, 1), y)
        found = real(module, observation)
        assert found == pytest.approx(losses[0], rel=1e-5)
        assert found != pytest.approx(float((level - y).square().mean()), rel=1e-2)
        return found

    monkeypatch.setattr(results, "constant_loss", constant_loss)
    fit("steps=2", *given)
    assert modules[0].kernel is not None or modules[0].intervals is not None
