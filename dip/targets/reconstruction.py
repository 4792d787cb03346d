"""Baselines of the targets of laboratories: classical reconstructions of an image from measurements of it."""

import copy
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import lsqr
from skimage import restoration, transform
from torch import Tensor

from dip.targets import fourier
from dip.targets.noise_models import NoiseModel
from dip.targets.observation import Observation
from dip.targets.operators import adjoint
from dip.targets.sparse_operator import SparseOperator

WEIGHTS = 8
"""Largest number of weights that `total_variation` tries, each half of the one before."""

ITERATIONS = 100
"""Iterations of `total_variation` for each weight. With 25 the Radon transform is 3.6 dB from convergence."""

TV_LIMIT = 2**17
"""Pixels up to which `total_variation` is computed. It takes 3 s of CPU time at 128 x 128 and 60 angles."""


def total_variation(observation: Observation, noise: NoiseModel) -> Tensor | None:
    """Minimises ||A x - y||^2 / 2 + w TV(x) for x in [0, 1] by FISTA (Beck and Teboulle 2009), with Chambolle's prox.

    The weight w is halved until the residual is that of the noise (Morozov's discrepancy principle); every fit starts
    from the one before. None above `TV_LIMIT` pixels.
    """
    if observation.size[0] * observation.size[1] > TV_LIMIT:
        return None
    operator, y = on_cpu(observation)
    shape = (1, *observation.shape)
    step = 1 / _largest_eigenvalue(operator, shape)
    x = torch.full(shape, 0.0)
    share = 1.0 if observation.known is None else float(observation.known.mean())
    allowed = noise.level(y) ** 2 * share * y.numel()
    weight = 0.05  # in units of the image, after the division by the largest eigenvalue
    for _ in range(WEIGHTS):
        ahead, momentum = x, 1.0
        for _ in range(ITERATIONS):
            gradient, _ = _gradient(operator, ahead, y)
            moved = (ahead - step * gradient)[0].permute(1, 2, 0).numpy()  # (H, W, C)
            smooth = restoration.denoise_tv_chambolle(  # type: ignore[no-untyped-call]
                moved, weight=weight, eps=1e-4, max_num_iter=15, channel_axis=-1
            )
            new = torch.from_numpy(np.ascontiguousarray(smooth, np.float32)).permute(2, 0, 1)[None].clamp(0, 1)
            faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead, x, momentum = new + (momentum - 1) / faster * (new - x), new, faster
        if _gradient(operator, x, y)[1] <= allowed:
            break
        weight /= 2
    return x


def backprojection(filter: str) -> Any:
    """Filtered backprojection (`skimage.transform.iradon`) with the window `filter`, as a baseline."""

    def baseline(observation: Observation, noise: NoiseModel) -> Tensor:
        height, width = observation.size
        side = max(height, width)
        sinogram, degrees = _sinogram(observation)
        options: dict[str, Any] = {"circle": False, "output_size": side, "filter_name": filter}
        planes = [transform.iradon(plane, degrees, **options) for plane in sinogram]  # type: ignore[no-untyped-call]
        return _cropped(planes, side, observation.size)

    return baseline


def sart(observation: Observation, noise: NoiseModel) -> Tensor:
    """Five iterations of SART (Andersen and Kak 1984) by `skimage.transform.iradon_sart`, clipped to [0, 1]."""
    sinogram, degrees = _sinogram(observation)
    planes = []
    for plane in sinogram:
        image = None
        for _ in range(5):
            image = transform.iradon_sart(plane, theta=np.array(degrees), image=image, clip=(0, 1))  # type: ignore[no-untyped-call]
        planes.append(image)
    return _cropped(planes, sinogram.shape[1], observation.size)


def zero_filled(observation: Observation, noise: NoiseModel) -> Tensor:
    """The real part of the inverse Fourier transform, with 0 for the frequencies that were not sampled."""
    return fourier.inverse(torch.complex(*observation.y.detach().float().cpu().chunk(2, 1))).real


def least_squares(observation: Observation, noise: NoiseModel) -> Tensor:
    """The image of least norm among those of least squared residual, by LSQR (Paige and Saunders 1982)."""
    operator, y = on_cpu(observation)
    assert isinstance(operator, SparseOperator)
    matrix = operator.to_scipy()
    rows = y.numpy().reshape(1 if operator.joint else y.shape[1], -1)
    solved = [lsqr(matrix, row, iter_lim=200)[0] for row in rows]
    return torch.from_numpy(np.stack(solved).astype(np.float32)).view(1, -1, *observation.size)


def _sinogram(observation: Observation) -> tuple[Any, list[float]]:
    """The line integrals in units of pixels times brightness, (C, detectors, angles) float64, and the angles."""
    operator, y = on_cpu(observation)
    assert isinstance(operator, SparseOperator)
    assert operator.degrees is not None
    return y[0].double().numpy() * operator.divisor, operator.degrees


def _cropped(planes: list[Any], side: int, size: tuple[int, int]) -> Tensor:
    """The part of square planes that is the image; the pixel (side // 2, side // 2) is its middle one."""
    top, left = side // 2 - size[0] // 2, side // 2 - size[1] // 2
    cut = np.stack(planes)[:, max(top, 0) : top + size[0], max(left, 0) : left + size[1]]
    return torch.from_numpy(np.ascontiguousarray(cut, np.float32))[None]


def on_cpu(observation: Observation) -> tuple[Any, Tensor]:
    """A copy of the operator, which a fit in float64 has converted, and y; both in float32 on the CPU."""
    return copy.deepcopy(observation.operator).to("cpu", torch.float32), observation.y.detach().float().cpu()


def _gradient(operator: Any, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """A'(A x - y), and the sum of the squares of A x - y."""
    residual = operator(x) - y
    return adjoint(operator, residual, x), float(residual.square().sum())


def _largest_eigenvalue(operator: Any, shape: tuple[int, ...]) -> float:
    """Of A'A, by 20 power iterations, with a margin of 5 %."""
    x = torch.ones(shape)
    zero = torch.zeros_like(operator(x))
    norm = 1.0
    for _ in range(20):
        x, _ = _gradient(operator, x / x.norm(), zero)
        norm = float(x.norm())
    return 1.05 * norm
