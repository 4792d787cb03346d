"""Non-local means against a second implementation; the weighted mean; limits; where nothing is to be done."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from dip import bm3d
from dip.noise.finishing import SHARE, combined, smoothed
from dip.noise.lost_structure import VISIBLE


def plain(image: np.ndarray, y: int, x: int, sigma: float) -> np.ndarray:
    """The pixel (C,) at (y, x), not near the border: the mean of the 13 x 13 pixels, weighted by the distance of patches."""
    total, weights = np.zeros(len(image)), 0.0
    centre = image[:, y - 2 : y + 3, x - 2 : x + 3]
    for v in range(y - 6, y + 7):
        for u in range(x - 6, x + 7):
            distance = np.square(centre - image[:, v - 2 : v + 3, u - 2 : u + 3]).mean()
            weight = np.exp(-max(0.0, distance - 2 * sigma**2) / (0.6 * sigma) ** 2)
            total, weights = total + weight * image[:, v, u], weights + weight
    return total / weights


def test_it_is_the_weighted_mean_of_the_definition() -> None:
    image = 0.4 + 0.2 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    result = smoothed(image, 0.1)[0].numpy()
    for y, x in ((16, 16), (12, 19)):
        assert result[:, y, x] == pytest.approx(plain(image[0].double().numpy(), y, x, 0.1), abs=2e-4)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth average and a photograph that differs from it by the noise of a camera, (1, 3, 48, 48) each."""
    fitted = (0.4 + 0.1 * torch.linspace(0, 3, 48).sin()[:, None]).expand(1, 3, 48, 48).contiguous()
    white = torch.randn(1, 3, 50, 50, generator=torch.Generator().manual_seed(1))
    return fitted, fitted + 0.15 * functional.avg_pool2d(white, 3, stride=1)


def test_the_mean_has_the_weights_and_the_strengths_of_the_definition() -> None:
    fitted, observed = pair()
    result = combined(fitted, observed, 0.1)[0][0].permute(1, 2, 0).numpy()
    filtered = bm3d.bm3d(observed[0].permute(1, 2, 0).numpy(), 0.45)
    for y, x in ((16, 16), (20, 31)):
        assert result[y, x] == pytest.approx(
            0.65 * plain(fitted[0].double().numpy(), y, x, 0.04) + 0.35 * filtered[y, x], abs=2e-4
        )


def test_the_weight_of_the_fit_is_how_much_of_its_change_the_result_has() -> None:
    fitted, observed = pair()
    (before, weight), (after, _) = (combined(fitted + shift, observed, 0.1) for shift in (0.0, 0.001))
    assert float((after - before).mean()) / 0.001 == pytest.approx(float(weight.mean()), rel=0.02)
    assert float(weight.mean()) == pytest.approx(1 - SHARE)


def test_where_the_fit_has_lost_structure_the_photograph_has_the_larger_part(caplog: pytest.LogCaptureFixture) -> None:
    ripple = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    fitted = 0.5 + 0.1 * torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(12).expand(1, 3, 48, 48)
    with caplog.at_level("WARNING", "dip"):
        result, share = combined(fitted, fitted + 0.05 * ripple, 0.05)
    part = float(((result - fitted) * ripple).mean() / ripple.square().mean() / 0.05)
    assert part == pytest.approx(1 - VISIBLE / 0.05, abs=0.03)
    assert float(share.mean()) == pytest.approx((1 - SHARE) * (1 - part), abs=0.01)
    assert "88 % of the restored image is the photograph itself" in caplog.text


def test_a_good_fit_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "dip"):
        combined(*pair(), 0.05)
    assert not caplog.text


def test_without_noise_the_average_stays() -> None:
    image, other = torch.rand(2, 1, 3, 16, 16)
    assert combined(image, other, 0.0)[0] is image
    assert combined(image, other, 0.0)[1] == 1
    constant = torch.full((1, 1, 20, 20), 0.3)
    assert combined(constant, constant, 0.1)[0].numpy() == pytest.approx(constant.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 20, 30), (1, 3, 5, 5), (1, 3, 1, 1), (1, 5, 17, 9)])
def test_any_shape_comes_back_finite(shape: tuple[int, ...]) -> None:
    result, _ = combined(torch.rand(shape) * 2 - 0.5, torch.rand(shape), 0.1)
    assert result.shape == shape
    assert result.isfinite().all()
