"""The networks' input: drawn, guided by an image, or both."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dip
from dip.errors import ImageError, OptionError
from dip.fitting import cost
from dip.fitting.fit import Fit as Fitting
from dip.fitting.inputs import observe
from dip.fitting.network_input import with_all_channels
from dip.fitting.pictures import Pictures
from dip.model import data
from dip.model.module import DeepImagePrior
from dip.targets import Flash, SuperRes
from dip.z import Z
from tests.conftest import composed
from tests.disturbed import ends_the_same
from tests.fitting.observed import observed

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = {"net": {"channels": 8, "depth": 3}, "skips": [2], "precision": "fp32", "logger": "csv", "baselines": False}


@pytest.fixture
def guide(tmp_path):
    """An RGB image of 32 x 32 pixels."""
    values = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "guide.png")
    return str(tmp_path / "guide.png")


def fitting(tmp_path: Path, *options: str) -> Fitting:
    return Fitting(composed("size=32", "net.depth=3", "net.channels=8", "skips=[2]", *options), tmp_path / "run", "")


@pytest.mark.parametrize("drawn", [0, 4])
def test_each_network_sees_the_guide_and_its_own_noise(tmp_path, guide, drawn):
    fit = fitting(tmp_path, f"z.guide={guide}", f"z.channels={drawn}", "ensemble=2")
    module, pair = fit.build()
    z = pair.pair[0]
    assert z.shape == (2, 3 + drawn, 32, 32)
    pixels = torch.from_numpy(np.asarray(Image.open(guide)) / np.float32(255)).permute(2, 0, 1)
    torch.testing.assert_close(z[:, :3], pixels.expand(2, -1, -1, -1))
    if drawn:
        assert torch.equal(z[:1, 3:], data.draw(Z(channels=4), (32, 32), 0))
        assert not torch.allclose(z[0, 3:], z[1, 3:])
    costed = with_all_channels(fit.config, fit.observation)
    assert costed.z.planes(1) == 3 + drawn, "the estimate of the cost counts all channels"
    noisy = module.perturb[0](z[:1], 1) - z[:1]
    torch.testing.assert_close(noisy.std(dim=(0, 2, 3)), torch.full((3 + drawn,), 1 / 30), rtol=0.15, atol=0)


def test_a_guide_of_slices_is_extended_to_the_slices_of_z(tmp_path):
    volume, guide = (np.random.default_rng(seed).random((5, 12, 9)) for seed in (0, 1))
    np.save(tmp_path / "y.npy", volume)
    np.save(tmp_path / "guide.npy", guide)
    words = (f"image={tmp_path}/y.npy", "axes=ZYX", "net=hourglass3d", "net.channels=4", "net.depth=2", "skips=[1]")
    config = composed(*words, "target=degraded", f"z.guide={tmp_path}/guide.npy", "z.channels=2")
    fit = Fitting(config, tmp_path / "run", "")
    _, pair = fit.build()
    assert pair.pair[0].shape == (1, 3 * 5, 12, 9)
    torch.testing.assert_close(pair.pair[0][0, :5], torch.from_numpy(guide).float())
    np.save(tmp_path / "guide.npy", guide[:4])
    with pytest.raises(ImageError, match="guide.npy: has 4 channels, which are not a multiple of the 5 slices"):
        observe(config, Pictures(config))


@pytest.mark.parametrize(("net", "side"), [("decoder", 2), ("convdecoder", 8)])
def test_the_input_of_a_decoder_is_smaller_than_the_image(tmp_path, guide, caplog, net, side):
    words = ("size=32", f"net={net}", "net.layers=5", f"z.guide={guide}", "z.channels=4", "ensemble=2", "steps=3")
    with caplog.at_level(logging.INFO, "dip"):
        fit = Fitting(composed(*words, "logger=csv", "stop=never"), tmp_path / "run", "", with_images=False)
    told = f"z.guide: averaged to {side} x {side} pixels (width x height), the input of net={net}"
    assert caplog.messages.count(told) == 1
    assert not [line for line in caplog.messages if line.startswith("skips")], "a decoder has no skip connection"
    module, pair = fit.build()
    z = pair.pair[0]
    pixels = np.asarray(Image.open(guide)) / np.float32(255)
    means = pixels.reshape(side, 32 // side, side, 32 // side, 3).mean((1, 3)).transpose(2, 0, 1)
    torch.testing.assert_close(z[:, :3], torch.from_numpy(means).expand(2, -1, -1, -1))
    assert torch.equal(z[:1, 3:], data.draw(Z(channels=4), (side, side), 0))
    assert module.perturb[0](z[:1], 1).shape == (1, 7, side, side)
    assert cost.estimate(with_all_channels(fit.config, fit.observation), (3, 32, 32)).bytes > 0
    (tmp_path / "run").mkdir()
    assert fit.run(progress=False)["status"] == "finished"


def test_a_flash_photo_is_a_guide_without_noise(tmp_path, guide):
    dim = str(tmp_path / "dim.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 99, (32, 32, 3), dtype=np.uint8)).save(dim)
    losses = []
    for target, z in (({"name": "flash", "flash": guide}, {}), ("degraded", {"guide": guide, "channels": 0})):
        found = dip.restore(dim, target, z=z, steps=5, stop="never", progress=False, **SMALL)
        losses.append(found.history["loss"])
    assert losses[0] == losses[1]


def test_a_guide_from_python_is_a_path_or_an_array(guide):
    values = np.asarray(Image.open(guide))
    options = {**SMALL, "size": 32, "steps": 3, "stop": "never", "progress": False}
    images = [dip.restore("camera", z=z, **options).image for z in (guide, values, {"guide": values}, Path(guide))]
    assert all(np.array_equal(image, images[0]) for image in images)
    assert not np.array_equal(images[0], dip.restore("camera", **options).image)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"z": lambda guide: Z(guide=guide)}, r"^z.guide=.*: is 32 x 32 pixels .* the restored image 9 x 8;"),
        (
            {"target": lambda _: SuperRes(factor=2), "z": lambda guide: Z(guide=guide)},
            r"^z.guide=.* the restored image 18 x 16; .*'s size, 2 times the image, for example resized to 18 x 16$",
        ),
        ({"target": lambda guide: Flash(flash=guide)}, r"^target.flash=.*: is 32 x 32 pixels .* the restored image 9 x 8;"),
        ({"z": lambda _: Z(guide="nowhere.png")}, "^z.guide=nowhere.png: there is no such file"),
    ],
)  # fmt: skip
def test_a_guide_that_does_not_fit_is_refused_in_one_line(guide, tmp_path, config, message):
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match=message) as error:
        observed(image=str(tmp_path / "small.png"), **{name: made(guide) for name, made in config.items()})
    assert "\n" not in str(error.value)


def test_a_guide_has_no_missing_values():
    options = {**SMALL, "size": None, "steps": 3, "progress": False}
    with pytest.raises(ImageError, match="^z.guide=array: some values are NaN"):
        dip.restore(np.zeros((32, 32)), z=np.where(np.eye(32) > 0, np.nan, 0.5), **options)


def test_the_guide_of_super_resolution_has_the_size_of_the_restored_image(tmp_path, guide):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "small.png")
    for size, made in ((None, 32), (10, 20)):
        assert observed(
            image=str(tmp_path / "small.png"), target=SuperRes(factor=2), z=Z(guide=guide), size=size
        ).seen.z.shape == (1, 3, made, made)


def test_details_of_a_guide_need_a_skip_at_level_1(caplog):
    for words, warned in (("", False), ("z.guide=coffee", True), ("z.guide=coffee skips=[1,3]", False)):
        caplog.clear()
        composed(*words.split())
        found = [line.startswith("skips=[3, 4]: the finest details of z.guide") for line in caplog.messages]
        assert found == [True] * warned


def test_no_channels_need_a_guide(guide):
    assert (Z().channels, Z(guide=guide).channels, Z(guide=guide, channels=32).channels) == (32, 0, 32)
    assert Z(channels=0, guide=guide).channels == 0
    with pytest.raises(OptionError, match="^z.channels=0: must be an integer >= 1, or 0 with z.guide"):
        Z(channels=0)


@pytest.mark.parametrize(("word", "setting"), [("net", "net=pixels"), ("net", "net=mlp"), ("target", "target=flash")])
def test_a_guide_that_is_ignored_is_a_warning(caplog, word, setting):
    options = {**SMALL, "size": 32, "steps": 2, "progress": False} | {word: setting.partition("=")[2]}
    options |= {"skips": []} if word == "net" else {}
    with caplog.at_level(logging.WARNING, "dip"):
        dip.restore("camera", z=np.zeros((9, 9)), **options)
    assert [line for line in caplog.messages if line.startswith("z:")] == [f"z: has no effect with {setting}"]


def test_a_guided_run_resumes_exactly(fit, monkeypatch, tmp_path, guide):
    options = ("steps=12", "record_every=5", "checkpoint_every=0", f"z.guide={guide}", "z.channels=2")
    ends_the_same(monkeypatch, fit, tmp_path / "whole", DeepImagePrior, "training_step", 7, *options)
