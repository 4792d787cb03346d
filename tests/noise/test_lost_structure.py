"""The weight of the photograph and that of a second estimate, against known values."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dip.noise.flat_patches import correlation, patches
from dip.noise.lost_structure import (
    ACCEPTED,
    CERTAIN,
    CORRELATION,
    MOST,
    MOST_WHITE,
    NOISE,
    SLOPE,
    UNEVEN,
    UNLIKE,
    VARIATION,
    VISIBLE,
    agreement,
    coherence,
    local_share,
    share_if_white,
    share_of_photograph,
)


def white(seed: int, channels: int = 3, side: int = 96) -> Tensor:
    """White noise with standard deviation 0.02, (1, channels, side, side)."""
    return 0.02 * torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(seed))


def camera(seed: int, channels: int = 3) -> Tensor:
    """Noise with standard deviation 0.02 whose neighbours have a correlation of 2/3: a mean of 3 x 3 white values."""
    return 3 * functional.avg_pool2d(white(seed, channels, 98), 3, stride=1)


def slope(channels: int = 3) -> Tensor:
    """A smooth image, (1, channels, 96, 96)."""
    return torch.linspace(0.3, 0.7, 96).expand(1, channels, 96, 96)


def texture(channels: int = 3) -> Tensor:
    """Stripes with a period of 8 pixels everywhere, mean square 0.1^2. Their neighbours have a correlation of 0.85."""
    return 0.1 * math.sqrt(2) * (math.pi / 4 * (torch.arange(96) + 0.5)).cos().expand(1, channels, 96, 96)


def checks() -> Tensor:
    """Texture without a direction: white values with standard deviation 1, whose neighbours are not correlated."""
    return 50 * white(10)


def test_the_correlation_of_neighbours_is_that_of_the_definition() -> None:
    assert correlation(patches(camera(0)), 1) == pytest.approx(2 / 3, abs=0.02)
    assert correlation(patches(camera(0)), 3) == pytest.approx(0, abs=0.03)
    assert correlation(patches(white(0)), 1) == pytest.approx(0, abs=0.02)
    stripes = torch.tensor([1.0, -1.0]).repeat(48).expand(1, 1, 96, 96)  # -1 across, 1 down
    assert correlation(patches(stripes), 1) == pytest.approx(0, abs=1e-6)
    assert correlation(patches(stripes), 2) == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_residual_of_camera_noise_leaves_the_fit_alone(channels: int) -> None:
    assert share_of_photograph(slope(channels) + camera(1, channels), slope(channels)) == 0
    # also where texture is everywhere, if the fit has kept it
    fitted = 0.5 + 0.2 * texture(channels)
    assert share_of_photograph(fitted + camera(2, channels), fitted) == 0


def test_weakly_correlated_noise_on_a_smooth_image_leaves_the_fit_alone() -> None:
    assert share_of_photograph(slope() + white(3), slope()) == 0


def test_lost_texture_everywhere_gives_the_photograph_its_largest_weight() -> None:
    for ripple, noise in ((0.012 * checks(), camera(4)), (0.004 * checks(), 0.3 * camera(4))):
        most = max(MOST, 1 - VISIBLE / float((ripple + noise).square().mean().sqrt()))
        assert share_of_photograph(0.5 + texture() + ripple + noise, 0.5 + texture()) == pytest.approx(most, abs=0.01)


def test_no_more_than_a_visible_difference_is_removed_where_much_texture_is_lost() -> None:
    ripple, fitted = 0.08 * checks(), 0.5 + 2 * texture()
    weight = share_of_photograph(fitted + ripple, fitted)
    assert weight > MOST
    assert (1 - weight) * float(ripple.square().mean().sqrt()) == pytest.approx(VISIBLE, rel=0.02)


def test_the_weight_is_that_of_the_formula() -> None:
    fitted = 0.5 + 0.24 * texture()
    residual = math.sqrt(0.65) * camera(6) + math.sqrt(0.35) * white(7)  # mean square 0.02^2
    expected = SLOPE * (CORRELATION - 0.65 * 2 / 3) + VARIATION * math.log(0.024**2 / 0.02**2)
    assert 0.1 < expected < MOST - 0.1
    assert share_of_photograph(fitted + residual, fitted) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("level", [0.02, 0.1])
def test_removed_white_noise_leaves_the_result_alone(level: float, channels: int) -> None:
    noise = level / 0.02 * white(12, channels)
    assert share_if_white((slope(channels) + noise).clamp(0, 1), slope(channels), level) == 0


def test_removed_texture_has_the_weight_of_the_formula() -> None:
    """Pixels at a distance of 2 have the correlation -2 s / (1 + 4 s^2), where s is the weight of four of them."""
    side, flat = 0.05, torch.full((1, 1, 512, 512), 0.5)
    wide = 0.6 * white(13, 1, 516)
    around = wide[..., 4:, 2:-2] + wide[..., :-4, 2:-2] + wide[..., 2:-2, 4:] + wide[..., 2:-2, :-4]
    rough = wide[..., 2:-2, 2:-2] - side * around
    expected = UNLIKE * 2 * side / (1 + 4 * side**2) - ACCEPTED
    assert 0.2 < expected < MOST_WHITE - 0.2
    assert share_if_white(flat + rough, flat, 0.02) == pytest.approx(expected, abs=0.1)
    assert share_if_white(flat + rough, flat, CERTAIN) == 0, "strong noise is not texture"


def test_uneven_energy_counts_except_between_bright_and_dark() -> None:
    """In one half of each brightness the energy is 16 times as large: its relative variance is (15/17)^2."""
    noise, image = 0.3 * white(15, 3, 256), torch.full((1, 3, 256, 256), 0.3)
    image[..., 128:] = 0.6
    uneven, photon = noise.clone(), noise.clone()
    uneven[..., :128, :] *= 4
    photon[..., 128:] *= 4
    expected = UNEVEN * 15 / 17 - ACCEPTED
    assert share_if_white(image + uneven, image, 0.02) == pytest.approx(expected, abs=0.1)
    assert share_if_white(image + photon, image, 0.02) == 0


def test_clipped_noise_is_not_uneven() -> None:
    noisy = (0.5 + white(14)).clamp(0, 1)
    noisy[..., :40, :] = 1.0
    denoised = torch.where(noisy == 1, 1.0, torch.tensor(0.5))
    assert share_if_white(noisy, denoised, 0.02) == 0


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_parallel_stripes_are_coherent_at_any_angle_and_bring_the_photograph_back(angle: float) -> None:
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    stripes = (0.3 * (math.cos(angle) * x + math.sin(angle) * y)).sin()[None, None]
    assert coherence(stripes) > 0.97
    assert coherence(camera(0)) < NOISE
    assert share_of_photograph(0.5 + 0.1 * stripes, torch.full_like(stripes, 0.5)) == 1


def test_a_second_estimate_has_the_weight_of_its_distance() -> None:
    residual = white(9)
    assert [agreement(factor * residual, residual) for factor in (0.0, 0.5, 1.0)] == [1, 1, 0]
    assert agreement(math.sqrt(0.55) * residual, residual) == pytest.approx(0.5)
    assert agreement(residual, torch.zeros_like(residual)) == 0
    assert agreement(torch.zeros_like(residual), torch.zeros_like(residual)) == 1


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 40), (1, 2, 20, 20)])
def test_any_size_has_a_weight(shape: tuple[int, ...]) -> None:
    constant = torch.full(shape, 0.2)
    assert share_of_photograph(constant, constant) == share_of_photograph(constant + 0.1, constant) == 0
    assert 0 <= share_of_photograph(torch.rand(shape), constant) <= 1
    assert 0 <= share_if_white(torch.rand(shape), constant, 0.01) <= 1
    assert share_if_white(constant, constant, 0.01) == 0
    assert 0 <= share_of_photograph(torch.rand(shape), torch.rand(shape)) <= 1


def test_the_photograph_returns_only_where_texture_was_lost() -> None:
    clean = slope(3) + torch.where(torch.arange(96) < 48, 0.0, 1.0)[:, None] * texture()  # in the lower half
    noise = camera(5, 3)
    weight = local_share(clean + noise, slope(3))
    assert weight.shape == (1, 1, 96, 96)
    assert weight[..., :24, :].mean() < 0.02
    assert weight[..., 72:, :].mean() > 0.5
    restored = slope(3).lerp(clean + noise, weight)
    error = (restored - clean).square()
    assert error[..., 72:, :].mean() < 1.2 * noise.square().mean(), "as good as the photograph there"
    assert error[..., :24, :].mean() < 0.1 * noise.square().mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_removed_noise_does_not_return_locally(channels: int) -> None:
    assert local_share(slope(channels) + camera(6, channels), slope(channels)).mean() < 0.02
    assert not local_share(slope(channels), slope(channels)).any()
    exact = local_share(slope(channels).double(), slope(channels).double())
    assert exact.dtype == torch.float64, "it is mixed with an average of fp64"
    tiny = torch.rand(1, channels, 5, 7, generator=torch.Generator().manual_seed(1))
    assert local_share(tiny, tiny).shape == (1, 1, 5, 7)
