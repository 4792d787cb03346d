"""Noise2Self: Batson and Royer, "Noise2Self: Blind Denoising by Self-Supervision", ICML 2019, arXiv 1901.11365.

The pixels on a grid are replaced by the mean of their neighbours, and a network learns to predict them. The prediction
of a pixel does not depend on its value (J-invariance), so the network cannot learn noise that is independent between
pixels.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dip.methods.training import Stack, Training

GRID = 4
"""Pixels between the pixels that are replaced at a time."""

NEIGHBOURS = ((0.5, 1.0, 0.5), (1.0, 0.0, 1.0), (0.5, 1.0, 0.5))
"""Weights of the mean of the neighbours."""

WIDTH, LAYERS = 64, 5

LR, HALVED = 1e-3, [1000, 1500]


def training(y: Tensor, seed: int, half: torch.dtype | None) -> Training:
    """Train on `y` (1, C, H, W) and predict every pixel. See `dip.methods.method.Learned.training`."""
    net = Stack(y, WIDTH, LAYERS, seed, half)

    def predict(x: Tensor) -> Tensor:
        """The replaced pixels are predicted relative to the mean of their neighbours, which converges faster."""
        change: Tensor = net(x)
        return x + change

    around, every = mean_of_neighbours(y), grids(y)

    def loss(step: int) -> Tensor:
        grid = every[step % len(every)]
        return functional.mse_loss(predict(masked(y, around, grid))[grid], y[grid])

    optimizer = torch.optim.Adam(net.parameters(), LR)
    return Training(net, optimizer, HALVED, loss, lambda: invariant(predict, y))


def invariant(predict: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """The J-invariant function of `predict`: no pixel of the result depends on the same pixel of `y` (1, C, H, W)."""
    around, result = mean_of_neighbours(y), torch.empty_like(y)
    for grid in grids(y):
        result[grid] = predict(masked(y, around, grid))[grid]
    return result


def grids(y: Tensor) -> list[tuple[Any, ...]]:
    """The grids of `y` (1, C, H, W) as indices: each pixel is in one of them."""
    corners = itertools.product(range(min(GRID, y.shape[2])), range(min(GRID, y.shape[3])))
    return [(..., slice(row, None, GRID), slice(column, None, GRID)) for row, column in corners]


def masked(y: Tensor, around: Tensor, grid: tuple[Any, ...]) -> Tensor:
    """`y` with the pixels of `grid` replaced by those of `around`."""
    replaced = y.clone()
    replaced[grid] = around[grid]
    return replaced


def mean_of_neighbours(y: Tensor) -> Tensor:
    """The weighted mean of the up to eight neighbours of each pixel, without the pixel: (1, C, H, W)."""
    channels = y.shape[1]
    kernel = y.new_tensor(NEIGHBOURS).expand(channels, 1, 3, 3)
    total = functional.conv2d(y, kernel, padding=1, groups=channels)
    return total / functional.conv2d(torch.ones_like(y), kernel, padding=1, groups=channels)
