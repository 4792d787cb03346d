"""The report's targets: their statistics, their seeds, and what they leave alone."""

import numpy as np
import pytest
import torch
from dip.targets.report import LEVELS
from scipy import stats

from dip import images
from dip.errors import OptionError
from dip.targets import Clean, Noise, Noisy, Shuffled, permutation
from dip.targets.operators import Identity

GRAY = torch.full((1, 3, 128, 128), 0.5)


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return images.prepare(images.load("astronaut"), 96).pixels


@pytest.mark.parametrize("target", [Clean(), Noisy(), Noise(), Shuffled()])
def test_every_target_observes_the_whole_image_directly(target, photo):
    before = photo.clone()
    seen = target.observe(photo, seed=3)
    assert isinstance(seen.operator, Identity)
    assert seen.size == (96, 96)
    assert seen.known is None
    assert seen.z is None
    assert seen.y.shape == photo.shape
    assert seen.y.dtype == torch.float32
    assert 0 <= seen.y.min() <= seen.y.max() <= 1
    assert torch.equal(photo, before)


def test_clean_is_the_image_and_its_own_reference(photo):
    seen = Clean().observe(photo, seed=0)
    assert torch.equal(seen.y, photo)
    assert torch.equal(seen.reference, photo)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_gaussian_noise_has_the_given_standard_deviation_and_no_mean(sigma):
    seen = Noisy(sigma=sigma).observe(GRAY, seed=1)
    residual = seen.y - GRAY  # 0.5 is at least five sigma away from both ends: nothing is clipped
    assert residual.std().item() == pytest.approx(sigma, rel=0.02)
    assert abs(residual.mean().item()) < 4 * sigma / residual.numel() ** 0.5
    assert stats.kstest(residual.flatten().numpy() / sigma, "norm").pvalue > 1e-3
    assert torch.equal(seen.reference, GRAY)


def test_gaussian_noise_is_independent_between_pixels_and_channels():
    residual = (Noisy(sigma=0.1).observe(GRAY, seed=1).y - GRAY)[0]
    for other in (residual.roll(1, -1), residual.roll(1, -2), residual.roll(1, 0)):
        correlation = np.corrcoef(residual.flatten(), other.flatten())[0, 1]
        assert abs(correlation) < 4 / residual.numel() ** 0.5


def test_noise_is_clipped():
    y = Noisy(sigma=0.5).observe(torch.ones(1, 1, 64, 64), seed=0).y
    assert y.max() == 1
    assert (y == 1).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_poisson_noise_has_variance_value_over_peak():
    for value in (0.2, 0.6):
        y = Noisy(kind="poisson", peak=100.0).observe(torch.full((1, 1, 256, 256), value), seed=2).y
        assert y.mean().item() == pytest.approx(value, rel=0.01)
        assert y.var().item() == pytest.approx(value / 100, rel=0.03)
        assert torch.allclose(y * 100, (y * 100).round(), atol=1e-4)  # whole photons


def test_speckle_grows_with_the_image():
    for value in (0.2, 0.5):
        y = Noisy(kind="speckle", sigma=0.1).observe(torch.full((1, 1, 256, 256), value), seed=2).y
        assert y.std().item() == pytest.approx(0.1 * value, rel=0.02)


def test_salt_and_pepper_hits_the_given_share_half_and_half():
    y = Noisy(kind="salt_and_pepper", amount=0.2).observe(torch.full((1, 3, 256, 256), 0.5), seed=2).y
    assert (y == 0).float().mean().item() == pytest.approx(0.1, rel=0.05)
    assert (y == 1).float().mean().item() == pytest.approx(0.1, rel=0.05)
    assert (y == 0.5).float().mean().item() == pytest.approx(0.8, rel=0.01)


def test_noise_is_uniform_and_forgets_the_image(photo):
    seen = Noise().observe(photo, seed=4)
    assert stats.kstest(seen.y.flatten().numpy(), "uniform").pvalue > 1e-3
    assert seen.y.var().item() == pytest.approx(1 / 12, rel=0.02)
    assert torch.equal(seen.y, Noise().observe(torch.zeros_like(photo), seed=4).y)
    assert torch.equal(seen.reference, seen.y)


def test_shuffled_keeps_every_pixel_with_its_channels(photo):
    y = Shuffled().observe(photo, seed=5).y
    before = photo[0].flatten(1).T.numpy()  # (H W, C)
    after = y[0].flatten(1).T.numpy()
    assert not np.array_equal(before, after)
    assert sorted(map(tuple, before)) == sorted(map(tuple, after))


def test_the_inverse_permutation_gives_the_image_back(photo):
    y = Shuffled().observe(photo, seed=5).y
    order = permutation(96 * 96, seed=5)
    back = torch.empty_like(photo).flatten(2)
    back[:, :, order] = y.flatten(2)
    assert torch.equal(back.view_as(photo), photo)


def test_shuffling_leaves_no_correlation_between_neighbours(photo):
    y = Shuffled().observe(photo, seed=5).y[0, 0].numpy()
    correlation = np.corrcoef(y[:, 1:].ravel(), y[:, :-1].ravel())[0, 1]
    assert abs(correlation) < 4 / 96
    natural = photo[0, 0].numpy()
    assert np.corrcoef(natural[:, 1:].ravel(), natural[:, :-1].ravel())[0, 1] > 0.8


RANDOM = [
    Noisy(),
    Noisy(kind="poisson"),
    Noisy(kind="speckle"),
    Noisy(kind="salt_and_pepper"),
    Noise(),
    Shuffled(),
]


@pytest.mark.parametrize("target", RANDOM, ids=lambda target: f"{target.name}-{getattr(target, 'kind', '')}")
def test_draws_follow_the_seed_and_never_move_the_global_generator(target, photo):
    torch.manual_seed(0)
    np.random.seed(0)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (target.observe(photo, seed).y for seed in (7, 7, 8))
    torch.manual_seed(99)
    elsewhere = target.observe(photo, 7).y
    assert torch.equal(first, again)
    assert torch.equal(first, elsewhere)
    assert not torch.equal(first, other)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)


def test_the_global_generator_stands_where_it_stood(photo):
    before = torch.get_rng_state()
    for target in RANDOM:
        target.observe(photo, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": -1},
        {"kind": "pink"},
        {"peak": 0},
        {"amount": 1.5},
        {"sigma": float("nan")},
        {"sigma": "0.1"},
    ],
)
def test_an_illegal_option_is_named(options):
    with pytest.raises(OptionError, match=f"^target.{next(iter(options))}=.*for example target."):
        Noisy(**options)


def test_scores_of_the_observation_are_its_noise(photo):
    target = Noisy(sigma=0.1)
    seen = target.observe(photo, 0)
    scores = target.scores(seen.y, seen)
    assert scores["psnr"] == pytest.approx(-10 * np.log10(((seen.y - photo) ** 2).mean().item()), abs=1e-3)
    assert scores.keys() == {"psnr", "ssim"}


@pytest.mark.parametrize("kind", LEVELS)
def test_baselines_answer_every_kind_of_noise(kind, photo):
    target = Noisy(kind=kind, sigma=0.2)
    seen = target.observe(photo, 0)
    answers = target.baselines(seen)
    assert answers.keys() == ({"median"} if kind == "salt_and_pepper" else {"nlm", "tv", "wavelet"})
    noisy = target.scores(seen.y, seen)["psnr"]
    assert all(target.scores(answer, seen)["psnr"] > noisy + 3 for answer in answers.values())
    assert Clean().baselines(seen) == {}
