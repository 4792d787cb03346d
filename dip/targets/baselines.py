"""Baselines: classical methods that restore the same observation, to compare the network with.

To add one, write a function with the signature of `Baseline` and list it in `BASELINES` under its task. A denoiser for
Gaussian noise takes an array and the noise level instead; `_denoiser` makes it a baseline. Import this module only to
compute baselines: scikit-image is slow to import.
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage import filters, restoration
from torch import Tensor
from torch.nn import functional

from dip.bm3d import bm3d
from dip.targets import reconstruction
from dip.targets.noise_models import NoiseModel
from dip.targets.observation import Observation
from dip.targets.operators import Blur, adjoint

BIHARMONIC_LIMIT = 2**18
"""Missing pixels up to which `biharmonic` is computed: a hole of that size takes about 10 s and 1.5 GB."""

Array = np.ndarray[Any, np.dtype[Any]]

Baseline = Callable[[Observation, NoiseModel], Tensor | None]
"""Restores an observation, given the model of its noise: (1, C, H, W), or None where the method does not apply."""


def compute(task: str, observation: Observation, noise: NoiseModel) -> dict[str, Tensor]:
    """The results of all baselines of a task, by name: (1, C, H, W) float32 in [0, 1] on the CPU.

    Args:
        task: one of `BASELINES`; a task without baselines gives {}.
        observation: y (1, C, h, w) in [0, 1], and what is known of it.
        noise: the model of the noise in y.
    """
    results = {name: method(observation, noise) for name, method in BASELINES.get(task, {}).items()}
    return {name: result.clamp(0, 1) for name, result in results.items() if result is not None}


def _denoiser(method: Callable[[Array, float], Any]) -> Baseline:
    """A method for Gaussian noise, (image (H, W, C), sigma > 0) -> image, made a baseline for all noise but impulses.

    The noise model transforms the image so that its noise has one level, and transforms the result back.
    """

    def baseline(observation: Observation, noise: NoiseModel) -> Tensor | None:
        if noise.impulses:
            return None
        image, sigma, inverse = noise.stabilise(observation.y)
        noisy = _to_array(image)
        return inverse(_to_tensor(method(noisy, sigma).reshape(noisy.shape) if sigma else noisy))

    return baseline


# The strengths were chosen by PSNR on crops of scikit-image's photographs at sigma 0.05, 0.1 and 0.2.


def _nlm(noisy: Array, sigma: float) -> Any:
    """Non-local means (Buades et al. 2005), 5 x 5 patches within 6 pixels."""
    return restoration.denoise_nl_means(
        noisy, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
    )


def _tv(noisy: Array, sigma: float) -> Any:
    """Total variation (Rudin, Osher and Fatemi 1992) by Chambolle's algorithm (2004)."""
    return restoration.denoise_tv_chambolle(  # type: ignore[no-untyped-call]
        noisy, weight=0.8 * sigma, eps=1e-5, channel_axis=-1
    )


def _wavelet(noisy: Array, sigma: float) -> Any:
    """BayesShrink (Chang et al. 2000) of Haar wavelets, averaged over 16 shifts (Coifman and Donoho 1995).

    A single shift leaves blocks.
    """
    options = {"sigma": sigma, "convert2ycbcr": noisy.shape[-1] == 3, "rescale_sigma": True, "channel_axis": -1}
    # The margin keeps the shifts from joining opposite edges, and gives tiny images room for one level.
    wide = np.pad(noisy, ((8, 8), (8, 8), (0, 0)), mode="symmetric")
    shrunk = restoration.cycle_spin(
        wide, restoration.denoise_wavelet, max_shifts=3, workers=1, func_kw=options, channel_axis=-1
    )
    return shrunk[8:-8, 8:-8]


def _bm3d(observation: Observation, noise: NoiseModel) -> Tensor | None:
    return _denoiser(lambda noisy, sigma: bm3d(noisy, noise.bm3d_levels(sigma)))(observation, noise)


def _median(observation: Observation, noise: NoiseModel) -> Tensor | None:
    """For impulses: replaces every value that is 0 or 1 by the median of the 5 x 5 around it in its channel."""
    if not noise.impulses:
        return None
    noisy = _to_array(observation.y)
    middle = filters.median(noisy, np.ones((5, 5, 1)), mode="nearest")  # type: ignore[no-untyped-call]
    return _to_tensor(np.where((noisy == 0) | (noisy == 1), middle, noisy))


def _richardson_lucy(observation: Observation, noise: NoiseModel) -> Tensor:
    """Richardson-Lucy deconvolution: x <- x A'(y / A x) / A'1 (Richardson 1972, Lucy 1974).

    Unlike scikit-image's it extends the image beyond its border as the operator does; otherwise motion blur leaves
    stripes. Iterations amplify noise, so a noisy image gets fewer of them.
    """
    assert isinstance(observation.operator, Blur)
    blur, y = reconstruction.on_cpu(observation)
    weight = adjoint(blur, torch.ones_like(y), y).clamp(min=1e-6)
    x = torch.full_like(y, 0.5)
    for _ in range(10 if noise.level(y) > 0.01 else 30):
        x = x * adjoint(blur, y / blur(x).clamp(min=1e-6), x) / weight
    return x


def _resized(filter: Image.Resampling) -> Baseline:
    """Pillow's interpolation to the size of the restored image."""

    def baseline(observation: Observation, noise: NoiseModel) -> Tensor:
        height, width = observation.size
        planes = [Image.fromarray(plane) for plane in observation.y[0].float().cpu().contiguous().numpy()]
        return _to_tensor(np.stack([np.asarray(plane.resize((width, height), filter)) for plane in planes], -1))

    return baseline


def _biharmonic(observation: Observation, noise: NoiseModel) -> Tensor | None:
    """Biharmonic inpainting: the smoothest surface through the known pixels (Damelin and Hoang 2018).

    None if more than `BIHARMONIC_LIMIT` pixels are missing or none is known: the cost of the sparse direct solver grows
    faster than the hole.
    """
    assert observation.known is not None
    missing = observation.known[0, 0].detach().cpu().numpy() < 0.5  # (H, W)
    image = _to_array(observation.y)
    if not missing.any():
        return _to_tensor(image)
    if missing.all() or missing.sum() > BIHARMONIC_LIMIT:
        return None
    # float64: the condition number of the fourth derivative grows with the fourth power of the hole's diameter.
    filled = restoration.inpaint_biharmonic(image.astype(np.float64), missing, channel_axis=-1)
    return _to_tensor(filled.reshape(image.shape))


def _shifted(observation: Observation, noise: NoiseModel) -> Tensor | None:
    """The mean of the image compressed again on shifted block grids (Nosratinia, "Enhancement of JPEG-compressed images
    by re-application of JPEG", 2001), moved into the intervals that the file stores.

    16 of the 64 shifts are within 0.02 dB of all.
    """
    if observation.intervals is None:
        return None
    intervals, y = copy.deepcopy(observation.intervals).to("cpu", torch.float32), observation.y.detach().float().cpu()
    height, width = y.shape[-2:]
    total = torch.zeros_like(y)
    for down, right in itertools.product(range(0, 8, 2), repeat=2):
        wide = functional.pad(y, (right, 0, down, 0), mode="replicate")
        total += intervals.requantized(wide)[..., down : down + height, right : right + width].clamp(0, 1)
    return intervals.project(total / 16)


BASELINES: dict[str, dict[str, Baseline]] = {
    "denoising": {
        "nlm": _denoiser(_nlm),
        "tv": _denoiser(_tv),
        "wavelet": _denoiser(_wavelet),
        "bm3d": _bm3d,
        "median": _median,
    },
    "deblurring": {"richardson_lucy": _richardson_lucy},
    "super-resolution": {"bicubic": _resized(Image.Resampling.BICUBIC), "lanczos": _resized(Image.Resampling.LANCZOS)},
    "jpeg": {"shifted": _shifted},
    "inpainting": {"biharmonic": _biharmonic},
    "tomography": {
        "fbp": reconstruction.backprojection("ramp"),
        "fbp_hann": reconstruction.backprojection("hann"),
        "sart": reconstruction.sart,
        "tv": reconstruction.total_variation,
    },
    "mri": {"zero_filled": reconstruction.zero_filled, "tv": reconstruction.total_variation},
    "binning": {
        "nearest": _resized(Image.Resampling.NEAREST),
        "bicubic": _resized(Image.Resampling.BICUBIC),
        "tv": reconstruction.total_variation,
    },
    "matrix": {"least_squares": reconstruction.least_squares, "tv": reconstruction.total_variation},
}
"""The baselines of each task, by name. The classes of targets name their `task`."""


def _to_array(image: Tensor) -> Array:
    return image.detach()[0].permute(1, 2, 0).float().cpu().numpy()  # (H, W, C)


def _to_tensor(array: Array) -> Tensor:
    clipped = np.clip(array, 0, 1).astype(np.float32)
    return torch.from_numpy(clipped).permute(2, 0, 1)[None].contiguous()  # (1, C, H, W)
