"""deepinv's physics as operators: measurements by NumPy or SciPy, fitted through the physics.

The residual of the fitted image is computed by the same second implementation. Skipped where deepinv is not installed.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

import dip
from dip.deepinv import DeepImagePrior
from tests.api.conftest import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # of deepinv and of what it imports
pytest.importorskip("deepinv.physics", exc_type=ImportError)
deepinv: Any = importlib.import_module("deepinv")

SIDE = 16
FIT = {
    **TINY, "steps": 200, "net": {"channels": 16, "depth": 2, "skip_channels": 4}, "stop": "never", "perturbation": 0,
}  # fmt: skip
Forward = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def image():
    """A smooth blob and a box, (16, 16) in [0, 1]."""
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    picture = 0.6 * np.exp(-8 * ((rows + 0.2) ** 2 + (columns - 0.1) ** 2))
    picture[8:12, 5:9] += 0.4
    return picture


def blur() -> tuple[Any, Forward]:
    kernel = np.outer([1, 2, 1], [1, 3, 2]) / 24
    physics = deepinv.physics.Blur(filter=torch.from_numpy(kernel).float()[None, None], padding="circular")
    return physics, lambda x: convolve(x, kernel, mode="wrap")[None, None]


def compressed_sensing() -> tuple[Any, Forward]:
    rng = torch.Generator().manual_seed(0)
    physics = deepinv.physics.CompressedSensing(m=150, img_size=(1, SIDE, SIDE), rng=rng)
    return physics, lambda x: (physics._A.numpy() @ x.ravel())[None]


def phase_retrieval() -> tuple[Any, Forward]:
    rng = torch.Generator().manual_seed(0)
    physics = deepinv.physics.RandomPhaseRetrieval(m=4 * SIDE**2, img_size=(1, SIDE, SIDE), rng=rng)
    return physics, lambda x: (abs(physics.B._A.numpy() @ x.ravel()) ** 2)[None]


LINEAR = {"blur": (blur, 0.08), "compressed sensing": (compressed_sensing, 0.05)}
"""How each is made, and the largest relative residual after the fit."""


def residual(forward: Forward, found: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(forward(found) - y) / np.linalg.norm(y))


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_physics_is_an_operator(name, image):
    make, limit = LINEAR[name]
    physics, forward = make()
    y = forward(image)
    done = dip.restore(y, operator=physics, shape=(1, SIDE, SIDE), range=(0, 1), **FIT)
    found = done.values.reshape(SIDE, SIDE)
    assert residual(forward, found, y) < limit
    assert residual(forward, np.full_like(image, image.mean()), y) > 3 * limit  # a constant image does not pass
    if name == "blur":
        assert np.sqrt(np.mean((found - image) ** 2)) < 0.15


def test_single_coil_mri_has_real_and_imaginary_parts_as_channels(image):
    phased = image * np.exp(1j * np.linspace(-1, 1, SIDE))
    mask = np.zeros((SIDE, SIDE))
    mask[:, ::3] = mask[:, 6:10] = 1
    physics = deepinv.physics.MRI(mask=torch.from_numpy(mask).float())

    def forward(x: np.ndarray) -> np.ndarray:
        centred = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x), norm="ortho")) * mask
        return np.stack([centred.real, centred.imag])[None]

    y = forward(phased)
    found = dip.restore(y, operator=physics, shape=(2, SIDE, SIDE), **FIT).values  # (H, W, 2)
    assert residual(forward, found[..., 0] + 1j * found[..., 1], y) < 0.05


def test_phase_retrieval_converges_to_the_image_up_to_a_global_phase(image):
    physics, forward = phase_retrieval()
    y = forward(image)
    found = dip.restore(y, operator=physics, shape=(1, SIDE, SIDE), complex=True, **FIT).values.reshape(SIDE, SIDE)
    assert residual(forward, found, y) < 0.15
    aligned = found * np.exp(-1j * np.angle(np.vdot(image, found)))
    assert np.linalg.norm(aligned - image) / np.linalg.norm(image) < 0.5


def test_our_fit_is_a_reconstructor_of_deepinv(image):
    physics, forward = blur()
    model = DeepImagePrior(**{**FIT, "steps": 3, "experiment": None, "perturbation_warm_up": 0})
    assert isinstance(model, deepinv.models.Reconstructor)
    y = torch.from_numpy(forward(image)).float()
    assert model(y, physics).shape == (1, 1, SIDE, SIDE)
