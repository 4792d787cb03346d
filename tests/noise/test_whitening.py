"""The filter of the loss: for noise of a known spectrum it has the response of the formula."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dip.noise.whitening import FLOOR, SIZE, whitening
from dip.stopping import Covariance


def noise(kernel: Tensor, sigma: float = 0.05, side: int = 512) -> Tensor:
    """A gray image (1, 3, side, side) with Gaussian noise filtered by `kernel`."""
    drawn = torch.randn(3, 1, side, side, generator=torch.Generator().manual_seed(0))
    return 0.5 + sigma * functional.conv2d(drawn, kernel[None, None], padding="same").transpose(0, 1)


def response(kernel: Tensor, size: int = 64) -> Tensor:
    return torch.fft.fft2(kernel, s=(size, size)).abs()


def test_white_noise_leaves_the_residual_as_it_is() -> None:
    kernel = whitening(noise(torch.ones(1, 1)))
    assert kernel is not None
    assert kernel.shape == (SIZE, SIZE)
    identity = torch.zeros(SIZE, SIZE)
    identity[SIZE // 2, SIZE // 2] = 1
    assert kernel.numpy() == pytest.approx(identity.numpy(), abs=0.05)


def test_the_response_is_that_of_the_formula() -> None:
    """Noise filtered by a 3 x 3 mean. Its power spectrum is that of the mean, by the convolution theorem."""
    kernel = whitening(noise(torch.full((3, 3), 1 / 3)))
    assert kernel is not None
    power = response(torch.full((3, 3), 1 / 3)).square()  # mean 1, by Parseval
    expected = (power / power.mean() + FLOOR).rsqrt()
    expected = expected / expected.square().mean().sqrt()
    found = response(kernel)
    error = (found - expected).square().mean().sqrt()
    assert error < 0.07
    assert found[0, 0] < 0.6 < 1.1 < found[32, 32]


def test_it_is_symmetric_and_has_norm_one() -> None:
    kernel = whitening(noise(torch.tensor([[0.0, 0, 0], [1, 1, 0.3], [0, 0, 0]])))
    assert kernel is not None
    assert float(kernel.norm()) == pytest.approx(1)
    for other in (kernel.T, kernel.flip(0), kernel.flip(1)):
        assert kernel.numpy() == pytest.approx(other.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 4, 5), (1, 3, 64, 64)])
def test_there_is_none_without_noise(shape: tuple[int, ...]) -> None:
    assert whitening(torch.full(shape, 0.5)) is None


def test_the_rule_for_correlated_noise_filters_the_loss_where_all_pixels_are_known() -> None:
    image = noise(torch.full((3, 3), 1 / 3), side=64)
    rule = Covariance().start(image, 0)
    assert rule is not None
    assert rule.loss_filter is not None
    assert torch.equal(rule.loss_filter, whitening(image))  # type: ignore[arg-type]
    masked = Covariance().start(image, 0, torch.ones(1, 1, 64, 64))
    assert masked is not None
    assert masked.loss_filter is None
