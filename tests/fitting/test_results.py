"""Results of a fit: images of any number of channels, scores with their protocol, and baselines."""

import logging

import numpy as np
import pytest
import torch

from dip import bm3d, images
from dip.fitting import results
from dip.images import preview
from dip.targets import Degraded, Inpaint, Noisy, SuperRes


@pytest.mark.parametrize(
    ("channels", "bands"), [(1, [0]), (2, [0, 1, 1]), (3, [0, 1, 2]), (4, [0, 1, 2]), (31, [0, 15, 30])]
)
def test_preview_is_gray_or_rgb(channels, bands):
    pixels = torch.rand(1, channels, 4, 5)
    assert torch.equal(preview(pixels), pixels[:, bands])


def test_a_tiff_holds_what_a_png_cannot(tmp_path):
    floats = images.load(np.random.default_rng(0).random((6, 5, 31)), axes="HWC")
    results.save(tmp_path / "images" / "restored.png", floats.pixels, like=floats)
    assert torch.equal(images.load(tmp_path / "images" / "restored.tif").pixels, floats.pixels)
    assert images.load(tmp_path / "images" / "restored.png").pixels.shape == (1, 3, 6, 5)
    eight_bit = images.load(np.zeros((6, 5, 3), np.uint8))
    results.save(tmp_path / "images" / "plain.png", eight_bit.pixels, like=eight_bit)
    written = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert written == ["plain.png", "restored.png", "restored.tif"]


@pytest.mark.parametrize(("dtype", "values"), [("uint16", [[0, 1000, 4095]]), ("int16", [[-500, 0, 500]])])
def test_values_in_units_are_in_the_tiff_and_bright_in_the_png(tmp_path, dtype, values):
    like = images.load(np.array(values, dtype))
    results.save(tmp_path / "restored.png", like.pixels, like=like)
    stored = images.load(tmp_path / "restored.tif").stored
    assert (str(stored.values.dtype), stored.values[..., 0].tolist()) == (dtype, values)
    shown = images.load(tmp_path / "restored.png", scale=(0, 65535))
    torch.testing.assert_close(shown.pixels, like.pixels, rtol=0, atol=1 / 65535)


def test_every_score_has_its_protocol():
    image = torch.rand(1, 3, 32, 32)
    for target in (Noisy(), Inpaint(missing=0.5), SuperRes(simulate=True)):
        found = results.scores(target, image * 0.9, target.observe(image, 0))
        protocol = found.pop("protocol")
        assert protocol.keys() == found.keys()
        assert set(found) >= {"psnr", "ssim"}
    assert results.scores(Degraded(), image, Degraded().observe(image, 0)) == {}


def test_baselines_are_scored_and_saved(tmp_path):
    image = images.prepare(images.load("coffee"), 32).pixels
    target = SuperRes(factor=2, simulate=True)
    found = results.baselines(target, target.observe(image, 0), tmp_path / "images")
    assert found.keys() == {"bicubic", "lanczos"}
    assert all(scores.keys() == {"psnr", "ssim", "psnr_y"} for scores in found.values())
    stored = images.load(tmp_path / "images" / "baseline-bicubic.png").pixels
    error = (stored - image).square().mean().item()
    assert -10 * np.log10(error) == pytest.approx(found["bicubic"]["psnr"], abs=0.05)  # stored with 8 bits


def test_baselines_that_fail_or_take_too_long_are_left_out(tmp_path, caplog, monkeypatch):
    target = Noisy()
    seen = target.observe(torch.rand(1, 3, 8, 8), 0)
    monkeypatch.setattr("dip.targets.baselines.compute", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING, "dip"):
        assert results.baselines(target, seen, tmp_path) == {}
    assert "no baselines (ZeroDivisionError" in caplog.text
    monkeypatch.setattr(bm3d, "LIMIT", 63)
    monkeypatch.setattr("dip.targets.baselines.compute", lambda *_: pytest.fail("computed"))
    assert results.baselines(target, seen, tmp_path) == {}
