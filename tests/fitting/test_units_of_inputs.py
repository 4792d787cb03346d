"""The scale and the units of the images that a run reads: from observed pixels, told once, shared with the reference."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from dip import images
from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures
from dip.targets import Degraded, Inpaint
from tests.fitting.observed import observed

UNITS = np.random.default_rng(0).uniform(100, 355, (24, 20)).astype(np.float32)


@pytest.mark.parametrize("missing", [-9999.0, np.nan, np.inf, 1e30])
@pytest.mark.parametrize("size", [None, 16, [12, 10]])
@pytest.mark.parametrize("resized", [False, True])
def test_the_range_is_that_of_the_observed_pixels(tmp_path, missing, size, resized):
    """Neither what the mask hides nor what `size` crops decides; NaN under the mask is accepted."""
    mask = np.full((24, 20), 255, np.uint8)
    mask[6:12, 5:15] = 0
    holed = np.where(mask == 0, missing, UNITS).astype(np.float32)
    if size == 16:
        holed[0], holed[-1] = missing, missing  # outside the middle square
    clean = np.where(mask == 0, 200, UNITS)
    if resized and size is not None:
        sides = [size, size] if isinstance(size, int) else size
        mask = np.full(sides, 255, np.uint8)
        mask[sides[0] // 8 : sides[0] * 3 // 4, sides[1] // 5 : sides[1] * 17 // 20] = 0  # covers the hole
    Image.fromarray(mask).save(tmp_path / "mask.png")
    seen = {}
    for name, values in (("holed", holed), ("clean", clean)):
        seen[name] = observed(
            image="array",
            target=Inpaint(mask=str(tmp_path / "mask.png")),
            size=size,
            given={"image": images.load(values)},
        )
    (picture, found), (expected, _) = seen["holed"], seen["clean"]
    assert 100 <= picture.units[0] <= 105
    assert 350 <= picture.units[1] <= 355
    assert found.y.isfinite().all()
    known = found.known.expand_as(found.y) > 0
    assert 0.2 < known.float().mean() < 0.95
    if not resized and size is None:
        units = expected.pixels * (expected.units[1] - expected.units[0]) + expected.units[0]
        again = found.y * (picture.units[1] - picture.units[0]) + picture.units[0]
        torch.testing.assert_close(again[known], units[known], rtol=0, atol=1e-3)


def test_missing_values_are_refused_where_nothing_fills_them(tmp_path):
    config = Config(image="array", target=Degraded())
    holed = UNITS.copy()
    holed[3, 4] = np.nan
    with pytest.raises(ImageError, match="^image=array: some values are NaN or infinite, .* target=inpaint"):
        observe(config, Pictures(config, {"image": images.load(holed)}))


def test_the_scale_is_told_once(caplog):
    values = np.arange(480, dtype=np.uint16).reshape(24, 20)
    values[0, 0] = 4000
    with caplog.at_level(logging.INFO, "dip"):
        for chosen, units in ((None, (0, 4095)), ([0, 239], (0, 239)), ([0, 4001], (0, 4001))):
            config = Config(image="array", target=Degraded(), range=chosen)
            pictures = Pictures(config, {"image": images.load(values)})
            picture, _ = observe(config, pictures)
            observe(config, pictures)
            assert picture.units == units
    assert len(caplog.messages) == 3
    assert "uint16 values; 0 becomes 0 and 4095 becomes 1" in caplog.messages[0]
    assert caplog.messages[0].endswith("another range is set by range=[low,high]")
    assert caplog.messages[1].endswith("50.2 % of the values are outside and clipped")
    assert caplog.messages[2].endswith("; no value is clipped")


@pytest.mark.parametrize(
    ("image", "reference"),
    [(np.uint16, np.uint16), (np.uint16, np.float32), (np.float32, np.float32), (np.uint16, np.int32)],
)
def test_a_reference_in_the_units_of_the_image_is_scaled_with_it(image, reference):
    values = np.random.default_rng(0).integers(5, 4000, (9, 8))
    given = {"image": images.load(values.astype(image)), "reference": images.load((values // 2).astype(reference))}
    picture, seen = observed(image="array", reference="array", target=Degraded(), given=given)
    low, high = picture.units
    torch.testing.assert_close(
        seen.reference[0, 0], torch.from_numpy((values // 2 - low) / (high - low)).clamp(0, 1).float()
    )


def test_a_reference_of_another_type_has_its_own_range():
    values = np.random.default_rng(0).integers(0, 255, (9, 8, 3), dtype=np.uint8)
    deep = values.astype(np.uint16) * np.uint16(257)
    deep[0, 0] = 65535
    given = {"image": images.load(values), "reference": images.load(deep)}
    picture, seen = observed(image="array", reference="array", target=Degraded(), given=given)
    torch.testing.assert_close(seen.reference[..., 1:, :], picture.pixels[..., 1:, :], rtol=0, atol=1e-6)


CLEAN = images.load("camera").pixels[0, 0, 100:300, 100:300].double().numpy()
NOISY = CLEAN + 0.1 * np.random.default_rng(0).standard_normal(CLEAN.shape)
WIDE = CLEAN + 0.4 * np.random.default_rng(0).standard_normal(CLEAN.shape)
BYTES = (CLEAN * 255).round().astype(np.uint8)


def _referred(values, reference, **options):
    given = {"image": images.load(values), "reference": images.load(reference)}
    return observed(image="array", reference="array", target=Degraded(), given=given, **options)


@pytest.mark.parametrize(
    ("values", "reference", "black", "white", "span"),
    [
        (NOISY.astype(np.float32), CLEAN, 0, 1, None),
        (NOISY, CLEAN.astype(np.float32), 0, 1, None),
        (NOISY.astype(np.float32), BYTES, 0, 1, None),
        (WIDE.astype(np.float32), CLEAN, 0, 1, None),
        ((255 * NOISY).astype(np.float32), BYTES, 0, 255, None),
        ((255 * NOISY).astype(np.float32), 255 * CLEAN, 0, 255, None),
        ((4095 * NOISY).astype(np.float32), (4095 * CLEAN).round().astype(np.uint16), 0, 4095, None),
        ((4095 * NOISY).round().astype(np.int32), (4095 * CLEAN).astype(np.float32), 0, 4095, None),
        ((4095 * NOISY.clip(0, 1)).astype(np.int32), BYTES, 0, 4095, None),
        ((NOISY.clip(0, 1) * 65535).astype(np.uint16), BYTES, 0, 65535, None),
        (BYTES, CLEAN, 0, 255, None),
        (BYTES // 50, CLEAN, 0, 255, None),
        ((4095 * NOISY).astype(np.float32), CLEAN, 0, 4095, [0, 4095]),
        ((3000 * NOISY - 1000).astype(np.float32), BYTES, -1000, 2000, [-1000, 2000]),
    ],
)
def test_the_reference_is_on_the_scale_of_the_image_whatever_its_type(values, reference, black, white, span):
    """Of what is black and white in the image's units, whose scale may be wider."""
    picture, seen = _referred(values, reference, range=span)
    low, high = picture.units
    expected = (black + (white - black) * CLEAN - low) / (high - low)
    np.testing.assert_allclose(seen.reference[0, 0], expected, rtol=0, atol=0.003)


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        (WIDE, BYTES),
        (4095 * NOISY, BYTES),
        (NOISY, 255 * CLEAN + 1),
        (100 * CLEAN + 100, CLEAN),
        (BYTES, 3000 * CLEAN - 1000),
    ],
)
def test_a_reference_in_unknown_units_is_refused(values, reference):
    with pytest.raises(ImageError, match=r"^reference=array: its values, from .*another unit.*range=\[0,255\].*"):
        _referred(values, reference)


def test_values_outside_0_1_are_told(caplog):
    with caplog.at_level(logging.INFO, "dip"):
        observed(image="array", target=Degraded(), given={"image": images.load(NOISY)})
        observed(image="array", target=Degraded(), given={"image": images.load(CLEAN)})
    (told,) = caplog.messages
    share = 100 * ((NOISY < 0) | (NOISY > 1)).mean()
    assert (
        f"0 becomes 0 and 1 becomes 1; restored.tif and saved files have the units of the input; {share:.1f} %" in told
    )
    assert told.endswith("outside and clipped; another range is set by range=[low,high]")
