"""Pixel2Pixel: Ma et al., "Pixel2Pixel: A Pixelwise Approach for Zero-Shot Single Image Denoising", IEEE TPAMI 2025.

For each pixel a bank holds the pixels whose surroundings are most similar. Images of which each pixel is drawn from its
bank have about the same content and different noise. A network learns to predict one such image from another.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dip.methods.training import Stack, Training
from dip.seeds import generator

WINDOW, PATCH = 40, 7
"""Sides in pixels of the window that is searched, and of the patches that are compared."""

WIDTH, LAYERS = 64, 5

LR, HALVED = 1e-3, [1500, 2000, 2500]
"""AdamW's learning rate, and the steps after which it is halved."""


def bank_size(sigma: float) -> int:
    """The published number of pixels in a bank: 2, 4 or 8 for noise of 10, 25 or 50 of 255, whichever is nearest."""
    levels = {10: 2, 25: 4, 50: 8}
    nearest = min(levels, key=lambda level: abs(math.log(max(255 * sigma, 1e-3) / level)))
    return levels[nearest]


def training(y: Tensor, count: int, seed: int, half: torch.dtype | None) -> Training:
    """Train on pairs drawn from banks of `count` pixels, and apply the network to `y` (1, C, H, W).

    See `dip.methods.method.Learned.training`.
    """
    net = Stack(y, WIDTH, LAYERS, seed, half, start=nn.init.orthogonal_)
    found = bank(y, count)  # (count, C, H, W)
    draws = generator(seed, "method", device=y.device)

    def loss(step: int) -> Tensor:
        first, second = drawn_pair(found, draws)
        return functional.mse_loss(net(first), second)

    optimizer = torch.optim.AdamW(net.parameters(), LR)
    return Training(net, optimizer, HALVED, loss, lambda: net(y))


def drawn_pair(found: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two images (1, C, H, W), each pixel drawn from its bank `found` (count, C, H, W), and different ones in both."""
    count, channels, height, width = found.shape
    shape = (1, 1, height, width)
    first = torch.randint(count, shape, generator=draws, device=found.device)
    second = (first + torch.randint(1, count, shape, generator=draws, device=found.device)) % count
    drawn = [found.gather(0, index.expand(1, channels, height, width)) for index in (first, second)]
    return drawn[0], drawn[1]


def bank(y: Tensor, count: int) -> Tensor:
    """The `count` pixels of `y` (1, C, H, W) that are most similar to each, itself first: (count, C, H, W).

    Two pixels are as similar as the patches around them: by the sum of the absolute differences. Other than in the
    published method, pixels beyond the border are no candidates, since their noise is not independent.
    """
    _, channels, height, width = y.shape
    count = min(count, min(WINDOW // 2, height) * min(WINDOW // 2, width))  # the candidates of a corner
    border = PATCH // 2
    mode = "reflect" if min(height, width) > border else "replicate"
    wide = functional.pad(y, [border] * 4, mode=mode)[0]  # (C, H + 6, W + 6)
    offsets = [range(max(-WINDOW // 2, 1 - side), min(WINDOW // 2, side)) for side in (height, width)]
    best = y.new_full((count, height, width), math.inf)
    place = torch.zeros(count, height, width, dtype=torch.int64, device=y.device)  # index of the pixel, row by row
    here = torch.arange(height * width, device=y.device).view(1, height, width)
    for dy in offsets[0]:
        rows = range(max(0, -dy), height - max(0, dy))
        distances = y.new_full((len(offsets[1]), height, width), math.inf)
        for number, dx in enumerate(offsets[1]):
            columns = range(max(0, -dx), width - max(0, dx))
            tall, across = len(rows) + 2 * border, len(columns) + 2 * border
            one = wide[:, rows.start : rows.start + tall, columns.start : columns.start + across]
            other = wide[:, rows.start + dy :, columns.start + dx :][:, :tall, :across]
            difference = (one - other).abs().sum(0, keepdim=True)
            inside = (number, slice(rows.start, rows.stop), slice(columns.start, columns.stop))
            distances[inside] = functional.avg_pool2d(difference, PATCH, stride=1)[0]
            if dy == dx == 0:
                distances[number] = -1  # itself, also among equal patches
        moves = torch.arange(offsets[1].start, offsets[1].stop, device=y.device) + dy * width
        places = torch.cat([place, here + moves[:, None, None]])
        best, kept = torch.cat([best, distances]).topk(count, dim=0, largest=False)
        place = places.gather(0, kept)
    flat = y[0].flatten(1)[:, place.flatten()]  # (C, count H W)
    return flat.view(channels, count, height, width).transpose(0, 1).contiguous()
