"""Degraded photos, super-resolution, JPEG, deblurring and flash: each observation against Pillow's or SciPy's."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from dip import images, metrics
from dip.errors import ImageError
from dip.targets import Deblur, Degraded, Flash, Jpeg, SuperRes
from dip.targets.operators import Downsample, Identity


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return images.prepare(images.load("chelsea"), (60, 80)).pixels


@pytest.mark.parametrize(
    "target", [Degraded(), Jpeg(intervals=False), Deblur(), SuperRes()], ids=lambda target: target.name
)
def test_damage_that_is_there_already_is_observed_as_it_is(target, photo):
    seen = target.observe(photo, 0)
    assert torch.equal(seen.y, photo)
    assert seen.reference is None
    assert target.scores(photo, seen) == {}


@pytest.mark.parametrize("rows", [60, 59])  # 59 is no multiple of 4
def test_a_simulated_small_image_is_shrunk_by_lanczos3(rows, photo):
    image = photo[..., :rows, :]
    seen = SuperRes(simulate=True, kernel="lanczos2").observe(image, 0)
    assert torch.equal(seen.y, Downsample(4, (rows, 80), "lanczos3")(image).clamp(0, 1))
    assert torch.equal(seen.reference, image)
    assert seen.size == (rows, 80)
    assert seen.operator(image).shape == seen.y.shape


def test_superres_measures_luma_without_the_border(photo):
    target = SuperRes(simulate=True)
    seen = target.observe(photo, 0)
    restored = photo + 0.05
    restored[..., :4, :] = 0  # in the border
    scores = target.scores(restored, seen)
    assert scores["psnr_y"] == pytest.approx(metrics.psnr_y(restored, photo, 4).item())
    assert scores["psnr_y"] == pytest.approx(-20 * np.log10(0.05 * 219 / 255), abs=0.01)
    many = torch.rand(1, 5, 32, 32)
    assert "psnr_y" not in target.scores(many, target.observe(many, 0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [5, 50])
def test_jpeg_is_the_content_of_a_file_of_that_quality(quality, channels, photo, tmp_path):
    image = photo[:, :channels]
    seen = Jpeg(quality=quality).observe(image, 0)
    eight_bit = (image[0].numpy() * 255).round().astype(np.uint8)
    eight_bit = eight_bit[0] if channels == 1 else np.moveaxis(eight_bit, 0, -1)
    Image.fromarray(eight_bit).save(tmp_path / "x.jpg", quality=quality)
    assert torch.equal(seen.y, images.load(tmp_path / "x.jpg").pixels)
    assert torch.equal(seen.reference, image)
    assert isinstance(seen.operator, Identity)


def test_jpeg_refuses_other_channels():
    with pytest.raises(ImageError, match="^target.quality: .* 5 channels"):
        Jpeg(quality=10).observe(torch.rand(1, 5, 8, 8), 0)


def test_blur_is_scipys(photo):
    planes = photo[0].numpy().astype(float)
    for options, expected in (
        ({"sigma": 1.5}, scipy.ndimage.gaussian_filter(planes, (0, 1.5, 1.5), mode="nearest", truncate=4)),
        ({"kernel": "motion", "length": 5, "angle": 0}, scipy.ndimage.uniform_filter1d(planes, 5, mode="nearest")),
    ):
        seen = Deblur(**options, simulate=True).observe(photo, 0)
        assert np.allclose(seen.y[0].numpy(), expected, atol=1e-5)
        assert torch.equal(seen.reference, photo)


def test_a_drawn_kernel_is_convolved(photo, caplog):
    drawn = torch.zeros(1, 1, 3, 5)
    drawn[0, 0, 0, 4], drawn[0, 0, 1, 2] = 1.0, 0.5
    target = Deblur(kernel="kernel.png", simulate=True)
    assert target.files() == {"kernel": "kernel.png"}
    assert not target.resized
    seen = target.observe(photo, 0, {"kernel": drawn})
    kernel = drawn[0, 0].numpy() / 1.5
    expected = [scipy.ndimage.convolve(plane, kernel, mode="nearest") for plane in photo[0].double().numpy()]
    assert np.allclose(seen.y[0].numpy(), expected, atol=1e-5)
    assert not caplog.messages
    target.observe(photo, 0, {"kernel": photo.mean(1, keepdim=True)})
    assert "as large as the image" in caplog.text


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_flash_pair_is_simulated(channels, caplog):
    image = torch.rand(1, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    caplog.set_level("INFO", "dip")
    seen = Flash(sigma=0.01).observe(image, 3)
    assert "no target.flash is given, so the image is the flash photo and a dim one is simulated" in caplog.text
    assert torch.equal(seen.z, image)
    light = seen.reference / image
    assert torch.allclose(light, light[..., :1, :1].expand_as(light), atol=1e-4)  # one colour of light
    assert light.max() < 1
    clear = (seen.reference > 0.05) & (seen.reference < 0.95)
    assert (seen.y - seen.reference)[clear].std().item() == pytest.approx(0.01, rel=0.05)
