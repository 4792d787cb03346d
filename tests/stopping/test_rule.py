"""Which step a rule chooses, given the watched values, and which image it keeps."""

from __future__ import annotations

import math

import pytest
import torch
from sequences import SHAPE, begin, feed
from torch import Tensor

from dip.stopping import WMV
from dip.stopping.rule import Rule


class Scripted(Rule):
    """Watches given values instead of images."""

    def __init__(self, values: list[float], patience: int, lag: int = 0) -> None:
        super().__init__(patience, lag)
        self.values = values

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor | None:
        value = self.values[self.seen]
        return None if math.isnan(value) else torch.tensor(value)


def scripted(values: list[float], patience: int, lag: int = 0) -> Scripted:
    rule = Scripted(values, patience, lag)
    feed(rule, [torch.zeros(SHAPE)] * len(values))
    return rule


def test_the_minimum_ends_the_fit_after_patience_and_its_average_is_kept() -> None:
    rule = scripted([math.nan, 5, 4, 3, 6, 6], patience=3)
    assert rule.read() == (6, 3, 4, False)
    rule = scripted([math.nan, 5, 4, 3, 6, 6, 6], patience=3)
    assert rule.read() == (6, 3, 4, True)
    assert rule.step == 4
    assert torch.equal(rule.image(), torch.full(SHAPE, 4.0))


def test_the_choice_is_final_when_patience_is_over() -> None:
    """Independent of when it is read: a record every 10 or every 1000 steps gives the same image."""
    rule = scripted([5, 4, 3, 6, 6, 6, 1, 0], patience=3)
    assert rule.read() == (0, 3, 3, True)
    assert torch.equal(rule.image(), torch.full(SHAPE, 3.0))


def test_a_lagging_average_is_kept_lag_steps_later() -> None:
    assert torch.equal(scripted([5, 3, 6], 9, lag=2).image(), torch.full(SHAPE, 3.0))
    rule = scripted([5, 3, 6, 6, 6, 6, 6], 9, lag=2)
    assert rule.read().best_step == 2
    assert rule.step == 4
    assert torch.equal(rule.image(), torch.full(SHAPE, 4.0))


def test_without_a_value_the_newest_average_is_kept() -> None:
    rule = scripted([math.nan] * 5, patience=1)
    assert math.isnan(rule.read().watched)
    assert not rule.read().stop
    assert rule.step == 5
    assert torch.equal(rule.image(), torch.full(SHAPE, 5.0))


def test_before_the_first_output() -> None:
    rule = begin(WMV())
    assert rule.read()[1:] == (math.inf, 0, False)
    assert rule.step == 0


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_are_those_that_take_returns_to_the_bit(memory_format: torch.memory_format):
    from dip.stopping.rule import sample, values_at

    image = torch.rand(1, 3, 9, 8).to(memory_format=memory_format)[..., :7]
    positions = sample(image.numel(), seed=0, limit=50)
    assert torch.equal(values_at(image, positions), image.take(positions))
