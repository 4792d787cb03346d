"""The losses against NumPy, SciPy and analytic gradients."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from scipy.special import huber, kl_div
from torch import Tensor

from dip.model.losses import LOSSES, Poisson, total_variation

EXPECTED = {
    "mse": lambda x, y: (x - y) ** 2,
    "l1": lambda x, y: np.abs(x - y),
    "smooth_l1": lambda x, y: huber(0.1, x - y) / 0.1,
    "poisson": lambda x, y: kl_div(y + 0.01, x + 0.01),
}


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1, 3, 6, 5, dtype=torch.float64, generator=generator)
    return x.requires_grad_(), y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_of_each_loss(name: str, weighted: bool) -> None:
    x, y = images()
    weights = torch.rand(1, 1, 6, 5, dtype=torch.float64) if weighted else None
    loss = LOSSES[name]()
    expected = EXPECTED[name](x.detach().numpy(), y.numpy()) * (1 if weights is None else weights.numpy())
    assert loss(x, y, x, weights).item() == pytest.approx(expected.mean(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: loss(x, y, x, weights), x)


@pytest.mark.parametrize("name", LOSSES)
def test_a_masked_pixel_has_no_gradient_and_a_perfect_fit_no_loss(name: str) -> None:
    x, y = images()
    weights = torch.ones(1, 1, 6, 5, dtype=torch.float64)
    weights[..., 2, 3] = 0
    loss = LOSSES[name]()
    loss(x, y, x, weights).backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, (weights == 0).expand_as(x))
    assert loss(y, y, y).item() == pytest.approx(0, abs=1e-15)


def test_gradient_of_poisson_is_the_residual_over_the_variance() -> None:
    """d/dx of r - s log r is (x - y) / (x + b); it continues where x < 0, and is finite where x = y = 0."""
    x = torch.tensor([0.5, 0.2, 0.0, -0.3, -0.3], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.2, 0.2, 0.0, 0.4, -0.1], dtype=torch.float64)
    Poisson(background=0.05).entries(x, y).sum().backward()
    expected = torch.tensor([0.3 / 0.55, 0, 0, -0.4 / 0.05, 0], dtype=torch.float64)
    torch.testing.assert_close(x.grad, expected)


def test_total_variation_of_known_images() -> None:
    ramp = torch.arange(5.0).expand(1, 2, 4, 5)  # slope 1 along x, in two channels
    assert total_variation(ramp).item() == pytest.approx(2 * 3 * 4)
    assert total_variation(3 * ramp + 4 * ramp.new_tensor(range(4))[:, None]).item() == pytest.approx(24 * 5)
    flat = torch.full((1, 1, 3, 3), 0.5, requires_grad=True)
    total_variation(flat).backward()
    assert torch.equal(flat.grad, torch.zeros_like(flat)), "the subgradient at 0 is 0"


def test_the_coupled_total_variation_is_the_minimum_over_the_split_differences() -> None:
    x, _ = images()
    tv, coupling = 0.3, 1.1  # lengths are below and above 0.3 / 1.1

    def split(u: Tensor, x: Tensor) -> Tensor:
        differences = torch.stack([x.diff(dim=2)[..., :-1], x.diff(dim=3)[..., :-1, :]])
        lengths, coupled = u.square().sum(0).sqrt(), (differences - u).square().sum()
        return tv * lengths.sum() + coupling / 2 * coupled

    differences = torch.stack([x.diff(dim=2)[..., :-1], x.diff(dim=3)[..., :-1, :]]).detach()
    lengths = differences.square().sum(0).sqrt()
    best = (1 - tv / coupling / lengths).clamp(min=0) * differences  # shrinkage
    value = tv * total_variation(x, tv / coupling)
    assert value.item() == pytest.approx(split(best, x).item())
    for scale in (0.9, 1.1):
        assert split(scale * best, x).item() > value.item()
    assert split(best + 0.01, x).item() > value.item()
    expected = torch.autograd.grad(split(best, x), x)[0]
    torch.testing.assert_close(torch.autograd.grad(value, x)[0], expected)
    loss = LOSSES["mse"](tv=tv, tv_coupling=coupling)
    assert loss(x, x, x).item() == pytest.approx(value.item())


@pytest.mark.parametrize("name", LOSSES)
def test_total_variation_is_added_to_any_loss(name: str) -> None:
    x, y = images()
    kind = LOSSES[name]
    added = kind(tv=0.01)(x, y, x) - kind()(x, y, x)
    assert added.item() == pytest.approx(0.01 * total_variation(x).item())


@pytest.mark.parametrize("name", ["mse", "l1", "smooth_l1"])
def test_a_filter_replaces_the_residual_by_its_correlation(name: str) -> None:
    x, y = images()
    kernel = torch.tensor([[0.1, -0.2, 0.3], [0.0, 1.0, -0.1], [0.2, 0.0, -0.4]], dtype=torch.float64)
    residual = (x - y).detach().numpy()[0]
    expected = np.stack([correlate(plane, kernel.numpy(), mode="constant") for plane in residual])
    loss = LOSSES[name]()
    values = EXPECTED[name](expected, np.zeros_like(expected))
    assert loss(x, y, x, kernel=kernel).item() == pytest.approx(values.mean(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: loss(x, y, x, kernel=kernel), x)


def test_a_filter_has_no_effect_on_poisson_and_none_under_autocast() -> None:
    x, y = images()
    kernel = torch.full((3, 3), 0.1, dtype=torch.float64)
    assert Poisson()(x, y, x, kernel=kernel).equal(Poisson()(x, y, x))
    x, y = x.detach().float(), y.float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = LOSSES["mse"]()(x, y, x, kernel=kernel)
    assert inside.equal(LOSSES["mse"]()(x, y, x, kernel=kernel))
