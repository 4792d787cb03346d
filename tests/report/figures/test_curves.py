"""A shortened curve keeps its extremes, mean and trend."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dip.report.figures.curves import envelope, spans_decades


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=400), st.integers(1, 50))
def test_an_envelope_keeps_the_extremes(values, buckets):
    curve = envelope(values, buckets=buckets)
    assert len(curve) <= buckets
    assert curve.low.min() == min(values)
    assert curve.high.max() == max(values)
    assert np.all(curve.low <= curve.high)
    assert np.all(np.diff(curve.step) > 0)
    assert curve.step[0] >= 1
    assert curve.step[-1] <= len(values)


def test_every_bucket_holds_what_a_slow_loop_puts_there():
    values = np.random.default_rng(0).random(1000)
    curve = envelope(values, buckets=7)
    edges = np.linspace(0, np.log(1000), 8)
    for index in range(7):
        inside = [
            value
            for step, value in enumerate(values, start=1)
            if edges[index] <= np.log(step) and (np.log(step) < edges[index + 1] or index == 6)
        ]
        assert (curve.low[index], curve.high[index]) == (min(inside), max(inside))


def test_the_first_steps_stay_single_and_a_constant_has_a_constant_trend():
    curve = envelope(np.full(10_000, 0.25))
    np.testing.assert_array_equal(curve.step[:10], np.arange(1, 11))
    np.testing.assert_allclose(curve.smooth, 0.25)
    assert len(curve) < 400


def test_the_trend_takes_the_noise_away_and_leaves_a_slope():
    steps = np.arange(1, 10_001)
    curve = envelope(steps**-0.5 * np.exp(np.random.default_rng(0).normal(0, 0.1, 10_000)))
    late = curve.step > 100
    np.testing.assert_allclose(curve.smooth[late], curve.step[late] ** -0.5, rtol=0.04)


def test_unknown_values_are_left_out():
    curve = envelope([None, 1.0, np.nan, 3.0, np.inf], steps=[10, 20, 30, 40, 50])
    np.testing.assert_array_equal(curve.step, [20, 40])
    np.testing.assert_array_equal(curve.low, [1, 3])
    assert len(envelope([])) == 0
    assert len(envelope([np.nan])) == 0


def test_a_logarithmic_axis_is_for_positive_values_that_range_over_a_decade():
    assert spans_decades([0.001, 0.01])
    assert not spans_decades([0.02, 0.1])
    assert not spans_decades([0.0, 0.1])
    assert not spans_decades([np.nan])
