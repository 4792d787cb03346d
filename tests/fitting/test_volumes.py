"""Runs on volumes: exact resuming, the stopping rules, ensembles, what is written, and the estimated cost."""

import logging

import numpy as np
import pytest
import torch

from dip import images
from dip.fitting import cost, probe
from dip.hardware import devices
from dip.model.module import DeepImagePrior
from dip.nets import Hourglass3d
from dip.noise.level import examine
from tests.conftest import composed
from tests.disturbed import ends_the_same

VOLUME = (
    "net=hourglass3d", "net.channels=4", "net.depth=2", "skips=[2]", "size=null", "axes=CHW", "target=noisy",
    "target.sigma=0.1",
)  # fmt: skip
CPU = torch.device("cpu")


def ball(slices: int, height: int, width: int) -> np.ndarray:
    """A ball of 0.8 on 0.3, (slices, height, width) float32."""
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in (slices, height, width)), indexing="ij")
    return np.where(sum(axis**2 for axis in grid) < 0.5, 0.8, 0.3).astype(np.float32)


@pytest.fixture
def volume(tmp_path):
    """A file of 6 slices of 13 x 10 pixels."""
    np.save(tmp_path / "volume.npy", ball(6, 13, 10))
    return f"image={tmp_path / 'volume.npy'}"


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    "given", [(), ("steps=60", "stop=heldout", "stop.patience=1"), ("ensemble=2", "optimizer=muon")], ids=str
)
def test_killed_at_a_step_a_volume_ends_the_same(fit, monkeypatch, tmp_path, volume, given):
    options = (*VOLUME, volume, "steps=20", "record_every=5", "checkpoint_every=0", *given)
    _, result = ends_the_same(monkeypatch, fit, tmp_path / "whole", DeepImagePrior, "training_step", 3, *options)
    assert result["status"] == ("stopped" if "stop=heldout" in given else "finished")


def test_what_a_volume_leaves(fit, volume, caplog):
    with caplog.at_level(logging.INFO):
        folder, result = fit(*VOLUME, volume, "steps=60", "lr=0.03")
    assert "net=hourglass3d: the 6 channels of the image are read as slices" in caplog.text
    assert result["slices"] == 6
    assert result["psnr"] > 21, "noise of 0.1 is 20 dB"
    restored = images.load(folder / "images" / "restored.png").pixels
    assert restored.shape == (1, 1, 13, 10), "the middle slice in gray"
    mosaic = images.load(folder / "images" / "restored-slices.png").pixels
    assert mosaic.shape == (1, 1, 2 * 13, 3 * 10)
    assert torch.equal(mosaic[..., 13:, :10], restored)
    assert images.load(folder / "images" / "reference.png").pixels.shape == (1, 1, 13, 10)
    assert images.load(folder / "images" / "step-000020.png").pixels.shape == (1, 1, 13, 10)
    assert (folder / "images" / "restored.tif").is_file()


def test_noise_of_a_volume_is_found_white_and_its_level_is_estimated():
    clean = torch.from_numpy(ball(24, 48, 48))[None]
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    found = examine(noisy.clamp(0, 1))
    assert found.kind == "white"
    assert found.sigma == pytest.approx(0.1, rel=0.1)


def test_memory_and_time_are_those_of_the_voxels():
    config = composed(*VOLUME, "precision=fp32")
    assert isinstance(config.net, Hourglass3d)
    sizes = []
    for slices in (16, 32):
        whole = cost.dataclasses.replace(config, net=config.net.for_slices(slices))
        measured = probe.measure(whole, (slices, 32, 32), CPU, devices.Arithmetic("fp32"), 1)
        assert measured.pixels == slices * 32 * 32
        sizes.append(measured.peak)
    assert 1.7 < sizes[1] / sizes[0] < 2.1


def test_crops_of_a_volume_are_cubes():
    config = composed(*VOLUME)
    config = cost.dataclasses.replace(config, net=config.net.for_slices(40))
    crop, shape = probe.cropped(config, (2 * 40, 300, 200), 64)
    assert (crop.net.slices, shape) == (16, (2 * 16, 16, 16))
    crop, shape = probe.cropped(config, (2 * 40, 300, 30), 512)
    assert (crop.net.slices, shape) == (40, (2 * 40, 64, 30))
    flat = composed("size=32")
    assert probe.cropped(flat, (3, 300, 200), 64) == (flat, (3, 64, 64))


def test_a_volume_that_does_not_fit_into_memory_is_refused_by_its_voxels(monkeypatch):
    config = composed(*VOLUME)
    config = cost.dataclasses.replace(config, net=config.net.for_slices(512))
    monkeypatch.setattr(cost, "available", lambda device: 10**9)
    with pytest.raises(cost.RunError, match="512 x 512 x 512 voxels need about"):
        cost.afford(config, (512, 512, 512))
