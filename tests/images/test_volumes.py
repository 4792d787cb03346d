"""Volumes as images: the middle slice, and all slices side by side."""

from __future__ import annotations

import numpy as np
import torch

from dip import images
from dip.images import volumes


def test_the_middle_slice_of_each_channel():
    volume = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4)
    found = volumes.middle(volume.view(1, 10, 3, 4), 5)
    assert torch.equal(found, volume[None, :, 2])
    assert images.preview(volume[:1].view(1, 5, 3, 4), 5).shape == (1, 1, 3, 4)


def test_a_mask_of_one_channel_has_no_slices():
    assert volumes.middle(torch.ones(1, 1, 3, 4), 5).shape == (1, 1, 3, 4)


def test_the_mosaic_holds_every_slice_row_by_row():
    volume = np.random.default_rng(0).random((7, 3, 4), dtype=np.float32)
    found = volumes.mosaic(torch.from_numpy(volume)[None], 7)[0, 0].numpy()
    assert found.shape == (9, 12)
    for number in range(9):
        row, column = divmod(number, 3)
        cell = found[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
        assert np.array_equal(cell, volume[number] if number < 7 else np.zeros((3, 4)))


def test_a_long_volume_is_shown_at_even_distances():
    assert volumes.shown(4) == [0, 1, 2, 3]
    found = volumes.shown(250)
    assert len(found) == volumes.SHOWN
    assert set(np.diff(found)) == {2, 3}
