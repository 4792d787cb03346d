"""Where tiles lie, and that their weights are a partition of unity."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dip.tiles.blending import blend
from dip.tiles.layout import boxes, spans, weights


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """(length, tile, overlap, grid)."""
    grid = draw(st.sampled_from([1, 8, 16]))
    tile = draw(st.integers(4 * grid, 12 * grid))
    overlap = draw(st.integers(0, (tile - 1) // 2 - grid if grid > 1 else (tile - 1) // 2))
    return draw(st.integers(1, 40 * grid)), tile, overlap, grid


@settings(deadline=None)
@given(axes())
def test_tiles_cover_the_axis_overlap_enough_and_start_on_the_grid(axis):
    length, tile, overlap, grid = axis
    found = spans(length, tile, overlap, grid)
    assert found[0][0] == 0
    assert found[-1][1] == length
    for (start, end), (after, _) in itertools.pairwise(found):
        assert end - after >= overlap
        assert start < after
    assert all(start % grid == 0 and 0 < end - start <= tile for start, end in found)
    if len(found) > 1:  # no longer than needed: shorter ones by a unit would not reach the end
        side, shared = max(end - start for start, end in found), -(-overlap // grid) * grid
        assert len(found) * (side - grid) - (len(found) - 1) * shared < length


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "expected"),
    [
        (512, 512, 64, [(0, 512)]), (513, 512, 64, [(0, 289), (224, 513)]), (960, 512, 64, [(0, 512), (448, 960)]),
        (961, 512, 64, [(0, 363), (299, 662), (598, 961)]), (10, 4, 0, [(0, 4), (3, 7), (6, 10)]),
    ],
)  # fmt: skip
def test_there_are_as_few_tiles_as_possible_evenly_spaced(length, tile, overlap, expected):
    assert spans(length, tile, overlap) == expected


@settings(deadline=None)
@given(axes(), st.integers(0, 8))
def test_weights_sum_to_one_at_each_pixel(axis, margin):
    length, tile, overlap, grid = axis
    found, margin = spans(length, tile, overlap, grid), min(margin, overlap // 2)
    total = np.zeros(length)
    for (start, end), weight in zip(found, weights(found, margin), strict=True):
        assert weight.min() >= 0
        total[start:end] += weight
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_the_ramp_of_two_tiles_is_a_raised_cosine_between_margins_of_weight_zero():
    left, right = weights([(0, 20), (10, 30)], 2)
    x = (np.arange(6) + 0.5) / 6
    assert left.tolist()[:12] == [1] * 12
    np.testing.assert_allclose(left[12:18], np.cos(np.pi * x / 2) ** 2)
    assert left.tolist()[18:] == [0, 0]
    np.testing.assert_allclose(right, left[::-1], atol=1e-15)


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize(
    ("size", "tile", "overlap", "margin"), [((40, 72), 32, 9, 3), ((33, 17), 16, 7, 0), ((64, 9), 16, 5, 2)]
)
def test_parts_of_an_image_blend_to_that_image_exactly(size, tile, overlap, margin, factor):
    image = torch.rand(1, 3, factor * size[0], factor * size[1], generator=torch.Generator().manual_seed(0))
    found = boxes(size, tile, overlap)
    assert torch.equal(blend(found, lambda box: image[(..., *box.enlarged(factor).slices())], margin, factor), image)


def test_the_blend_is_the_weighted_sum_of_the_tiles():
    """Against the sum over all tiles at once, with the product of the weights of both axes."""
    found = boxes((48, 37), 16, 6)
    generator = torch.Generator().manual_seed(0)
    whole = torch.empty(1, 2, 48, 37)
    tiles = {box: torch.rand(whole[(..., *box.slices())].shape, generator=generator) for row in found for box in row}
    expected = np.zeros((2, 48, 37))
    down, across = weights([row[0].rows for row in found], 1), weights([box.columns for box in found[0]], 1)
    for row, y in zip(found, down, strict=True):
        for box, x in zip(row, across, strict=True):
            expected[(..., *box.slices())] += np.outer(y, x) * tiles[box][0].numpy()
    np.testing.assert_allclose(blend(found, tiles.__getitem__, 1)[0].numpy(), expected, atol=1e-7)
