"""BM3D, block matching and 3D filtering (Dabov et al., IEEE TIP 2007): a baseline, and a step for photographs.

Similar 8 x 8 blocks are stacked, transformed together and shrunk; overlapping estimates are averaged. A first stage
with a hard threshold gives the basic estimate, which guides a second stage with a Wiener filter. Colour as in C-BM3D
(Dabov et al., ICIP 2007): an opponent transform, with the blocks matched in the luminance alone. Parameters are those
of Lebrun's analysis (IPOL 2012), except for the DCT in both stages and groups of a fixed size.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dip.options import log

BLOCK = 8
"""Side of a block in pixels."""

STRIDE = 3
"""Pixels between the reference blocks."""

RADIUS = 16
"""Blocks are compared with those at most this many pixels away in each direction."""

GROUPS = (16, 32)
"""Blocks in a group in the first and in the second stage."""

THRESHOLD = 2.7
"""Of the first stage, in noise levels."""

CHUNK = 1024
"""Groups filtered at a time, approximately: about 150 MB for a colour image."""

COLUMNS = 128
"""Reference blocks side by side in a chunk. Wider chunks have fewer rows, and neighbours share most of their rows."""

LIMIT = 2**20
"""Pixels from which it takes half a minute to a minute on one thread. Baselines of larger images are left out. It takes
2 to 4 s for 256 x 256 pixels."""

CORRELATED = 3.0
"""Level for correlated noise, in standard deviations of the noise. Of 1, 1.5, 2, 2.5, 3 and 4, tried on six photographs
with estimated levels, 3 is the best in the mean: see sweeps/results/photos."""

Shrink = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Filters a chunk: coefficients of the noisy groups and of the guide's -> filtered ones, weights of the groups."""


def bm3d(noisy: np.ndarray[Any, Any], sigma: float | Sequence[float]) -> np.ndarray[Any, Any]:
    """Denoises an image.

    Args:
        noisy: (H, W, C), values in about [0, 1]. Other than three channels are taken as they are, without a transform.
        sigma: standard deviation of the white Gaussian noise in each channel, > 0; or, where the noise of the channels
            is correlated, one for each channel after the transform.

    Returns:
        (H, W, C) float32, not clipped.
    """
    height, width, channels = noisy.shape
    # Every pixel lies in a reference block, and a tiny image has enough blocks for a group.
    down, across = (BLOCK + math.ceil((max(side, 16) - BLOCK) / STRIDE) * STRIDE - side for side in (height, width))
    wide = np.pad(noisy, ((0, down), (0, across), (0, 0)), mode="symmetric").astype(np.float32)
    colours = opponent(channels)
    image = torch.einsum("dc,hwc->dhw", colours, torch.from_numpy(wide))  # (C, H', W')
    level = torch.as_tensor(sigma, dtype=torch.float32).expand(channels).view(-1, 1, 1, 1)  # of (C, n, size, 64)

    def threshold(group: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        kept = group.abs() > THRESHOLD * level
        kept[..., 0, 0] = True  # the mean of the group
        return group * kept, 1 / kept.sum((-1, -2))

    def wiener(group: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        gain = guide.square() / (guide.square() + level.square())
        gain[..., 0, 0] = 1
        return group * gain, 1 / gain.square().sum((-1, -2))

    basic = _stage(image, image, GROUPS[0], threshold)
    final = _stage(image, basic, GROUPS[1], wiener)
    found: np.ndarray[Any, Any] = torch.einsum("dc,dhw->hwc", colours, final)[:height, :width].numpy()
    return found


def denoised(image: Tensor, sigma: float | Sequence[float]) -> Tensor:
    """`bm3d` of `image` (1, C, H, W), clipped to [0, 1] before and after, with the same type and device."""
    array = image[0].permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()  # (H, W, C)
    if (pixels := image[0, 0].numel()) > LIMIT:
        mega = pixels / 1e6
        log.info("BM3D of %.1f megapixels: %.0f to %.0f minutes on one thread", mega, mega / 2, mega)
    return torch.from_numpy(bm3d(array, sigma).clip(0, 1)).permute(2, 0, 1)[None].contiguous().to(image)


def opponent(channels: int) -> Tensor:
    """The orthonormal colour transform, (C, C): luminance, red - blue, green against both; else the identity."""
    if channels != 3:
        return torch.eye(channels)
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    return functional.normalize(rows)


def dct(size: int) -> Tensor:
    """The orthonormal DCT-II, (size, size): row k is the k-th cosine."""
    k, n = torch.arange(size)[:, None], torch.arange(size)[None, :]
    rows = torch.cos(math.pi * (2 * n + 1) * k / (2 * size))
    return functional.normalize(rows)


def haar(size: int) -> Tensor:
    """The orthonormal Haar transform, (size, size), for a power of two."""
    rows = torch.ones(1, 1)
    while len(rows) < size:
        coarse = torch.kron(rows, torch.tensor([[1.0, 1.0]]))
        fine = torch.kron(torch.eye(len(rows)), torch.tensor([[1.0, -1.0]]))
        rows = torch.cat([coarse, fine]) / math.sqrt(2)
    return rows


def _stage(noisy: Tensor, guide: Tensor, size: int, shrink: Shrink) -> Tensor:
    """One stage over all groups: noisy and guide (C, H, W) -> the estimate (C, H, W)."""
    channels, height, width = noisy.shape
    plane = torch.kron(dct(BLOCK), dct(BLOCK))  # (64, 64), of a flattened block
    stack = haar(size)
    window = torch.kaiser_window(BLOCK, periodic=False, beta=2.0)
    window = (window[:, None] * window).flatten()  # (64,), against visible block borders
    inside = (torch.arange(BLOCK)[:, None] * width + torch.arange(BLOCK)).flatten()  # (64,)
    total, weights = noisy.new_zeros(channels, height * width), noisy.new_zeros(channels, height * width)

    def groups(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        blocks = image.unfold(1, BLOCK, 1).unfold(2, BLOCK, 1)[:, y, x].flatten(-2)  # (C, n, size, 64)
        return stack @ (blocks @ plane.T)

    for y, x in _matches(guide.mean(0) if channels not in (1, 3) else guide[0], size):  # (n, size) each
        noisy_groups = groups(noisy, y, x)
        filtered, weight = shrink(noisy_groups, noisy_groups if guide is noisy else groups(guide, y, x))
        blocks = stack.T @ filtered @ plane  # (C, n, size, 64)
        share = weight[..., None, None] * window  # (C, n, 1, 64)
        position = ((y * width + x)[..., None] + inside).flatten()
        for channel in range(channels):
            total[channel].index_add_(0, position, (blocks[channel] * share[channel]).flatten())
            weights[channel].index_add_(0, position, share[channel].expand_as(blocks[channel]).flatten())
    return (total / weights).view_as(noisy)


def _matches(plane: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The blocks most similar to each reference block of `plane` (H, W), in chunks: their y and x, (n, size) int64."""
    height, width = plane.shape
    side = 2 * RADIUS + 1
    around = functional.pad(plane, [RADIUS] * 4, value=math.inf)  # blocks that leave the image are infinitely different
    columns = (width - BLOCK) // STRIDE + 1
    rows = (height - BLOCK) // STRIDE + 1
    step = max(1, CHUNK // min(columns, COLUMNS))
    for first, start in itertools.product(range(0, rows, step), range(0, columns, COLUMNS)):
        count, beside = min(step, rows - first), min(COLUMNS, columns - start)
        top, tall = first * STRIDE, (count - 1) * STRIDE + BLOCK
        left, wide = start * STRIDE, width if columns <= COLUMNS else (beside - 1) * STRIDE + BLOCK
        here = plane[top : top + tall, left : left + wide]
        distances = []
        for dy in range(side):
            row = around[top + dy : top + dy + tall, left : left + wide + 2 * RADIUS]
            moved = row.unfold(1, here.shape[1], 1).transpose(0, 1)  # (side, tall, wide)
            distances.append(functional.avg_pool2d((moved - here).square()[None], BLOCK, STRIDE)[0])
        distance = torch.cat(distances).flatten(1)  # (side^2, n)
        distance[side**2 // 2] = -1  # the reference block itself, also among equal blocks, so that no pixel is left out
        nearest = distance.T.topk(size, largest=False, sorted=True).indices  # (n, size)
        reference = torch.arange(count * beside)
        y = top + (reference // beside * STRIDE)[:, None] + nearest // side - RADIUS
        x = left + (reference % beside * STRIDE)[:, None] + nearest % side - RADIUS
        yield y, x
