"""What an observation computes itself: the multiple of the adjoint that is closest to the observation."""

import numpy as np
import torch

from dip.targets import Noisy, Observation, SuperRes
from dip.targets.user_operator import observation
from tests.targets.photos import rand

CPU = torch.device("cpu")


def test_the_backprojection_is_the_observation_or_the_multiple_of_its_adjoint_closest_to_it():
    image = rand(1, 3, 16, 16)
    noisy = Noisy().observe(image, 0)
    torch.testing.assert_close(noisy.backprojected(CPU), noisy.y)
    small = SuperRes(factor=4).observe(image, 0)
    start = small.backprojected(CPU)
    (adjoint,) = torch.autograd.functional.vjp(small.operator, torch.zeros(1, *small.shape), small.y)[1:]
    multiple = (start * adjoint).sum() / adjoint.square().sum()
    torch.testing.assert_close(start, multiple * adjoint)
    error = [float((small.operator(c * start) - small.y).square().sum()) for c in (0.99, 1, 1.01)]
    assert error[1] == min(error)


def test_it_has_the_units_of_the_user_also_where_their_range_does_not_start_at_0():
    """c A'y of the measurements as they were given, from a matrix: independent of the range of the image."""
    matrix, image = rand(40, 64) - 0.5, 200 * rand(1, 8, 8, seed=1) - 100
    y = matrix @ image.flatten()
    back = matrix.T @ y
    expected = (matrix @ back @ y / (matrix @ back).square().sum()) * back
    for span in ([-100, 100], [0, 300], [-500, -50], None):
        seen = observation(lambda x: matrix @ x.flatten(), y.numpy(), (1, 8, 8), span)
        found = seen.in_units(seen.backprojected(CPU))
        torch.testing.assert_close(found.flatten(), expected, rtol=1e-3, atol=1e-2)


def test_a_magnitude_without_a_derivative_at_0_has_a_finite_start():
    def magnitude(x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x).abs()

    seen: Observation = observation(magnitude, magnitude(rand(1, 8, 8)).numpy().astype(np.float32), (1, 8, 8), [0, 1])
    start = seen.backprojected(CPU)
    assert start.isfinite().all()
    assert start.std() > 0
