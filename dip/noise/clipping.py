"""The bias of noise that was clipped to [0, 1], and its correction.

An average of noisy white is gray, because no value lies above white: of noise n with standard deviation s, the mean of
clip(x + n, 0, 1) is a function m(x) that increases with x. At x = 1 it is 1 - s / sqrt(2 pi): 0.96 for s = 25 / 255. A
denoiser estimates m(x), so x is its inverse. Foi, "Clipped noisy images: Heteroskedastic modeling and practical denoising",
Signal Processing 2009. The variance of the noise at brightness x is gain * x + offset: `line` is (gain, offset).
"""

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]

POINTS = 4096
"""Points of the table by which m is inverted."""

PHOTONS = 512
"""Points of that table, and observations of each, for noise that depends on the brightness."""

MANY = 1e-3
"""Gain up to which photon counts are Gaussian: a thousand photons at white."""

NEAR = 0.5
"""Distance from 0 or 1, in standard deviations, below which a pixel shows whether the noise was clipped there."""

RATIO = 1.5
"""Factor by which the variance of the noise near 0 or 1 may differ from that of clipped noise. Photon noise that is taken for
noise of one level differs more near 0, where it vanishes."""

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


@functools.lru_cache(4)
def observations(gain: float, offset: float) -> tuple[Array, Array]:
    """Values x from black to 1, (PHOTONS,), and equally likely observations of each, not clipped, (PHOTONS, PHOTONS).

    They are quantiles of a Poisson distribution, of photons with the `gain` > 0, and of the Gaussian noise of reading them,
    combined as a lattice (Korobov); an offset below 0 means that black is -offset / gain. Each increases with x.
    """
    from scipy import special, stats  # slow to import

    black = max(0.0, -offset / gain)
    x = np.linspace(black, 1, PHOTONS)
    count = (x - black) / gain
    first = (np.arange(PHOTONS) + 0.5) / PHOTONS
    second = (first * 19) % 1
    if gain > MANY:
        photons = stats.poisson.ppf(first[:, None], count)
    else:  # the quantiles of large counts are slow, and those of a Gaussian
        photons = np.maximum(count + np.sqrt(count) * special.ndtri(first)[:, None], 0)
    return x, black + gain * photons + max(0.0, offset) ** 0.5 * special.ndtri(second)[:, None]


def curve(gain: float, offset: float) -> tuple[Array, Array, Array]:
    """Values from black to 1, and mean and variance of clipped noise of this line there."""
    if gain:
        x, y = observations(gain, offset)
        return x, y.clip(0, 1).mean(0), y.clip(0, 1).var(0)
    table = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    mean, variance = moments(table, offset**0.5)
    return table.numpy(), mean.numpy(), variance.numpy()


def unclipped(image: Tensor, observed: Tensor, line: tuple[float, float]) -> Tensor:
    """`image` without the bias near 0 and 1, where the noise of `observed` shows that it was clipped.

    Args:
        image: restored from `observed`, (1, C, h, w) in [0, 1].
        observed: of the same shape, with independent noise.
        line: gain and offset of the noise's variance before clipping.
    """
    gain, offset = line
    black, white = max(0.0, offset) ** 0.5, max(0.0, gain + offset) ** 0.5
    if not white > 0:
        return image
    table, mean, variance = curve(gain, offset)
    values = image.detach().double().cpu().numpy()
    corrected = np.interp(values, mean, table)
    residual = observed.detach().double().cpu().numpy() - values
    for near, half in ((corrected < NEAR * black, values < 0.5), (corrected > 1 - NEAR * white, values >= 0.5)):
        if near.sum() >= FEWEST:
            expected = np.interp(corrected[near], table, variance).mean()
            if expected / RATIO < np.square(residual[near]).mean() < expected * RATIO:
                continue
        corrected[half] = values[half]
    return torch.from_numpy(corrected).to(image)
