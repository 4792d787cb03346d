"""Properties of every rule on arbitrary outputs, some of them broken: its state, and resuming at any step."""

import copy
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dip.stopping import EMV, WMV, Combined, Compare, Covariance, Discrepancy, HeldOut, Stop
from dip.stopping.rule import Rule
from tests.stopping.sequences import begin

SHAPE = (1, 1, 4, 5)
TARGET = torch.linspace(0, 1, 20).reshape(SHAPE)

STOPS = st.one_of(
    st.builds(WMV, window=st.integers(2, 9), patience=st.integers(1, 12)),
    st.builds(EMV, alpha=st.floats(0.01, 0.99), patience=st.integers(1, 12), start_step=st.integers(1, 9)),
    st.builds(HeldOut, fraction=st.floats(0.05, 0.5), patience=st.integers(1, 12)),
    st.builds(Discrepancy, sigma=st.one_of(st.none(), st.floats(0.001, 1))),
    st.builds(Covariance, patience=st.integers(1, 12)),
    st.builds(Combined, patience=st.integers(1, 12)),
    st.builds(Compare),
)
# The scatter of each output around the target; NaN stands for a broken step.
OUTPUTS = st.lists(st.one_of(st.floats(0, 2), st.just(math.nan)), min_size=1, max_size=40)


def feed(rule: Rule, scatters: list[float], first: int = 1) -> list[bool]:
    """Shows the outputs; whether the fit should end, after each."""
    answers = []
    for step, scatter in enumerate(scatters, first):
        noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(step))
        image = TARGET + scatter * noise  # all NaN where the scatter is
        rule.update(step, image, image, torch.full(SHAPE, float(step)), torch.tensor(scatter))
        answers.append(rule.read().stop)
    return answers


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one.nan_to_num(nan=-1), other.nan_to_num(nan=-1))
    return one == other or (one != one and other != other)


@settings(max_examples=200, deadline=None)
@given(STOPS, OUTPUTS, st.integers(0, 20))
def test_the_state_of_any_rule_is_valid(options: Stop, scatters: list[float], warm_up: int):
    rule = begin(options, TARGET, warm_up=warm_up)
    answers = feed(rule, scatters)
    assert answers == sorted(answers), "a decision to stop is final"
    image, reading = rule.image(), rule.read()
    assert 0 <= reading.best_step <= len(scatters)
    assert rule.step <= len(scatters)
    fine = [step for step, scatter in enumerate(scatters, 1) if math.isfinite(scatter)]
    if len(fine) == len(scatters):
        assert image.min() >= 1
        assert image.max() <= len(scatters)
        if not isinstance(options, Combined):
            assert image.unique().tolist() == [float(rule.step)], "the average at its step"
    if options.name in ("wmv", "emv") and math.isfinite(reading.best):
        assert reading.best_step > warm_up


@settings(max_examples=150, deadline=None)
@given(STOPS, OUTPUTS, st.data())
def test_any_rule_resumes_at_any_step(options: Stop, scatters: list[float], data: st.DataObject):
    cut = data.draw(st.integers(0, len(scatters)))
    whole, first, second = (begin(options, TARGET, warm_up=3) for _ in range(3))
    expected = feed(whole, scatters)
    before = feed(first, scatters[:cut])
    if cut:
        second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert before + feed(second, scatters[cut:], cut + 1) == expected
    assert same(second.state_dict(), whole.state_dict())
    assert same({"image": second.image()}, {"image": whole.image()})
