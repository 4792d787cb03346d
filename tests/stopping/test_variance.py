"""WMV and EMV against direct computations, and on sequences with a known best step."""

import math

import numpy as np
import pytest
import torch

from dip.stopping import EMV, WMV, Combined, Stop
from tests.stopping.sequences import FINE, SHAPE, begin, feed, outputs


@pytest.mark.parametrize("window", [2, 3, 10])
def test_windowed_variance_is_the_variance_of_the_last_outputs(window: int) -> None:
    rule, images = begin(WMV(window=window)), outputs(60)
    for step, image in enumerate(images, 1):
        rule.update(step, image, image, image, FINE)
        watched = rule.read().watched
        if step < window:
            assert math.isnan(watched)
        else:
            last = np.stack([x.double().numpy() for x in images[step - window : step]])
            assert watched == pytest.approx(last.var(axis=0).mean(), rel=1e-5)


def test_windowed_variance_keeps_its_precision() -> None:
    """A scatter of 1e-4 around 1 after an outlier: plain float32 sums of squares would be rounding errors."""
    draw = torch.Generator().manual_seed(0)
    images = [1 + 1e-4 * torch.randn(SHAPE, generator=draw) for _ in range(330)]
    images[100] = images[100] + 0.5
    rule = begin(WMV(window=30))
    feed(rule, images)
    last = np.stack([x.double().numpy() for x in images[-30:]])
    assert rule.read().watched == pytest.approx(last.var(axis=0).mean(), rel=1e-3)


def test_exponential_variance_is_the_recursion() -> None:
    rule, images, alpha = begin(EMV(alpha=0.2, start_step=4)), outputs(40), 0.2
    mean, variance = images[0].double().numpy(), 0.0
    for step, image in enumerate(images, 1):
        rule.update(step, image, image, image, FINE)
        x = image.double().numpy()
        d = x - mean
        mean = mean + alpha * d
        variance = (1 - alpha) * (variance + alpha * float((d**2).mean()))
        if step < 4:
            assert math.isnan(rule.read().watched)
        else:
            assert rule.read().watched == pytest.approx(variance, rel=1e-5)


def test_variance_rules_find_the_minimum() -> None:
    """Scatter falls and rises linearly around t = 400: a window centred there has the least variance."""
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(SHAPE, generator=draw)
    images = [clean + (0.01 + 0.0005 * abs(t - 400)) * torch.randn(SHAPE, generator=draw) for t in range(1, 1001)]
    windowed, exponential = begin(WMV(window=100, patience=300)), begin(EMV(alpha=0.1, patience=300))
    feed(windowed, images)
    feed(exponential, images)
    assert windowed.read().stop
    assert abs(windowed.read().best_step - 450) <= 5
    # The recursion's weights 0.9^k have a mean age of 9 steps.
    assert exponential.read().stop
    assert 400 <= exponential.read().best_step <= 415


def test_windowed_variance_ignores_the_flat_start() -> None:
    """Outputs that begin flat and drift have the smallest variance but are the worst images."""
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(SHAPE, generator=draw)
    images = []
    for t in range(600):
        scatter = 0.02 * (1 - math.exp(-((t / 30) ** 2))) * (1 + abs(t - 350) / 350)
        images.append(0.5 + (clean - 0.5) * t / (t + 100) + scatter * torch.randn(SHAPE, generator=draw))
    variances = [torch.stack(images[t - 20 : t]).var(0, correction=0).mean() for t in range(20, 601)]
    assert int(torch.stack(variances).argmin()) < 10
    rule = begin(WMV(window=20, patience=400))
    feed(rule, images)
    assert abs(rule.read().best_step - 360) < 40


@pytest.mark.parametrize(
    ("options", "mean_age"),
    [(WMV(window=20, patience=400), 10), (WMV(window=200, patience=400), 100), (EMV(patience=400), 9),
     (EMV(alpha=0.03, patience=400), 33)],
    ids=["wmv", "wide wmv", "emv", "slow emv"],
)  # fmt: skip
def test_no_variance_counts_while_the_perturbation_grows(options: Stop, mean_age: int) -> None:
    """The scatter grows with the perturbation, so it is smallest at the start whatever the image is."""
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(SHAPE, generator=draw)
    images = [
        clean + min(t / 200, 1) ** 4 * (0.01 + 0.0001 * abs(t - 500)) * torch.randn(SHAPE, generator=draw)
        for t in range(1, 1001)
    ]
    without, rule = begin(options), begin(options, warm_up=200)
    feed(without, images)
    feed(rule, images)
    assert without.read().best_step < 300
    assert abs(rule.read().best_step - 500 - mean_age) <= 25


def test_combined_passes_the_warm_up_to_its_rules() -> None:
    images = [torch.rand(SHAPE) for _ in range(300)]
    rule = begin(Combined(patience=1000), images[0], warm_up=250)
    feed(rule, images)
    assert rule.state_dict()["rules"]["emv"]["best_step"] > 250
