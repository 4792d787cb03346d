"""A shortened curve keeps the mean and the trend."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dip.report.figures.curves import spans_decades, trend


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=400), st.integers(1, 50))
def test_a_trend_is_short_and_within_the_values(values, points):
    step, value = trend(values, points=points)
    assert 1 <= len(step) <= points
    assert np.all(np.diff(step) > 0)
    assert step[0] == 1
    assert step[-1] == (len(values) if points > 1 else 1)
    assert min(values) * (1 - 1e-6) - 1e-9 <= value.min() <= value.max() <= max(values) * (1 + 1e-6) + 1e-9


def test_each_value_is_the_mean_that_a_slow_loop_finds():
    values = np.random.default_rng(0).random(1000)
    for at, value in zip(*trend(values, points=7), strict=True):
        near = [other for step, other in enumerate(values, 1) if abs(np.log10(step / at)) <= 0.05]
        np.testing.assert_allclose(value, np.mean(near))


def test_the_first_steps_stay_single_and_a_constant_has_a_constant_trend():
    step, value = trend(np.full(10_000, 0.25))
    np.testing.assert_array_equal(step[:10], np.arange(1, 11))
    np.testing.assert_allclose(value, 0.25)
    assert len(step) < 400


def test_the_trend_takes_the_noise_away_and_leaves_a_slope():
    steps = np.arange(1, 10_001)
    step, value = trend(steps**-0.5 * np.exp(np.random.default_rng(0).normal(0, 0.1, 10_000)))
    late = (step > 100) & (step < 9000)
    np.testing.assert_allclose(value[late], step[late] ** -0.5, rtol=0.04)


def test_unknown_values_are_left_out():
    step, value = trend([None, 1.0, np.nan, 3.0, np.inf], steps=[10, 20, 30, 40, 50])
    np.testing.assert_array_equal(step, [20, 40])
    np.testing.assert_array_equal(value, [1, 3])
    assert len(trend([])[0]) == 0
    assert len(trend([np.nan])[0]) == 0


def test_a_logarithmic_axis_is_for_positive_values_that_range_over_a_decade():
    assert spans_decades([0.001, 0.01])
    assert not spans_decades([0.02, 0.1])
    assert not spans_decades([0.0, 0.1])
    assert not spans_decades([np.nan])
