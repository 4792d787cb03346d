"""Shorten long curves to what a plot with a logarithmic step axis can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Envelope:
    """A curve in buckets of equal width on a logarithmic step axis; early buckets hold a single step.

    All arrays have the same length. `smooth` is the mean over a tenth of a decade around each bucket.
    """

    step: Floats
    low: Floats
    high: Floats
    smooth: Floats

    def __len__(self) -> int:
        return len(self.step)


def envelope(values: ArrayLike, steps: ArrayLike | None = None, buckets: int = 400) -> Envelope:
    """The lowest and highest value and the trend in each of at most `buckets` logarithmic intervals of steps.

    Args:
        values: (steps,); None, NaN and infinities are left out.
        steps: the step of each value, ascending and >= 1; default 1, 2, 3, ...
        buckets: how many points a plot can resolve.
    """
    value, step = _known(values, steps)
    if len(value) == 0:
        return Envelope(value, value, value, value)
    position = np.log(step)
    width = max(position[-1] - position[0], 1e-9) / buckets
    bucket = np.minimum(((position - position[0]) / width).astype(np.int64), buckets - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    counts = np.diff(starts, append=len(value))
    centre = np.add.reduceat(step, starts) / counts
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    return Envelope(centre, low, high, _trend(value, step, centre))


def around(values: ArrayLike, at: Sequence[float], steps: ArrayLike | None = None) -> Floats:
    """The mean of `values` within a twentieth of a decade on either side of each step in `at`; NaN without values."""
    value, step = _known(values, steps)
    if len(value) == 0:
        return np.full(len(at), np.nan)
    return _trend(value, step, np.minimum(np.asarray(at, dtype=np.float64), step[-1]))


def spans_decades(values: ArrayLike, decades: float = 1.0) -> bool:
    """Whether positive `values` span so many decades that a logarithmic axis is better than a linear one."""
    known, _ = _known(values, None)
    return len(known) > 0 and bool(known.min() > 0) and bool(np.log10(known.max() / known.min()) >= decades)


def _known(values: ArrayLike, steps: ArrayLike | None) -> tuple[Floats, Floats]:
    """The finite values and their steps >= 1."""
    value = np.asarray(values, dtype=np.float64).reshape(-1)
    step = np.arange(1, len(value) + 1) if steps is None else np.asarray(steps).reshape(-1)
    assert value.shape == step.shape, (value.shape, step.shape)
    known = np.isfinite(value) & (step >= 1)
    return value[known], step[known].astype(np.float64)


def _trend(value: Floats, step: Floats, at: Floats) -> Floats:
    reach = 10**0.05
    first = np.searchsorted(step, at / reach)
    last = np.maximum(np.searchsorted(step, at * reach, side="right"), first + 1)
    total = np.concatenate([[0.0], np.cumsum(value)])
    mean: Floats = (total[last] - total[first]) / (last - first)
    return mean
