"""The fit as a reconstructor, on classes with the interface of deepinv's physics."""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import dip
import dip.deepinv
from dip.deepinv import DeepImagePrior
from tests.api.conftest import TINY
from tests.api.test_process import state

SMALL = {**TINY, "experiment": None, "perturbation_warm_up": 0, "stop": "auto", "steps": 4}
"""Options for a fit of a tenth of a second."""


class Blur(nn.Module):
    """Periodic convolution with a kernel that is a buffer, as deepinv's blurs."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.register_buffer("filter", kernel)  # (h, w)

    def transfer(self, size: torch.Size) -> Tensor:
        return torch.fft.rfft2(self.filter, s=tuple(size))

    def A(self, x: Tensor, **kwargs: object) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x) * self.transfer(x.shape[-2:]), s=x.shape[-2:])

    def A_adjoint(self, y: Tensor, **kwargs: object) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(y) * self.transfer(y.shape[-2:]).conj(), s=y.shape[-2:])


class Rows(nn.Module):
    """Measurements (B, M) of images (B, C, H, W) by a real or complex matrix, as deepinv's compressed sensing."""

    def __init__(self, matrix: Tensor, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)  # (M, C H W)
        self.shape = shape

    def A(self, x: Tensor) -> Tensor:
        return x.to(self.matrix.dtype).flatten(1) @ self.matrix.T

    def A_adjoint(self, y: Tensor) -> Tensor:
        return (y @ self.matrix.conj()).reshape(len(y), *self.shape)


class NoAdjoint:
    """Every second column, which is not a module and has no adjoint."""

    def A(self, x: Tensor) -> Tensor:
        return x[..., ::2]


@pytest.fixture
def blur():
    return Blur(torch.full((3, 3), 1 / 9))


@pytest.fixture
def y(blur):
    return blur.A(torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0)))


def test_it_is_the_fit_of_restore_with_the_shape_of_the_adjoint(blur, y):
    image = DeepImagePrior(**SMALL)(y, blur)
    same = dip.restore(y, operator=blur, shape=(3, 16, 24), **SMALL)
    assert image.shape == (1, 3, 16, 24)
    assert image.dtype == torch.float32
    assert not image.requires_grad
    assert np.array_equal(image[0].permute(1, 2, 0).numpy(), same.values)
    assert not np.array_equal(same.values, dip.restore(y, operator=blur, shape=(3, 16, 24), **SMALL, seed=1).values)


def test_it_finds_the_image_that_was_measured():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 4:12, 6:10] = 1
    matrix = torch.randn(200, 256, generator=torch.Generator().manual_seed(0)) / 16
    physics = Rows(matrix, (1, 16, 16))
    found = DeepImagePrior(**{**SMALL, "steps": 150, "stop": "never", "net": {"channels": 16, "depth": 2}})(
        physics.A(image), physics
    )
    # The smallest image that agrees with the measurements, by another computation.
    pseudoinverse = (torch.linalg.pinv(matrix) @ physics.A(image)[0]).reshape(image.shape)
    assert (found - image).square().mean() < (pseudoinverse - image).square().mean()


def test_a_batch_is_fitted_image_by_image(blur, y):
    model = DeepImagePrior(**SMALL)
    both = torch.cat([y, y.flip(-1)])
    assert model(both, blur).equal(torch.cat([model(y, blur), model(y.flip(-1), blur)]))


def test_complex_images():
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(40, 256, generator=draw, dtype=torch.complex64)
    physics = Rows(matrix, (1, 16, 16))
    y = physics.A(torch.randn(1, 1, 16, 16, generator=draw, dtype=torch.complex64))
    image = DeepImagePrior(**SMALL)(y, physics)
    assert image.shape == (1, 1, 16, 16)
    assert image.dtype == torch.complex64
    assert image.imag.any()
    assert not DeepImagePrior(**SMALL, complex=False)(y, physics).is_complex()


def test_the_shape_can_be_given(y):
    assert DeepImagePrior(shape=(3, 16, 48), **SMALL)(y, NoAdjoint()).shape == (1, 3, 16, 48)
    with pytest.raises(
        dip.OptionError, match=r"^shape=null: must be \(C, H, W\), since NoAdjoint has no .*, for example "
    ):
        DeepImagePrior(**SMALL)(y, NoAdjoint())


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_no_state_changes_and_the_mode_of_the_caller_has_no_influence(mode, blur, y):
    model = DeepImagePrior(**SMALL)
    expected = model(y, blur)
    torch.manual_seed(1)
    before = state()
    given = y.clone()
    with mode():
        assert model(given, blur).equal(expected)
    after = state()
    for name, value in before.items():
        assert after[name] == value, name
    assert given.equal(y)
    assert blur.training
    assert blur.filter.equal(torch.full((3, 3), 1 / 9))


def test_importing_dip_is_enough():
    subprocess.run([sys.executable, "-c", "import dip; dip.deepinv.DeepImagePrior()"], check=True)


def test_it_has_no_weights():
    model = DeepImagePrior()
    assert not list(model.parameters())
    assert not model.state_dict()
    assert isinstance(model.eval().to("cpu"), nn.Module)


@pytest.mark.parametrize(
    ("given", "said"), [(np.zeros((1, 4)), "a ndarray"), (torch.zeros(0, 4), r"\(0, 4\)"), (torch.zeros(4), r"\(4,\)")]
)
def test_measurements_are_a_batch_of_tensors(given, said, blur):
    with pytest.raises(dip.DipError, match=rf"^y: must be a tensor of measurements \(B, ...\).*{said}$"):
        DeepImagePrior(**SMALL)(given, blur)


def test_images_of_other_dimensions_are_refused():
    class Volume:
        def A_adjoint(self, y: Tensor) -> Tensor:
            return y

    with pytest.raises(dip.DipError, match=r"^physics: its images must be \(1, C, H, W\), but .* \(1, 2, 3, 4, 5\)$"):
        DeepImagePrior(**SMALL)(torch.rand(1, 2, 3, 4, 5), Volume())


def test_errors_of_options_and_operators_reach_the_caller(blur, y):
    with pytest.raises(dip.OptionError, match="^steps=0: "):
        DeepImagePrior(**{**SMALL, "steps": 0})(y, blur)
    with pytest.raises(dip.DipError, match="shape"):
        DeepImagePrior(shape=(3, 16, 20), **SMALL)(y, blur)


@pytest.fixture
def reloaded():
    """`dip.deepinv`, imported anew and restored afterwards."""
    yield lambda: importlib.reload(dip.deepinv)
    importlib.reload(dip.deepinv)


def test_it_is_a_reconstructor_of_deepinv_where_that_is_installed(monkeypatch, reloaded):
    class Reconstructor(nn.Module):
        pass

    models = types.ModuleType("deepinv.models")
    models.Reconstructor = Reconstructor
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "deepinv", types.ModuleType("deepinv"))
        patch.setitem(sys.modules, "deepinv.models", models)
        assert issubclass(reloaded().DeepImagePrior, Reconstructor)
        patch.setitem(sys.modules, "deepinv.models", None)
        assert reloaded().DeepImagePrior.__bases__ == (nn.Module,)
