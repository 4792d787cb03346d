"""Non-local means against a second implementation; the weighted mean; where nothing is to be done."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip.stopping.finishing import combined, smoothed


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


def test_the_mean_has_the_weights_and_the_strengths_of_the_definition() -> None:
    fitted, observed = 0.4 + 0.13 * torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    result = combined(fitted, observed, 0.1)[0, :, 16, 16].numpy()
    # Distances are below 5 here. scikit-image ignores the patches beyond.
    two = plain(fitted[0].double().numpy(), 16, 16, 0.04), plain(observed[0].double().numpy(), 16, 16, 0.13)
    assert result == pytest.approx(0.8 * two[0] + 0.2 * two[1], abs=2e-4)


def test_without_noise_the_average_stays() -> None:
    image, other = torch.rand(2, 1, 3, 16, 16)
    assert combined(image, other, 0.0) is image
    constant = torch.full((1, 1, 20, 20), 0.3)
    assert combined(constant, constant, 0.1).numpy() == pytest.approx(constant.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 20, 30), (1, 3, 5, 5), (1, 3, 1, 1), (1, 5, 17, 9)])
def test_any_shape_comes_back_finite(shape: tuple[int, ...]) -> None:
    result = combined(torch.rand(shape) * 2 - 0.5, torch.rand(shape), 0.1)
    assert result.shape == shape
    assert result.isfinite().all()
