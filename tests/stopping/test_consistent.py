"""The rule for exact data, on sequences whose distance to the data is known."""

from __future__ import annotations

import torch

from dip.stopping import Consistent
from dip.stopping.consistent import EVERY, TOLERANCE, Agreement
from dip.stopping.rule import Rule

SHAPE = (1, 1, 6, 5)


def feed(rule: Rule, distances: list[float]) -> int:
    """Feed images at constant distances from 0; return the step at which the rule ends the fit, or 0."""
    for step, distance in enumerate(distances, 1):
        image = torch.full(SHAPE, distance)
        rule.update(step, image, image, image, torch.tensor(0.0))
        if rule.read().stop:
            return step
    return 0


def test_it_ends_at_the_first_measured_agreement_and_keeps_that_image():
    rule = Consistent(patience=1000).start(torch.zeros(SHAPE), 0)
    ended = feed(rule, [0.1] * 30 + [-0.1] * 30 + [0.0] * 2000)  # the mean of outputs, not an output, must agree
    assert ended == 61
    assert ended % EVERY == 1
    assert rule.step == 61


def test_agreement_is_that_with_the_projected_average():
    rule = Agreement(torch.zeros(SHAPE), patience=1000)
    rule.project = lambda image: image.clamp(0.3, 0.5)
    assert feed(rule, [0.2] * 100) == 0
    assert abs(rule.read().watched - 0.01) < 1e-6
    rule.project = lambda image: image.clamp(0.2 - TOLERANCE / 2, 0.5)
    assert feed(rule, [0.2] * 100) > 0


def test_it_ends_by_patience_where_the_distance_grows():
    rule = Consistent(patience=40).start(torch.zeros(SHAPE), 0)
    assert feed(rule, [0.1 + step / 100 for step in range(100)]) == 41
    assert rule.step == 1


def test_outputs_that_are_not_finite_change_nothing():
    rule = Consistent(patience=1000).start(torch.zeros(SHAPE), 0)
    feed(rule, [0.1] * 10)
    broken = torch.full(SHAPE, torch.nan)
    rule.update(11, broken, broken, broken, torch.tensor(torch.nan))
    assert rule.mean.isfinite().all()
    assert rule.step < 11
