"""A user's operator: layout of the values, checks before the first step, scale of the image."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip.errors import DipError
from dip.targets.user_operator import four_axes, observation

SHAPE = (1, 16, 16)


def image(seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(seed))


def crop(x: Tensor) -> Tensor:
    return x[..., ::2, ::2]


@pytest.mark.parametrize(
    ("given", "made"),
    [((), (1, 1, 1, 1)), ((5,), (1, 1, 1, 5)), ((2, 3), (1, 1, 2, 3)), ((2, 3, 4, 5, 6), (1, 24, 5, 6))],
)
def test_values_of_any_shape_get_four_axes(given: tuple[int, ...], made: tuple[int, ...]) -> None:
    assert four_axes(torch.zeros(given)).shape == made


def test_complex_values_become_real_parts_then_imaginary_parts() -> None:
    values = torch.randn(3, 4, 5, dtype=torch.complex64)
    assert torch.complex(*four_axes(values).chunk(2, 1)).equal(values[None])


def test_the_scaled_operator_maps_the_true_image_to_y() -> None:
    x = image(scale=300.0) - 20
    seen = observation(crop, crop(x).numpy(), SHAPE)
    low, high = seen.scale
    torch.testing.assert_close(seen.operator((x - low) / (high - low)), seen.y)
    assert float(seen.y.square().mean().sqrt()) == pytest.approx(0.5)


def test_the_bounds_are_the_scale() -> None:
    x = image(scale=5.0) - 2
    seen = observation(crop, crop(x).numpy(), SHAPE, span=(-2.0, 3.0))
    assert seen.bounded
    torch.testing.assert_close(seen.in_units((x + 2) / 5), x)
    torch.testing.assert_close(seen.shown((x + 2) / 5), (x + 2) / 5)


MATRIX = torch.randn(256, 256, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("factor", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize(
    "operator",
    [
        lambda x: x,
        lambda x: MATRIX @ x.flatten(),
        lambda x: torch.fft.fft2(x),
        lambda x: torch.fft.fft2(x).abs(),
        lambda x: torch.fft.fft2(x).abs() ** 2,
        lambda x: x.cumsum(-1),
    ],
)
def test_the_estimated_scale_is_near_that_of_the_image(operator, factor: float) -> None:
    x = image(scale=factor)
    seen = observation(operator, operator(x).numpy(), SHAPE)
    level = float(x.square().mean().sqrt())
    assert 1 / 4 < 0.5 * seen.scale[1] / level < 4


def test_float64_operators_are_accepted() -> None:
    matrix = torch.randn(10, 256, dtype=torch.float64)
    x = image()
    seen = observation(lambda x: matrix @ x.flatten(), (matrix @ x.double().flatten()).numpy(), SHAPE)
    assert seen.operator(x).dtype == torch.float32


class Physics(nn.Module):
    """As the physics of deepinv: its method A is the operator, and calling it adds noise."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("A is the operator")

    def A(self, x: Tensor) -> Tensor:
        return self.gain * x


def test_a_physics_is_called_by_its_method_a_and_not_trained() -> None:
    physics = Physics()
    for operator in (physics, physics.A):
        seen = observation(operator, 3 * image().numpy(), SHAPE, span=(0, 1))
        x = image().requires_grad_()
        seen.operator(x).sum().backward()
        assert x.grad is not None
        assert physics.gain.grad is None
        assert physics.gain.requires_grad


def raising(x: Tensor) -> Tensor:
    raise KeyError("lost")


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (lambda x: x[..., 1:], r"returned the shape.*; shape=\[C,H,W\] sets the shape of the image$"),
        (lambda x: x.detach(), "no gradient"),
        (lambda x: x.round(), "does not depend on the image"),
        (lambda x: torch.full_like(x, math.nan) * x, "NaN or infinite"),
        (lambda x: torch.complex(x, x), "complex numbers, y has real"),
        (lambda x: x.int(), "torch.int32"),
        (lambda x: x.to("meta"), "on meta"),
        (lambda x: [x], "returned list"),
        (lambda x: None, "returned NoneType"),
        (raising, r"raised KeyError.*lost.*; shape=\[C,H,W\] sets the shape of the image$"),
        (lambda x: x.detach().numpy() * 2, "returned ndarray, not one tensor; it must be written with torch functions"),
        (lambda x: torch.from_numpy(np.abs(x)), "^operator: must be written with torch functions.*differentiable"),
        ("text", "str cannot be called"),
    ],
)
def test_bad_operators_are_one_line(operator, message: str) -> None:
    with pytest.raises(DipError, match=message) as caught:
        observation(operator, image().numpy(), SHAPE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [([math.inf, 1], "infinite"), ([math.nan], "no values"), ([], "no values"), ([0, 0], "all measurements are 0")],
)
def test_bad_measurements_are_one_line(values: list[float], message: str) -> None:
    with pytest.raises(DipError, match=message):
        observation(lambda x: x.flatten()[:2], np.array(values, np.float32), SHAPE)


@pytest.mark.parametrize("complex", [False, True])
def test_nan_marks_missing_measurements(complex: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dip")
    values = image().numpy()
    values = values + 1j * values if complex else values
    holed = values.copy()
    holed[..., 1, 2] = np.nan

    def call(x: torch.Tensor) -> torch.Tensor:
        return torch.complex(x, x) if complex else x

    seen = observation(call, holed, SHAPE, [0, 1])
    made = seen.operator(torch.rand(1, *SHAPE))
    # The two parts of a complex value are one measurement.
    assert (
        f"image: {holed[..., 1, 2].size} of {holed.size} measurements are NaN, and count as missing" in caplog.messages
    )
    assert seen.known is not None
    assert seen.known.shape == (1, 1, *SHAPE[1:])
    assert (seen.known == 0).nonzero()[:, 2:].tolist() == [[1, 2]]
    assert (made[..., 1, 2] == 0).all()
    assert (seen.y[..., 1, 2] == 0).all()
    whole = observation(call, values, SHAPE, [0, 1])
    ratio = (seen.y / whole.y)[..., seen.known[0, 0] == 1]  # of the units, which the known values alone define
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.mean())))
