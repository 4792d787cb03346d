"""The denoisers that learn: their parts against an analytic answer or a second implementation."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dip.methods import METHODS, Learned, noise2self, pixel2pixel, zs_n2n
from dip.methods.training import Stack
from dip.metrics import psnr
from tests.targets.photos import draw, photo


def restored(name: str, steps: int, y: Tensor, seed: int = 0, half: torch.dtype | None = None) -> Tensor:
    method = METHODS[name]()
    assert isinstance(method, Learned)
    return method.training(y, 0.1, seed, half).run(steps, lambda *_: False)


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=draw())


@pytest.mark.parametrize("size", [(8, 6), (7, 9)])
def test_the_downsampled_images_are_those_of_the_papers_kernels(size: tuple[int, int]):
    y = noise(1, 3, *size)
    kernels = torch.tensor([[[0.0, 0.5], [0.5, 0.0]], [[0.5, 0.0], [0.0, 0.5]]])
    for found, kernel in zip(zs_n2n.pair(y), kernels, strict=True):
        assert torch.allclose(found, functional.conv2d(y, kernel.expand(3, 1, 2, 2), stride=2, groups=3))


def test_the_network_of_zs_n2n_has_the_published_number_of_parameters():
    """22 thousand: 3 x 48 x 9 + 48, 48 x 48 x 9 + 48, 48 x 3 + 3."""
    net = Stack(noise(1, 3, 8, 8), zs_n2n.WIDTH, zs_n2n.LAYERS, 0, None)
    assert sum(p.numel() for p in net.parameters()) == 22_275


def brute_force(y: Tensor, count: int) -> Tensor:
    """The bank, pixel by pixel."""
    _, channels, height, width = y.shape
    border = pixel2pixel.PATCH // 2
    wide = functional.pad(y, [border] * 4, mode="reflect")[0]

    def patch(row: int, column: int) -> Tensor:
        return wide[:, row : row + pixel2pixel.PATCH, column : column + pixel2pixel.PATCH]

    half, found = pixel2pixel.WINDOW // 2, torch.empty(count, channels, height, width)
    for row in range(height):
        for column in range(width):
            near = [
                (r, c)
                for r in range(max(0, row - half), min(height, row + half))
                for c in range(max(0, column - half), min(width, column + half))
            ]
            order = sorted(near, key=lambda at: float((patch(*at) - patch(row, column)).abs().sum()))
            for number, (r, c) in enumerate(order[:count]):
                found[number, :, row, column] = y[0, :, r, c]
    return found


@pytest.mark.parametrize(("size", "window"), [((9, 8), 40), ((10, 12), 6)])
def test_the_bank_holds_the_most_similar_pixels(size: tuple[int, int], window: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pixel2pixel, "WINDOW", window)
    y = noise(1, 3, *size)
    found = pixel2pixel.bank(y, 4)
    assert torch.equal(found[0], y[0])  # itself
    assert torch.equal(found.sort(0).values, brute_force(y, 4).sort(0).values)


def test_the_two_drawn_images_never_hold_the_same_pixel_of_a_bank():
    found = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 64, 64)
    first, second = pixel2pixel.drawn_pair(found, draw())
    assert (first != second).all()
    for image in (first, second):
        assert torch.bincount(image.long().flatten()).min() > 64 * 64 / 5 * 0.8


def test_the_number_of_pixels_in_a_bank_is_the_published_one():
    assert [pixel2pixel.bank_size(level / 255) for level in (0, 10, 25, 50, 200)] == [2, 2, 4, 8, 8]


def test_no_prediction_of_noise2self_depends_on_the_pixel_itself():
    """J-invariance: the Jacobian of the result has a zero diagonal, and that of the other pixels nearby has none."""
    y = noise(1, 1, 6, 7).double()
    net = Stack(y, 8, 3, 0, None)
    whole = torch.autograd.functional.jacobian(lambda x: noise2self.invariant(net, x).flatten(), y).flatten(1)
    assert (whole.diagonal() == 0).all()
    assert (whole != 0).float().mean() > 0.5


def test_the_mean_of_the_neighbours_leaves_out_the_pixel():
    y = torch.zeros(1, 1, 5, 5)
    y[0, 0, 2, 2] = 1
    found = noise2self.mean_of_neighbours(y)[0, 0]
    assert found[2, 2] == 0
    assert found[2, 1].item() == pytest.approx(1 / 6)
    assert found[1, 1].item() == pytest.approx(0.5 / 6)
    assert torch.allclose(noise2self.mean_of_neighbours(torch.full((1, 2, 1, 3), 0.4)), torch.tensor(0.4))


LEARNED = ["zs_n2n", "pixel2pixel", "noise2self"]


@pytest.mark.parametrize("name", LEARNED)
def test_a_denoiser_denoises(name: str):
    clean = photo("astronaut", 32, 32)
    y = (clean + 0.1 * torch.randn(clean.shape, generator=draw())).clamp(0, 1)
    found = restored(name, 100, y)
    assert psnr(found, clean) > psnr(y, clean) + 3


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (1, 5, 3, 9), (1, 3, 9, 4)])
def test_a_denoiser_takes_any_image_and_the_seed_decides(name: str, shape: tuple[int, ...]):
    y = noise(*shape)
    torch.manual_seed(1)
    one = restored(name, 3, y)
    torch.manual_seed(2)
    same, other = restored(name, 3, y), restored(name, 3, y, seed=1)
    assert one.shape == shape
    assert one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", LEARNED)
def test_bf16_changes_little(name: str):
    y = photo("astronaut", 20, 20)
    exact, half = (restored(name, 10, y, half=kind) for kind in (None, torch.bfloat16))
    assert half.dtype == torch.float32
    assert 0 < (half - exact).square().mean().sqrt() < 0.02
