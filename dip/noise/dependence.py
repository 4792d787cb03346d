"""How the variance of white noise depends on brightness: along a line where photons are counted (microscopes, raw data).

The variance of a sensor's noise at brightness x is gain * x + offset, from photons and from reading them (Foi et al.,
"Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP 2008). The variance of noise
of one level that was clipped at 0 and 1 depends on brightness too, so the line has to explain the image clearly better.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from dip.noise import flat_patches as fp
from dip.noise.clipping import Array, curve

Line = tuple[float, float]
"""Gain > 0 and offset of the variance, for values in [0, 1]. If black is brighter than 0, the offset is negative."""

BETTER = 0.25
"""Squared error of the line, relative to that of one level, below which it is taken. With 0.5, twelve of 180 crops of samples
with Gaussian noise have a line, and 109 of 180 with photon noise; see sweeps/results/photos."""

RANGE = 1.5
"""Quotient of the largest and the smallest variance on the line from which it is taken: below, one level is good enough."""

CLIPPED = 0.02
"""Share of values at 1 above which a group of brightness is left out if FEWEST remain: clipping has reduced its variance."""

FEWEST = 3
"""Groups of brightness without which there is no line."""

ROUNDS = 3
"""Repetitions of the weighted least squares; the weights are those of the line before."""

DARKEST = 0.01
"""Share of an image that may be darker than black, the brightness at which the line is 0."""

LEVELS = np.geomspace(0.002, 0.6, 100)
"""Levels of clipped noise that are compared with the line."""


def line(image: Tensor) -> Line | None:
    """The line of an image (1, C, h, w) in [0, 1] with white noise; None if one level describes its noise as well.

    Where there is one for photon noise, its gain is mostly 0.9 to 1.3 times the true one. See sweeps/results/photos.
    """
    if min(image.shape[-2:]) < fp.SIDE:
        return None
    image = fp.blocks(image)
    mean, variance = variances(image)
    if len(mean) < FEWEST:
        return None
    darkest = float(np.quantile(fp.smoothed(image).numpy(force=True), DARKEST))
    gain, offset = _fitted(mean, variance)
    if gain > 0 and -offset / gain > darkest:
        gain = float(np.average(variance / (mean - darkest), weights=np.square((mean - darkest) / variance)))
        offset = -gain * darkest
    found = gain * mean + offset
    if gain <= 0 or found.min() <= 0 or found.max() < RANGE * found.min():
        return None
    better = _error(found, variance) < BETTER * min(_error(np.interp(mean, *one), variance) for one in _clipped())
    return (gain, offset) if better else None


def variances(image: Tensor) -> tuple[Array, Array]:
    """Mean and noise variance of groups of brightness, (n,) each: of the flattest patches in each group, by channel."""
    patch, guide = (fp.patches(x).flatten(0, 1)[:, None] for x in (image, fp.smoothed(image)))
    details = fp.without_plane(patch)
    clipped, rows = (patch >= 1).float().mean((1, 2, 3)), []
    for group in fp.by_brightness(patch):
        flat = group[fp.flattest(guide[group], details[group], fewest=2)]
        # Second differences in both directions remove the rest of the texture. Of correlated noise they remove a part, too.
        x = patch[flat].diff(n=2, dim=-1).diff(n=2, dim=-2)
        white, total = x.square().mean() / 36, fp.energy(details[flat]).mean() * fp.UNBIASED
        rows.append([float(x) for x in (patch[flat].mean(), torch.minimum(white, total), clipped[flat].mean())])
    table = np.array([row for row in rows if row[1] > fp.QUANTISATION]).reshape(-1, 3)
    inside = table[table[:, 2] <= CLIPPED]
    mean, variance, _ = (inside if len(inside) >= FEWEST else table).T
    return mean, variance


def described(line: Line) -> str:
    """The line in words, for the log."""
    return f"the variance of the noise is {line[0]:.2g} x brightness {line[1]:+.2g}, as where photons are counted"


def _fitted(mean: Array, variance: Array) -> Line:
    """The line through variances whose errors are proportional to them."""
    weight = 1 / variance
    for _ in range(ROUNDS):
        design = np.stack([mean, np.ones_like(mean)], 1) * weight[:, None]
        gain, offset = np.linalg.lstsq(design, variance * weight, rcond=None)[0]
        weight = 1 / np.maximum(gain * mean + offset, variance / 10)
    return float(gain), float(offset)


@functools.cache
def _clipped() -> list[tuple[Array, Array]]:
    """Mean and variance of noise of each of `LEVELS` that was clipped to [0, 1], by ascending mean."""
    return [curve(0.0, level**2)[1:] for level in LEVELS]


def _error(model: Array, variance: Array) -> float:
    return float(np.square(np.log(model / variance)).sum())
