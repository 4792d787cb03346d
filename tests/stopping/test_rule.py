"""Which step a rule chooses, given the watched values, and which image it keeps."""

import math

import pytest
import torch
from torch import Tensor

from dip.noise.lost_structure import MOST, share_of_texture
from dip.stopping import WMV, Combined, Covariance, HeldOut, Stop
from dip.stopping.rule import Rule
from tests.stopping.sequences import FINE, SHAPE, begin, feed


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


@pytest.mark.parametrize(("share", "distance", "ends"), [(0.0, 0.0051, False), (0.0, 0.0049, True), (0.6, 0.012, True)])
@pytest.mark.parametrize("options", [WMV(), HeldOut(), Combined()], ids=lambda options: options.name)
def test_a_fit_whose_output_converges_to_the_photograph_ends(
    options: Stop, share: float, distance: float, ends: bool
) -> None:
    photograph = torch.full(SHAPE, 0.5)
    rule = begin(options, photograph)
    rule.photograph, rule.share = photograph, share
    output = photograph + torch.where(torch.rand(SHAPE) < 0.5, distance, -distance)
    for step in (1, 2):
        rule.update(step, output, output, output, FINE)
    assert rule.read().stop == ends


def test_covariance_counts_the_weight_of_the_photograph_where_texture_was_removed() -> None:
    draw = torch.Generator().manual_seed(0)
    photograph = 0.5 + 0.2 * torch.rand((1, 1, 48, 48), generator=draw)
    average = photograph + 0.011 * torch.randn(photograph.shape, generator=draw)
    assert share_of_texture(photograph, average) == MOST
    rule = begin(Covariance(), photograph)
    rule.photograph = photograph
    rule.update(1, average, average, average, FINE)
    assert rule.read().stop
    rule.smoothing = 0.0  # the average is returned without the photograph
    assert not rule.read().stop
