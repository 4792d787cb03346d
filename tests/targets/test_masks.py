"""Masks: the promised share is missing, seeds are kept, and a user's mask is refused in one line."""

from __future__ import annotations

import pytest
import scipy.ndimage
import torch
from torch import Tensor

from dip.errors import ImageError
from dip.targets import masks


def missing(mask: Tensor) -> float:
    return float(1 - mask.mean())


def check_is_mask(mask: Tensor, size: tuple[int, int]) -> None:
    assert mask.shape == (1, 1, *size)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_random_pixels_are_exactly_so_many(share: float) -> None:
    mask = masks.random_pixels((37, 53), share, seed=3)
    check_is_mask(mask, (37, 53))
    assert int((mask == 0).sum()) == round(share * 37 * 53)


def test_random_pixels_follow_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = masks.random_pixels((40, 40), 0.5, seed=7)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert torch.equal(first, masks.random_pixels((40, 40), 0.5, seed=7))
    assert torch.equal(before, torch.random.get_rng_state())  # nobody else's numbers were drawn
    agreement = (first == masks.random_pixels((40, 40), 0.5, seed=8)).float().mean()
    assert 0.4 < agreement < 0.6


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
def test_blobs_cover_the_share_to_the_pixel(share: float) -> None:
    mask = masks.holes((90, 120), share, count=3, seed=1)
    check_is_mask(mask, (90, 120))
    assert int((mask == 0).sum()) == round(share * 90 * 120)


def test_one_blob_is_one_region_and_no_disc() -> None:
    hole = masks.holes((128, 128), 0.1, seed=4)[0, 0] == 0
    assert scipy.ndimage.label(hole.numpy())[1] == 1
    y, x = hole.nonzero().double().unbind(1)
    spread = torch.hypot(y - y.mean(), x - x.mean()).max()
    assert spread > 1.1 * (hole.sum() / torch.pi).sqrt()  # a disc's farthest point is its radius away


def test_a_rectangle_has_straight_edges_and_nearly_the_share() -> None:
    mask = masks.holes((100, 150), 0.12, shape="rectangle")
    rows, columns = (mask[0, 0] == 0).nonzero().unbind(1)
    box = mask[0, 0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert not box.any()
    assert missing(mask) == pytest.approx(0.12, abs=0.01)
    assert box.shape[1] / box.shape[0] == pytest.approx(1.5, abs=0.1)


def test_holes_follow_the_seed() -> None:
    assert torch.equal(masks.holes((50, 50), 0.1, seed=1), masks.holes((50, 50), 0.1, seed=1))
    assert not torch.equal(masks.holes((50, 50), 0.1, seed=1), masks.holes((50, 50), 0.1, seed=2))


def test_white_is_kept_and_black_is_missing() -> None:
    drawn = torch.tensor([[1.0, 0.6], [0.4, 0.0]]).expand(1, 3, 2, 2)
    assert masks.from_image(drawn, (2, 2)).tolist() == [[[[1.0, 1.0], [0.0, 0.0]]]]


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (torch.zeros(1, 1, 4, 6), "6 x 4 pixels"),
        (torch.zeros(1, 1, 4, 4), "all black"),
        (torch.ones(1, 3, 4, 4), "all white"),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused_in_one_line(drawn: Tensor, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        masks.from_image(drawn, (4, 4))
    message = str(error.value)
    assert message.startswith("target.mask: ")
    assert "\n" not in message
    assert reason in message
    assert message.endswith("e.g. target.mask=mask.png")
