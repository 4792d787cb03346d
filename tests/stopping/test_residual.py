"""Held-out pixels, the discrepancy principle and exact data, against closed forms."""

import math

import numpy as np
import pytest
import torch

from dip.stopping import Combined, Compare, Consistent, Discrepancy, HeldOut, Stop
from dip.stopping.panel import CombinedRule
from dip.stopping.residual import EVERY, TOLERANCE, Agreement, HeldOutError
from dip.stopping.rule import Rule
from tests.stopping.sequences import ALL, FINE, SHAPE, begin, feed, outputs

TINY = (1, 1, 6, 5)


def test_held_out_error_is_that_of_the_average_at_the_pixels_without_weight() -> None:
    target = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3))
    rule, images = begin(HeldOut(fraction=0.1), target), outputs(150)
    feed(rule, images)
    assert rule.loss_mask is not None
    held = (rule.loss_mask == 0).expand(SHAPE).numpy()
    average = images[0].double().numpy()
    for count, image in enumerate(images, 1):
        average = average + max(0.01, 1 / count) * (image.double().numpy() - average)
    expected = ((average - target.double().numpy())[held] ** 2).mean()
    assert rule.read().watched == pytest.approx(expected, rel=1e-4)


def test_loss_mask_leaves_out_the_fraction_and_keeps_the_scale() -> None:
    rule = begin(HeldOut(fraction=0.1), torch.rand(1, 3, 20, 30))
    assert rule.loss_mask is not None
    assert rule.loss_mask.shape == (1, 1, 20, 30)
    assert int((rule.loss_mask == 0).sum()) == 60
    assert float(rule.loss_mask.mean()) == pytest.approx(1)
    other = begin(HeldOut(fraction=0.1), torch.rand(1, 3, 20, 30), seed=1)
    assert not torch.equal(rule.loss_mask, other.loss_mask)  # type: ignore[arg-type]


def test_pixels_that_were_never_observed_are_not_held_out() -> None:
    known = torch.zeros(1, 1, 24, 20)
    known[..., :10] = 1
    rule = HeldOut(fraction=0.2).start(torch.rand(SHAPE), 0, known)
    assert isinstance(rule, Rule)
    assert rule.loss_mask is not None
    assert int((rule.loss_mask[..., :10] == 0).sum()) == 48
    assert bool((rule.loss_mask[..., 10:] > 0).all())


def test_only_held_out_has_a_loss_mask() -> None:
    masked = {options.name for options in ALL if begin(options).loss_mask is not None}
    assert masked == {"heldout", "combined"}  # combined contains heldout


def test_held_out_finds_the_step_of_least_error() -> None:
    """x_t = clean + a_t structure + b_t noise: the fit's error is a^2 + b^2.

    The noise in the fit is not the target's: the network has not seen the held-out pixels.
    """
    draw = torch.Generator().manual_seed(0)
    shape, sigma = (1, 3, 96, 96), 0.1
    clean = 0.3 + 0.4 * torch.rand(shape, generator=draw)
    structure, taken = torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)
    target = clean + sigma * torch.randn(shape, generator=draw)
    decay, growth = [0.3 * 0.99**t for t in range(1500)], [1e-4 * t for t in range(1500)]
    rule = begin(HeldOut(fraction=0.3, patience=300), target)
    average_decay = average_growth = 0.0
    errors = []
    for t, (a, b) in enumerate(zip(decay, growth, strict=True)):
        weight = max(0.01, 1 / (t + 1))
        average_decay += weight * (a - average_decay)
        average_growth += weight * (b - average_growth)
        errors.append(average_decay**2 + average_growth**2)
        image = clean + a * structure + b * taken
        rule.update(t + 1, image, image, image[..., :1, :1], FINE)
    best = int(np.argmin(errors)) + 1
    assert 200 < best < 1200
    reading = rule.read()
    assert reading.stop
    assert errors[reading.best_step - 1] < 1.1 * errors[best - 1]


def test_discrepancy_stops_where_the_error_is_the_noise() -> None:
    """x_t = clean + b_t noise + a: mean (x_t - y)^2 = (1 - b_t)^2 sigma^2 + a^2 is sigma^2 at a known b."""
    draw = torch.Generator().manual_seed(0)
    shape, sigma = (1, 3, 64, 64), 0.05
    clean = torch.full(shape, 0.5)
    noise = sigma * torch.randn(shape, generator=draw)
    rule = begin(Discrepancy(sigma=sigma), clean + noise)
    a = 0.03
    crossing = 1 - math.sqrt(1 - (a / sigma) ** 2)  # 0.2
    fitted = [t / 2000 for t in range(1, 1001)]
    averages, level = [], 0.0
    for t, b in enumerate(fitted):
        level += max(0.01, 1 / (t + 1)) * (b - level)
        averages.append(level)
        image = clean + b * noise + a
        rule.update(t + 1, image, image, torch.full(SHAPE, float(t + 1)), FINE)
        if t == 200:
            assert not rule.read().stop
    expected = next(t for t, b in enumerate(averages, 1) if b >= crossing)
    reading = rule.read()
    assert reading.stop
    assert abs(reading.best_step - expected) <= 40
    assert torch.equal(rule.image(), torch.full(SHAPE, float(reading.best_step)))


@pytest.mark.parametrize("options", [HeldOut(patience=1000), Combined(patience=1000)], ids=lambda options: options.name)
def test_an_error_below_the_least_possible_one_ends_the_fit_and_the_choice_is_final(options: Stop) -> None:
    target = torch.rand(SHAPE, generator=torch.Generator().manual_seed(4))
    whole = begin(options, target)
    rule = whole.rules["heldout"] if isinstance(whole, CombinedRule) else whole
    assert isinstance(rule, HeldOutError)
    rule.least = 0.07**2
    images = [target + 0.1 / step for step in range(1, 4)]  # errors of the mean: 0.1, 0.075, 0.061
    feed(whole, images[:1])
    assert not whole.read().stop
    feed(whole, images[1:])
    assert whole.read().stop
    assert rule.read().best < rule.least
    before = float(rule.best)
    feed(whole, [target] * 10, first=4)
    assert float(rule.best) == before


def feed_until_end(rule: Rule, distances: list[float]) -> int:
    """Feed images at constant distances from 0; return the step at which the rule ends the fit, or 0."""
    for step, distance in enumerate(distances, 1):
        image = torch.full(TINY, distance)
        rule.update(step, image, image, image, torch.tensor(0.0))
        if rule.read().stop:
            return step
    return 0


def test_consistent_ends_at_the_first_measured_agreement_and_keeps_that_image():
    rule = Consistent(patience=1000).start(torch.zeros(TINY), 0)
    # The mean of the outputs must agree, not an output.
    ended = feed_until_end(rule, [0.1] * 30 + [-0.1] * 30 + [0.0] * 2000)
    assert ended == 61
    assert ended % EVERY == 1
    assert rule.step == 61


def test_agreement_is_that_with_the_projected_average():
    rule = Agreement(torch.zeros(TINY), patience=1000)
    rule.project = lambda image: image.clamp(0.3, 0.5)
    assert feed_until_end(rule, [0.2] * 100) == 0
    assert abs(rule.read().watched - 0.01) < 1e-6
    rule.project = lambda image: image.clamp(0.2 - TOLERANCE / 2, 0.5)
    assert feed_until_end(rule, [0.2] * 100) > 0


def test_consistent_ends_by_patience_where_the_distance_grows():
    rule = Consistent(patience=40).start(torch.zeros(TINY), 0)
    assert feed_until_end(rule, [0.1 + step / 100 for step in range(100)]) == 41
    assert rule.step == 1


def test_outputs_that_are_not_finite_do_not_change_the_average():
    rule = Consistent(patience=1000).start(torch.zeros(TINY), 0)
    feed_until_end(rule, [0.1] * 10)
    broken = torch.full(TINY, torch.nan)
    rule.update(11, broken, broken, broken, torch.tensor(torch.nan))
    assert rule.mean.isfinite().all()
    assert rule.step < 11


@pytest.mark.parametrize("options", [HeldOut(), Combined(), Compare()], ids=lambda options: options.name)
def test_the_largest_measurements_are_never_held_out(options: Stop) -> None:
    """Without the largest Fourier coefficient, that of frequency 0, the mean of the image is undetermined."""
    spectrum = torch.fft.fft2(torch.rand(1, 1, 20, 15, generator=torch.Generator().manual_seed(5)))
    y = torch.cat([spectrum.real, spectrum.imag], 1)
    order = spectrum.abs().flatten().argsort(descending=True)
    held = torch.zeros(300)
    for seed in range(300):
        rule = options.suited(image=False).start(y, seed)
        assert rule is not None
        assert rule.loss_mask is not None
        left_out = (rule.loss_mask == 0).flatten()
        assert int(left_out.sum()) == 6, "a fraction of 0.02 of all 300"
        held += left_out
    assert not held[order[:15]].any()
    assert int((held > 0).sum()) > 270, "some seed draws any of the others"
    assert any(options.start(y, seed).loss_mask.flatten()[order[0]] == 0 for seed in range(300)), "images: no exception"


@pytest.mark.parametrize("pixels", [2, 3, 7])
def test_few_measurements_leave_one_in_the_loss(pixels: int) -> None:
    y = torch.arange(pixels).float().view(1, 1, 1, -1)
    rule = HeldOut(fraction=0.5).suited(image=False).start(y, 0)
    assert rule.loss_mask is not None
    assert int((rule.loss_mask == 0).sum()) == round(0.5 * pixels)
    assert float(rule.loss_mask[..., -1]) > 0
