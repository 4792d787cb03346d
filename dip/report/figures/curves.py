"""Long curves made short: what a plot with a logarithmic step axis can show of 10,000 values, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Envelope:
    """A curve in buckets that are equally wide on a logarithmic step axis.

    All five arrays have the same length. Early buckets hold a single step, so nothing is lost there. `smooth` is
    the mean over one tenth of a decade around each bucket: the trend without the step-to-step noise.
    """

    step: Floats
    low: Floats
    mean: Floats
    high: Floats
    smooth: Floats

    def __len__(self) -> int:
        return len(self.step)


def envelope(values: ArrayLike, steps: ArrayLike | None = None, buckets: int = 400) -> Envelope:
    """The lowest, mean and highest value of each of at most `buckets` logarithmic stretches of steps.

    Args:
        values: one number per step; None, NaN and infinities are left out.
        steps: the step of each value, rising and >= 1; default 1, 2, 3, ...
        buckets: how many points a plot can resolve.
    """
    value = np.asarray(values, dtype=np.float64).reshape(-1)
    step = (
        np.arange(1, len(value) + 1.0) if steps is None else np.asarray(steps, dtype=np.float64).reshape(-1)
    )
    assert value.shape == step.shape, (value.shape, step.shape)
    known = np.isfinite(value) & (step >= 1)
    value, step = value[known], step[known]
    if len(value) == 0:
        empty = np.empty(0)
        return Envelope(empty, empty, empty, empty, empty)
    position = np.log(step)
    width = max(position[-1] - position[0], 1e-9) / buckets
    bucket = np.minimum(((position - position[0]) / width).astype(np.int64), buckets - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    counts = np.diff(starts, append=len(value))
    centre = np.add.reduceat(step, starts) / counts
    return Envelope(
        step=centre,
        low=np.minimum.reduceat(value, starts),
        mean=np.add.reduceat(value, starts) / counts,
        high=np.maximum.reduceat(value, starts),
        smooth=_trend(value, step, centre),
    )


def _trend(value: Floats, step: Floats, at: Floats) -> Floats:
    """The mean of `value` within a twentieth of a decade on either side of each step in `at`."""
    reach = 10**0.05
    first = np.searchsorted(step, at / reach)
    last = np.maximum(np.searchsorted(step, at * reach, side="right"), first + 1)
    total = np.concatenate([[0.0], np.cumsum(value)])
    mean: Floats = (total[last] - total[first]) / (last - first)
    return mean


def around(values: ArrayLike, at: Sequence[float], steps: ArrayLike | None = None) -> Floats:
    """The mean of `values` within a twentieth of a decade on either side of each step in `at`; NaN without values.

    `steps` are the step of each value, rising; default 1, 2, 3, ... The unknown (None, NaN) is left out.
    """
    value = np.asarray(values, dtype=np.float64).reshape(-1)
    step = (
        np.arange(1, len(value) + 1.0) if steps is None else np.asarray(steps, dtype=np.float64).reshape(-1)
    )
    known = np.isfinite(value)
    if not known.any():
        return np.full(len(at), np.nan)
    value, step = value[known], step[known]
    return _trend(value, step, np.minimum(np.asarray(at, dtype=np.float64), step[-1]))


def spans_decades(values: ArrayLike, decades: float = 1.0) -> bool:
    """Whether positive `values` range so widely that a logarithmic axis reads better than a linear one."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return len(known) > 0 and bool(known.min() > 0) and bool(np.log10(known.max() / known.min()) >= decades)
