"""The bias of white noise that was clipped to [0, 1], and its correction.

An average of noisy white is gray, because no value lies above white: of noise n with standard deviation s, the mean of
clip(x + n, 0, 1) is a function m(x) that increases with x. At x = 1 it is 1 - s / sqrt(2 pi): 0.96 for s = 25 / 255. A
denoiser estimates m(x), so x is its inverse. Foi, "Clipped noisy images: Heteroskedastic modeling and practical denoising",
Signal Processing 2009.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]

POINTS = 4096
"""Points of the table by which m is inverted."""

NEAR = 0.5
"""Distance from 0 or 1, in standard deviations, below which a pixel shows whether the noise was clipped there."""

RATIO = 1.5
"""Factor by which the variance of the noise near 0 or 1 may differ from that of clipped noise. Photon noise differs more near
0, where it vanishes."""

FEWEST = 16
"""Values near 0 or 1 below which nothing is corrected there."""


def moments(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of clip(x + n, 0, 1), for values `x` in [0, 1] and noise n of standard deviation `sigma` > 0."""
    x = x.double()
    low, high = -x / sigma, (1 - x) / sigma
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    density = torch.stack([low, high]).square().mul(-0.5).exp() / (2 * torch.pi) ** 0.5
    inside = 1 - below - above
    mean = x * inside + sigma * (density[0] - density[1]) + above
    second = (x**2 + sigma**2) * inside + 2 * x * sigma * (density[0] - density[1])
    second = second + sigma**2 * (low * density[0] - high * density[1]) + above
    return mean, (second - mean.square()).clamp(min=0)


def curve(sigma: float) -> tuple[Array, Array, Array]:
    """`POINTS` values from 0 to 1, and the `moments` of noise of standard deviation `sigma` there."""
    table = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    mean, variance = moments(table, sigma)
    return table.numpy(), mean.numpy(), variance.numpy()


def unclipped(image: Tensor, observed: Tensor, sigma: float) -> Tensor:
    """`image` without the bias near 0 and 1, where the noise of `observed` shows that it was clipped.

    Args:
        image: restored from `observed`, (1, C, h, w) in [0, 1].
        observed: of the same shape, with white Gaussian noise.
        sigma: the noise's standard deviation before clipping.
    """
    if not sigma > 0:
        return image
    table, mean, variance = curve(sigma)
    values = image.detach().double().cpu().numpy()
    corrected = np.interp(values, mean, table)
    residual = observed.detach().double().cpu().numpy() - values
    for near, half in ((corrected < NEAR * sigma, values < 0.5), (corrected > 1 - NEAR * sigma, values >= 0.5)):
        if near.sum() >= FEWEST:
            expected = np.interp(corrected[near], table, variance).mean()
            if expected / RATIO < np.square(residual[near]).mean() < expected * RATIO:
                continue
        corrected[half] = values[half]
    return torch.from_numpy(corrected).to(image)
