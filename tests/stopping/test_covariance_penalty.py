"""The covariance penalty: its formula computed a second way, its choice, and where it does not apply."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from dip.noise.finishing import combined
from dip.stopping import Compare, Covariance
from dip.stopping.covariance_penalty import EVERY, CovariancePenalty
from dip.stopping.panel import Panel
from dip.targets.noise_models import Camera
from tests.targets.photos import blurred_noise, shrunk

ANY = torch.tensor(1.0)


def scene() -> tuple[Tensor, Tensor]:
    """A smooth image (1, 3, 96, 96) with some texture, and a photograph of it."""
    x = torch.linspace(0, 1, 96)
    clean = (0.2 + 0.6 * x + 0.1 * torch.sin(40 * x[:, None]) * (x > 0.5)).expand(1, 3, 96, 96)
    return clean, Camera(iso=6400).sample(clean, torch.Generator().manual_seed(1))


def averages(steps: range) -> dict[int, Tensor]:
    """A simulated fit: the image converges first, and the noise is fitted later."""
    clean, noisy = scene()
    return {t: clean + (0.5 - clean) * np.exp(-t / 60) + (noisy - clean) * min(1.0, (t / 900) ** 2) for t in steps}


def show(rule: CovariancePenalty, images: dict[int, Tensor]) -> list[int]:
    """Feed the averages; return the steps after which the rule ends the fit."""
    ended = []
    for step, image in images.items():
        rule.update(step, image, image, image, ANY)
        if rule.read().stop:
            ended.append(step)
    return ended


def plane_removed(patch: np.ndarray) -> np.ndarray:
    """(3, 16, 16) minus its plane, by least squares."""
    rows, columns = np.mgrid[:16, :16]
    basis = np.stack([np.ones(256), rows.ravel(), columns.ravel()], 1)
    flat = patch.reshape(3, 256).T
    return (flat - basis @ np.linalg.lstsq(basis, flat, rcond=None)[0]).T.reshape(3, 16, 16)


def cut(image: Tensor) -> list[np.ndarray]:
    array = image[0].double().numpy()
    return [array[:, y : y + 16, x : x + 16] for y in range(0, 81, 8) for x in range(0, 81, 8)]


def test_the_value_is_that_of_the_formula() -> None:
    _, noisy = scene()
    images = averages(range(1, 131))
    rule = CovariancePenalty(noisy, 200)
    show(rule, images)
    f = images[130]
    y_all, f_all, guide = cut(noisy), cut(f), cut(images[100])
    groups = np.array_split(np.argsort([patch.mean() for patch in guide]), 4)
    flat = [
        index
        for group in groups
        for index in sorted(group, key=lambda i: np.square(plane_removed(guide[i])).mean())[: round(0.1 * len(group))]
    ]
    k, q, power = [], [], []
    for index in flat:
        y, fitted = plane_removed(y_all[index]), plane_removed(f_all[index])
        k.append((y * fitted).sum() / (y * y).sum())
        q.append(((y - fitted) ** 2).sum() / (y * y).sum())
        power.append(np.square(y).mean() * 256 / 253)
    r = np.mean([np.square(y - fitted).mean() for y, fitted in zip(y_all, f_all, strict=True)])
    s2 = min(r / np.mean(q), max(2 * r, np.mean(power) / 3))
    assert sorted(flat) == sorted(rule.flat.tolist())
    assert rule.read().watched == pytest.approx(r + 2 * np.mean(k) * s2, rel=1e-4)


def test_it_ends_200_steps_after_its_minimum_and_keeps_that_average() -> None:
    images = averages(range(1, 901))
    rule = CovariancePenalty(scene()[1], 200)
    ended = show(rule, images)
    assert ended
    assert ended[0] == rule.step + 200
    assert torch.equal(rule.image(), images[rule.step])


def test_strong_noise_is_not_taken_for_texture_that_is_still_being_fitted() -> None:
    """The fit takes in most of the noise within a few hundred steps, as it does with strong correlated noise."""
    clean = scene()[0]
    noisy = clean + blurred_noise(level=0.12, seed=2)
    images = {
        t: clean + (0.5 - clean) * math.exp(-t / 40) + (noisy - clean) * (1 - math.exp(-t / 250)) for t in range(1, 701)
    }
    rule = CovariancePenalty(noisy, 200)
    show(rule, images)
    errors = {step: float((image - clean).square().mean()) for step, image in images.items() if step >= 100}
    assert rule.certain
    assert errors[rule.step] < 1.1 * min(errors.values()) < errors[700] / 5
    assert math.sqrt(rule.variance) == pytest.approx(0.12, rel=0.15)


def smooth() -> tuple[Tensor, Tensor, dict[int, Tensor]]:
    """A smooth image, a photograph of it, and the averages of a fit that slowly takes in the noise."""
    clean = (0.2 + 0.6 * torch.linspace(0, 1, 96)).expand(1, 3, 96, 96)
    noisy = clean + blurred_noise(level=0.015, seed=2)
    images = {
        t: clean + (0.5 - clean) * math.exp(-t / 40) + (noisy - clean) * (1 - math.exp(-t / 400)) for t in range(1, 701)
    }
    return clean, noisy, images


def test_a_resumed_fit_knows_the_noise_that_was_measured_before() -> None:
    _, noisy, images = smooth()
    whole, resumed = CovariancePenalty(noisy, 200), CovariancePenalty(noisy, 200)
    show(whole, {step: image for step, image in images.items() if step <= 300})
    resumed.load_state_dict(whole.state_dict())
    for rule in (whole, resumed):
        show(rule, {step: image for step, image in images.items() if step > 300})
    assert resumed.read() == whole.read()
    assert resumed.step == whole.step < 300


def test_the_noise_of_a_smooth_photograph_is_not_taken_for_texture_while_it_is_overfitted() -> None:
    """The newest noise variance alone falls with the residual: that ends at step 740, with an error 3.8 times as large."""
    clean, noisy, images = smooth()
    rule = CovariancePenalty(noisy, 200)
    show(rule, images)
    errors = {step: float((image - clean).square().mean()) for step, image in images.items() if step >= 100}
    assert not rule.certain
    assert errors[rule.step] < 1.1 * min(errors.values()) < errors[700] / 3
    assert math.sqrt(rule.variance) == pytest.approx(0.015, rel=0.05)


def stripes() -> Tensor:
    """Bands of fine vertical stripes, with some noise, (1, 1, 96, 96)."""
    line = torch.arange(96)
    return 0.5 + 0.2 * torch.sin(1.5 * line) * (line[:, None] % 24 < 12) + blurred_noise(1, 0.02)


@pytest.mark.parametrize("name", ["gravel", "grass", "stripes"])
def test_texture_of_which_most_is_not_fitted_is_not_taken_for_noise(name: str) -> None:
    """A fit that begins with the low frequencies. If it were, the fit would end at step 300 and keep the average of step 100."""
    photograph = stripes() if name == "stripes" else shrunk(name, 96)
    widths = {t: 1.6 * math.exp(-(t - 100) / 200) for t in range(100, 601, EVERY)}
    images = {t: torch.from_numpy(gaussian_filter(photograph.numpy(), (0, 0, w, w))) for t, w in widths.items()}
    rule = CovariancePenalty(photograph, 200)
    ended = show(rule, images)
    assert rule.least.isinf()
    assert rule.step >= 300
    assert ended[0] == rule.step + 200


def test_unknown_pixels_have_no_influence() -> None:
    _, noisy = scene()
    known = torch.ones(1, 1, 96, 96)
    known[..., :10, :10] = 0
    images = averages(range(1, 200))
    readings, levels = [], []
    for fill in (torch.tensor(0.0), (torch.arange(96) % 4 < 2).float()):
        rule = CovariancePenalty(torch.where(known > 0, noisy, fill), 200, known)
        for step, image in images.items():
            rule.update(step, image * known, image, image, ANY)
        readings.append(rule.read())
        levels.append(float(rule.least))
    assert readings[0] == readings[1]
    assert levels[0] == levels[1] < math.inf
    assert np.isfinite(readings[0].watched)


def test_it_does_not_start_without_a_known_square(caplog: pytest.LogCaptureFixture) -> None:
    _, noisy = scene()
    known = (torch.arange(96) % 8 > 0).float().expand(1, 1, 96, 96)
    assert Covariance().start(noisy, 0, known) is None
    assert caplog.messages == [
        "stop=covariance: never stops here, since no square of 16 x 16 pixels is completely known"
    ]
    panel = Compare().start(noisy, 0, known)
    assert isinstance(panel, Panel)
    assert "covariance" not in panel.rules


def test_it_has_no_reading_where_the_observation_is_another_image() -> None:
    _, noisy = scene()
    rule = CovariancePenalty(noisy[..., ::2, ::2], 5)
    for step, image in averages(range(1, 150)).items():
        rule.update(step, image[..., ::2, ::2], image, image, ANY)
    assert not rule.read().stop
    assert rule.step == 149
    blurred = CovariancePenalty(noisy, 5)
    for step, image in averages(range(1, 150)).items():
        blurred.update(step, image * 0.9, image, image, ANY)
    assert not blurred.read().stop
    assert blurred.step == 140, "the average at the newest multiple of 10"


@pytest.mark.parametrize("shape", [(1, 1, 20, 50), (1, 3, 5, 5), (1, 3, 1, 1), (1, 1, 64, 64)])
def test_tiny_gray_and_uniform_images_end(shape: tuple[int, ...]) -> None:
    rule = CovariancePenalty(torch.ones(shape), 20)
    draw = torch.Generator().manual_seed(0)
    converging = {t: 1 + torch.randn(shape, generator=draw) / t for t in range(1, 200)}
    constant = {t: torch.ones(shape) for t in range(200, 1000)}
    assert show(rule, converging | constant)


def test_the_patience_is_limited_within_other_rules() -> None:
    _, noisy = scene()
    panel = Compare(patience=1000).start(noisy, 0)
    assert isinstance(panel, Panel)
    assert panel.rules["covariance"].patience == 200
    assert panel.rules["emv"].patience == 1000
    rule = Covariance(patience=500).start(noisy, 0)
    assert rule is not None
    assert rule.patience == 500


def test_before_the_first_reading_the_newest_average_is_kept():
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rule = CovariancePenalty(target, patience=200)
    for step in range(1, 61):
        average = torch.full_like(target, step / 100)
        rule.update(step, average, average, average, torch.tensor(0.1))
    assert rule.step == 60
    assert torch.equal(rule.image(), average)


def test_the_kept_average_is_combined_with_the_observation_at_the_estimated_level():
    _, noisy = scene()
    images = averages(range(1, 300))
    plain, smooth = CovariancePenalty(noisy, 200), CovariancePenalty(noisy, 200, smoothing=0.7)
    show(plain, images)
    show(smooth, images)
    assert plain.step == smooth.step
    image, weight = combined(plain.image(), noisy, 0.7 * math.sqrt(float(plain.variance)))
    assert torch.equal(smooth.image(), image)
    assert torch.equal(smooth.fitted, weight)
    assert not torch.equal(smooth.image(), plain.image())
    resumed = CovariancePenalty(noisy, 200, smoothing=0.7)
    resumed.load_state_dict(smooth.state_dict())
    assert torch.equal(resumed.image(), smooth.image())


def test_nothing_is_combined_where_the_rule_does_not_apply():
    _, noisy = scene()
    rule = CovariancePenalty(noisy, 50, smoothing=0.7)
    images = averages(range(1, 150))
    for step, image in images.items():
        rule.update(step, image * 0.9, image, image, ANY)
    assert torch.equal(rule.image(), images[rule.step])
    masked = CovariancePenalty(noisy, 200, torch.ones(1, 1, 96, 96), smoothing=0.7)
    show(masked, images)
    assert torch.equal(masked.image(), images[masked.step])


@pytest.mark.parametrize(
    ("height", "width", "first"), [(20, 30, 100), (128, 128, 100), (150, 200, 140), (256, 256, 200), (512, 384, 200)]
)
def test_the_first_reading_comes_later_for_larger_images(height: int, width: int, first: int):
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    rule = CovariancePenalty(image, 200)
    for step in (*range(1, first + 1), first + EVERY):
        assert rule.read().best == math.inf
        rule.update(step, image, image, image / 2, ANY)
        if step >= first:
            break
    assert rule.last_step == first
    assert math.isfinite(rule.read().best) or math.isfinite(rule.read().watched)


def test_the_average_at_step_100_decides_which_patches_are_flat():
    """At any size: the left half is flat at step 100, and the right half later."""
    image = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    left, right = image.clone(), image.clone()
    left[..., :128], right[..., 128:] = 0.5, 0.5
    rule = CovariancePenalty(image, 200)
    for step in range(1, 221):
        average = left if step <= 100 else right
        rule.update(step, average, average, average, ANY)
    columns = rule.flat % 31  # 31 patches in a row, 8 pixels apart
    assert (columns * 8 < 128).float().mean() > 0.7, "those of the groups of brightness that contain flat patches"
