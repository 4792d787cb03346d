"""Shorten long curves to what a plot with a logarithmic step axis can show."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def trend(values: ArrayLike, steps: ArrayLike | None = None, points: int = 400) -> tuple[Floats, Floats]:
    """Steps at about equal distances on a logarithmic axis, at most `points`, and the mean of `values` around each.

    Args:
        values: (steps,); None, NaN and infinities are left out.
        steps: the step of each value, ascending and >= 1; default 1, 2, 3, ...
        points: how many points a plot can resolve.
    """
    value, step = _known(values, steps)
    if len(value) == 0:
        return value, value
    places = np.searchsorted(step, np.geomspace(step[0], step[-1], points))
    at = step[np.unique(np.minimum(places, len(step) - 1))]
    return at, around(value, at, step)


def around(values: ArrayLike, at: ArrayLike, steps: ArrayLike | None = None) -> Floats:
    """The mean of `values` within a twentieth of a decade on either side of each step in `at`; NaN without values."""
    value, step = _known(values, steps)
    places = np.asarray(at, dtype=np.float64)
    if len(value) == 0:
        return np.full(len(places), np.nan)
    places, reach = np.minimum(places, step[-1]), 10**0.05
    first = np.searchsorted(step, places / reach)
    last = np.maximum(np.searchsorted(step, places * reach, side="right"), first + 1)
    total = np.concatenate([[0.0], np.cumsum(value)])
    mean: Floats = (total[last] - total[first]) / (last - first)
    return mean


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
