"""Operators against Pillow, SciPy and explicit sums."""

import copy
import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import torch
from PIL import Image
from torch import Tensor

from dip.errors import ImageError
from dip.targets.fourier import MaskedFourier, sampling
from dip.targets.operators import (
    Bins,
    Blur,
    Downsample,
    Identity,
    Mask,
    Operator,
    gaussian_kernel,
    kernel_from_image,
    motion_kernel,
)
from dip.targets.projections import radon_matrix
from dip.targets.sparse_operator import SparseOperator
from tests.targets.photos import draw, photo, rand


def pillow_lanczos(image: Tensor, size: tuple[int, int]) -> Tensor:
    planes = [Image.fromarray(plane.contiguous().numpy()) for plane in image[0]]
    small = [np.asarray(plane.resize(size[::-1], Image.Resampling.LANCZOS)) for plane in planes]
    return torch.from_numpy(np.stack(small))[None]


OPERATORS = {
    "identity": lambda size: Identity(),
    "mask": lambda size: Mask((rand(1, 1, *size, seed=1) > 0.4).float()),
    "downsample2": lambda size: Downsample(2, size),
    "downsample4-lanczos2": lambda size: Downsample(4, size, kernel="lanczos2"),
    "gaussian": lambda size: Blur(gaussian_kernel(1.3)),
    "motion": lambda size: Blur(motion_kernel(9, 30)),
    "lopsided": lambda size: Blur(rand(3, 7, seed=2)),
    "radon": lambda size: SparseOperator(radon_matrix(size, [0.0, 33.0, 120.0], 19), (19, 3)),
    "joint": lambda size: SparseOperator(
        scipy.sparse.random(7, 2 * size[0] * size[1], 0.3, random_state=0), (1, 7), joint=True
    ),
    "fourier": lambda size: MaskedFourier(sampling(size, "points", 2, 0.1, draw())),
    "bins": lambda size: Bins(4),
}


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(480, 312), (511, 333), (96, 24)])
def test_downsample_is_pillows_lanczos_at_the_edges_too(factor: int, size: tuple[int, int]) -> None:
    image = photo("astronaut", *size)
    expected = pillow_lanczos(image, (size[0] // factor, size[1] // factor))
    assert torch.allclose(Downsample(factor, size)(image), expected, rtol=0, atol=1e-6)


def test_lanczos2_is_the_windowed_sinc_of_two_lobes() -> None:
    row = rand(1, 1, 1, 12, dtype=torch.float64)
    expected = []
    for low in range(4):
        weights = []
        for high in range(12):
            t = (high + 0.5) / 3 - (low + 0.5)  # in low-resolution pixels
            window = 1.0 if t == 0 else 2 * math.sin(math.pi * t) * math.sin(math.pi * t / 2) / (math.pi * t) ** 2
            weights.append(window if abs(t) < 2 else 0.0)
        expected.append(sum(w * v for w, v in zip(weights, row.flatten().tolist(), strict=True)) / sum(weights))
    shrunk = Downsample(3, (1, 12), kernel="lanczos2").double()(row)
    assert shrunk.flatten().tolist() == pytest.approx(expected, abs=1e-7)


def test_downsampling_below_one_pixel_leaves_one() -> None:
    assert Downsample(8, (5, 3))(torch.full((1, 3, 5, 3), 0.25)).flatten().tolist() == pytest.approx([0.25] * 3)


@pytest.mark.parametrize("shape", [(5, 5), (3, 9), (31, 1), (61, 45)])
def test_blur_is_scipys_convolution_with_nearest_edges(shape: tuple[int, int]) -> None:
    kernel = rand(*shape)  # without symmetry, which would hide a flip
    kernel = kernel / kernel.sum()
    image = photo("astronaut", 53, 47)
    blurred = Blur(kernel)(image)
    for channel in range(3):
        plane = image[0, channel].double().numpy()
        expected = scipy.ndimage.convolve(plane, kernel.double().numpy(), mode="nearest")
        assert np.abs(blurred[0, channel].numpy() - expected).max() < 1e-6


def test_a_motion_kernel_holds_the_length_within_each_pixel() -> None:
    assert torch.allclose(motion_kernel(5), torch.tensor([[0.0]] * 2 + [[0.2]] + [[0.0]] * 2).expand(5, 5))
    assert torch.allclose(motion_kernel(5, 90), motion_kernel(5).T)
    assert torch.allclose(motion_kernel(2)[1], torch.tensor([0.25, 0.5, 0.25]))
    assert torch.equal(motion_kernel(0.3), torch.ones(1, 1))
    diagonal = motion_kernel(3 * math.sqrt(2), 45)  # counter-clockwise: rises to the right
    assert torch.allclose(diagonal, torch.eye(3).flip(1) / 3, atol=1e-3)


def test_a_drawn_kernel_is_scaled_and_made_odd() -> None:
    drawn = torch.tensor([[0.0, 0.5], [1.0, 0.5]]).expand(1, 3, 2, 2)
    expected = torch.tensor([[0.0, 0.25, 0.0], [0.5, 0.25, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(kernel_from_image(drawn), expected)
    with pytest.raises(ImageError, match=r"^target\.kernel: the image is black;[^\n]*target\.kernel=kernel\.png$"):
        kernel_from_image(torch.zeros(1, 1, 3, 3))
    with pytest.raises(ImageError, match=r"^target\.kernel: the picture has colours;"):
        kernel_from_image(drawn * torch.tensor([1.0, 0.9, 1.0]).view(1, 3, 1, 1))
    kernel_from_image(drawn * torch.tensor([1.0, 0.99, 1.0]).view(1, 3, 1, 1))


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_deterministic_float32_and_without_parameters(name: str) -> None:
    operator: Operator = OPERATORS[name]((33, 26))
    assert not list(operator.parameters())
    assert not operator.state_dict()
    x = photo("astronaut", 33, 26)[:, :2]
    expected = operator(x)
    assert torch.equal(copy.deepcopy(operator)(x), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = operator(x.to(memory_format=torch.channels_last))
    assert seen.dtype == torch.float32
    assert torch.allclose(seen, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_gradient_is_the_adjoint_and_the_same_every_time(name: str) -> None:
    operator: Operator = OPERATORS[name]((33, 26)).double()
    x = photo("astronaut", 33, 26)[:, :2].double().requires_grad_()
    made = operator(x)
    y = torch.rand_like(made)
    (gradient,) = torch.autograd.grad(made, x, y, retain_graph=True)
    assert float((made * y).sum().detach()) == pytest.approx(float((x * gradient).sum().detach()), rel=1e-12)
    assert torch.equal(torch.autograd.grad(made, x, y)[0], gradient)
