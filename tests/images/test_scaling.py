"""Which stored values become 0 and 1."""

import numpy as np
import pytest
import tifffile
import torch

from dip.images import load, prepare, rescaled, save
from dip.images.scaling import choose, from_unit, to_unit
from tests.images.conftest import random


@pytest.mark.parametrize(
    ("dtype", "low", "high", "scale"),
    [
        ("uint8", 0, 1, (0, 255)), ("uint8", 7, 100, (0, 255)), ("uint16", 0, 0, (0, 65535)),
        ("uint16", 0, 255, (0, 255)), ("uint16", 64, 256, (0, 1023)), ("uint16", 0, 1023, (0, 1023)),
        ("uint16", 0, 1024, (0, 4095)), ("uint16", 0, 4096, (0, 16383)), ("uint16", 0, 16384, (0, 65535)),
        ("int64", 0, 255, (0, 255)), ("int16", 0, 4000, (0, 4095)), ("int16", -1024, 3071, (-1024, 3071)),
        ("int32", 0, 70_000, (0, 70_000)), ("int32", -5, -5, (-5, -4)), ("float32", 0, 1, (0, 1)),
        ("float32", 0.2, 0.3, (0, 1)), ("float32", -1e-7, 1 + 1e-7, (0, 1)), ("float32", -0.25, 0.75, (-0.25, 0.75)),
        ("float32", 100, 355, (100, 355)), ("float64", -1e-20, 3e-20, (-1e-20, 3e-20)), ("float32", 9, 9, (9, 10)),
    ],
)  # fmt: skip
def test_the_scale_by_type_and_values(dtype, low, high, scale):
    assert choose(np.array([[[low]], [[high]]], dtype)) == scale


def test_a_constant_of_any_size_has_a_scale():
    for value in (-1e200, -7.0, 1e-300, 9.0, 1e30):
        low, high = choose(np.full((1, 2, 1), value))
        assert low == value < high


CLEAN = load("camera").pixels[0].permute(1, 2, 0).double().numpy()[100:300, 100:300]
NOISE = np.random.default_rng(0).standard_normal(CLEAN.shape)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_that_leaves_0_1_does_not_change_the_scale(sigma, dtype):
    noisy = (CLEAN + sigma * NOISE).astype(dtype)
    assert not 0 <= noisy.min() <= noisy.max() <= 1
    noisy[3:9, 4:8], noisy[20:22, 20:22] = np.nan, np.inf
    picture = load(noisy)
    assert picture.units == (0, 1)
    expected = np.where(np.isinf(noisy), np.nan, noisy.clip(0, 1)).astype(np.float32)[..., 0]
    assert np.array_equal(picture.pixels[0, 0].numpy(), expected, equal_nan=True)
    holed, known = noisy.copy(), torch.ones(1, 1, 200, 200)
    known[..., 50:90, 60:80] = 0
    holed[50:90, 60:80] = -9999
    assert load(holed).units[0] == -9999
    assert rescaled(load(holed), known=known).units == (0, 1)


@pytest.mark.parametrize(
    ("gain", "offset", "sigma"),
    [(2, -1, 0), (2, -1, 0.1), (1, -0.5, 0), (1, -0.5, 0.1), (1.5, 0, 0.02), (255, 0, 0), (255, 0, 10), (4095, 0, 50),
     (4000, -1000, 20), (0, 0, 0.1), (0, 0, 1), (1e-3, 0, 1e-4), (1, 0, 0.4)],
)  # fmt: skip
def test_what_noise_does_not_explain_is_scaled_from_the_data(gain, offset, sigma):
    values = gain * CLEAN + offset + sigma * NOISE
    assert choose(values) == (values.min(), values.max())


def test_a_declared_maximum_decides(tmp_path):
    values = random((6, 5), np.uint16) >> 8
    assert choose(values, white=4095) == (0, 4095)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert load(tmp_path / "a.tif").units == (0, 255)


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [("float32", (100, 355), -9999), ("float32", (0.1, 0.9), np.nan), ("float32", (0.1, 0.9), np.inf),
     ("float32", (100, 355), np.nan), ("uint16", (0, 4095), 65535), ("int32", (-7, 90), -(2**31))],
)  # fmt: skip
@pytest.mark.parametrize("per_channel", [False, True])
def test_unknown_pixels_have_no_influence(dtype, good, bad, per_channel):
    rows = np.linspace(*good, 8 * 9 * 3).reshape(8, 9, 3).astype(dtype)
    holed, known = rows.copy(), torch.ones(1, 3 if per_channel else 1, 8, 9)
    known[..., 2:5, 3:6] = 0
    holed[2:5, 3:6] = bad
    if per_channel:
        known[:, 1:, 2:5, 3:6] = 1
        holed[2:5, 3:6, 1:] = rows[2:5, 3:6, 1:]
    expected, found = load(rows), rescaled(load(holed), known=known)
    assert found.units == expected.units
    seen = known.expand_as(found.pixels) > 0
    assert torch.equal(found.pixels[seen], expected.pixels[seen])
    assert not (found.pixels[~seen] > 1).any()
    assert not (found.pixels[~seen] < 0).any()


def test_masked_values_of_an_array_are_missing():
    values = np.ma.masked_less(np.array([[-9999, 100, 355]], np.int16), 0)
    picture = load(values)
    assert picture.units == (100, 355)
    assert picture.pixels.isnan().flatten().tolist() == [True, False, False]


def test_the_given_range_decides_and_clips(tmp_path):
    picture = rescaled(load(np.array([[0, 100, 4000, 9000]], np.uint16)), (100, 4100))
    torch.testing.assert_close(picture.pixels.flatten(), torch.tensor([0, 0, 3900 / 4000, 1]))
    save(tmp_path / "a.tif", picture.pixels, picture)
    assert tifffile.imread(tmp_path / "a.tif").tolist() == [[100, 100, 4000, 4100]]
    assert rescaled(picture).units == (0, 16383)
    assert not rescaled(picture, [0.0, 65535.0]).scaled  # a list, as in the options


def test_other_formats_show_the_range_from_black_to_white(tmp_path):
    """A PNG of 16 bits keeps the units; 8-bit files, which cannot, are bright."""
    picture = load(np.array([[0, 2048, 4095]], np.uint16))
    save(tmp_path / "a.png", picture.pixels, picture)
    assert load(tmp_path / "a.png").stored.values.flatten().tolist() == [0, 2048, 4095]
    save(tmp_path / "a.bmp", picture.pixels, picture)
    assert load(tmp_path / "a.bmp").stored.values.flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", ["uint8", "uint16"])
def test_every_integer_survives(mode):
    values = np.arange(np.iinfo(mode).max + 1).astype(mode)
    for scale in ((0.0, float(values[-1])), (0.0, 4095.0), (3.0, 250.0)):
        inside = values[(values >= scale[0]) & (values <= scale[1])]
        np.testing.assert_array_equal(from_unit(to_unit(inside, scale), mode, scale), inside)


def test_missing_pixels_spread_by_resizing_and_resized_images_keep_their_scale():
    values = np.random.default_rng(0).random((16, 16), np.float32) + 5
    values[3, 4] = np.nan
    small = prepare(load(values), 8)
    missing = small.pixels.isnan()[0, 0].nonzero()
    assert 1 <= len(missing) <= 25
    assert (missing - torch.tensor([1, 2])).abs().max() <= 3
    assert small.units == load(values).units
    assert rescaled(small, (0, 9)) is small


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1.0, 1e30, 1e200])
def test_float64_of_any_unit_is_given_back(tmp_path, scale):
    values = (np.random.default_rng(0).random((6, 5)) - 0.5) * scale
    picture = load(values)
    assert picture.mode == "float64"
    save(tmp_path / "a.npy", picture.pixels, picture)
    back = np.load(tmp_path / "a.npy")
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, values, rtol=0, atol=1e-6 * scale)
