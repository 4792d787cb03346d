"""Simulated masks: the stated share is missing, and draws follow the seed."""

import pytest
import scipy.ndimage
import torch
from torch import Tensor

from dip.targets import masks
from tests.targets.photos import draw


def missing(mask: Tensor) -> float:
    return float(1 - mask.mean())


def check_is_mask(mask: Tensor, size: tuple[int, int]) -> None:
    assert mask.shape == (1, 1, *size)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_random_pixels_are_exactly_so_many(share: float) -> None:
    mask = masks.random_pixels((37, 53), share, draw(3))
    check_is_mask(mask, (37, 53))
    assert int((mask == 0).sum()) == round(share * 37 * 53)


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (256, 384), (704, 448), (100, 1000), (1000, 100)])
def test_text_covers_the_image_with_five_to_fifteen_percent(size: tuple[int, int]) -> None:
    mask = masks.text(size)
    check_is_mask(mask, size)
    assert 0.05 < missing(mask) < 0.15
    for rows in mask.tensor_split(4, dim=2):
        for part in rows.tensor_split(4, dim=3):
            assert 0.01 < missing(part) < 0.3


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (9, 4)])
def test_text_has_a_mask_for_tiny_images(size: tuple[int, int]) -> None:
    check_is_mask(masks.text(size), size)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_hole_covers_the_share_to_the_pixel_and_is_one_irregular_region(share: float) -> None:
    mask = masks.hole((90, 120), share, draw(4))
    check_is_mask(mask, (90, 120))
    hole = mask[0, 0] == 0
    assert int(hole.sum()) == round(share * 90 * 120)
    assert scipy.ndimage.label(hole.numpy())[1] == 1
    y, x = hole.nonzero().double().unbind(1)
    spread = torch.hypot(y - y.mean(), x - x.mean()).max()
    assert spread > 1.1 * (hole.sum() / torch.pi).sqrt()  # the radius of a disc of the same area
