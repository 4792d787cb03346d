"""Classical answers to the same question: was the network worth the wait?

Every function takes what was observed as a float tensor (1, C, H, W) in [0, 1] and returns named float32
tensors on the CPU, clipped to [0, 1]. scikit-image is imported only when it is needed.
"""

from __future__ import annotations

import copy
import importlib.util
import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dip.targets.operators import Operator

BIHARMONIC_LIMIT = 2**18
"""Missing pixels up to which `inpaint` answers: one solid hole of that size takes about 10 s and 1.5 GB."""

SPECKLE_OFFSET = 1 / 16
"""What is added before a logarithm, so that black has one; below it speckle is taken for weaker than it is."""

Array = np.ndarray[Any, np.dtype[Any]]


def denoise(image: Tensor, sigma: float) -> dict[str, Tensor]:
    """Non-local means, total variation and wavelet shrinkage, all told the noise level.

    The strengths were chosen by PSNR on crops of scikit-image's photos at sigma 0.05, 0.1 and 0.2.

    Args:
        image: the noisy image (1, C, H, W) in [0, 1], any number of channels.
        sigma: standard deviation of the Gaussian noise, in the image's units, >= 0; 0 gives `image` back.

    Returns:
        "nlm": Buades et al. 2005, 5 x 5 patches within 6 pixels. "tv": Rudin-Osher-Fatemi by Chambolle 2004.
        "wavelet": BayesShrink (Chang et al. 2000) of Haar wavelets, averaged over 16 shifts (Coifman and
        Donoho 1995) since one alone leaves blocks; only where PyWavelets is installed, which scikit-image
        needs for it.
    """
    noisy = _to_array(image)  # (H, W, C)
    names = ["nlm", "tv"] + (["wavelet"] if importlib.util.find_spec("pywt") else [])
    if sigma == 0:
        return {name: _to_tensor(noisy) for name in names}
    answers = {
        "nlm": _restoration().denoise_nl_means(
            noisy, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
        ),
        "tv": _restoration().denoise_tv_chambolle(noisy, weight=0.8 * sigma, eps=1e-5, channel_axis=-1),
    }
    if "wavelet" in names:
        answers["wavelet"] = _wavelet(noisy, sigma)
    return {name: _to_tensor(answer.reshape(noisy.shape)) for name, answer in answers.items()}


def denoise_poisson(image: Tensor, peak: float) -> dict[str, Tensor]:
    """`denoise` after Anscombe's transform, which gives Poisson noise one level everywhere (Biometrika 1948).

    Args:
        image: photon counts (1, C, H, W), divided by `peak` and clipped to [0, 1].
        peak: photons that make white, > 0.
    """
    white = math.sqrt(peak + 3 / 8)  # 2 sqrt(x + 3/8) has variance 1, for all counts x but the smallest
    answers = denoise((peak * image + 3 / 8).sqrt() / white, 0.5 / white)
    # The algebraic inverse would subtract 3/8, and be too dark: the mean of a root is below the root of the mean.
    return {name: (((white * answer) ** 2 - 1 / 8) / peak).clamp(0, 1) for name, answer in answers.items()}


def denoise_speckle(image: Tensor, sigma: float) -> dict[str, Tensor]:
    """`denoise` after a logarithm, which makes multiplied noise added noise.

    Args:
        image: (1, C, H, W) in [0, 1], an image times 1 + N(0, sigma^2).
        sigma: >= 0.
    """
    span = math.log1p(1 / SPECKLE_OFFSET)
    answers = denoise((image / SPECKLE_OFFSET).log1p() / span, sigma / span)
    return {name: (answer * span).expm1() * SPECKLE_OFFSET for name, answer in answers.items()}


def denoise_impulses(image: Tensor) -> dict[str, Tensor]:
    """Every value that is 0 or 1 becomes the median of the 5 x 5 around it in its channel; the others stay.

    Args:
        image: (1, C, H, W) in [0, 1], some of its values salt or pepper.

    Returns:
        "median".
    """
    import skimage.filters

    filters: Any = skimage.filters
    noisy = _to_array(image)
    middle = filters.median(noisy, np.ones((5, 5, 1)), mode="nearest")
    return {"median": _to_tensor(np.where((noisy == 0) | (noisy == 1), middle, noisy))}


def deblur(image: Tensor, blur: Operator, sigma: float) -> dict[str, Tensor]:
    """Richardson-Lucy deconvolution: x <- x A'(y / A x) / A'1 (Richardson 1972, Lucy 1974).

    Unlike scikit-image's it takes the image to continue beyond its border as `blur` does, without which a motion
    blur leaves stripes. It amplifies noise as it goes on, so a noisy image gets fewer iterations.

    Args:
        image: the blurred image y (1, C, H, W) in [0, 1].
        blur: A, with a kernel >= 0.
        sigma: standard deviation of the noise in `image`.

    Returns:
        "richardson_lucy".
    """
    y = image.detach().float().cpu()
    blur = copy.deepcopy(blur).to("cpu", torch.float32)  # a fit in double precision has made it double
    weight = blur.adjoint(torch.ones_like(y))
    x = torch.full_like(y, 0.5)
    for _ in range(10 if sigma > 0.01 else 30):
        x = x * blur.adjoint(y / blur(x).clamp(min=1e-6)) / weight.clamp(min=1e-6)
    return {"richardson_lucy": x.clamp(0, 1)}


def upscale(image: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """Bicubic and Lanczos interpolation (Pillow's, a = -0.5 and three lobes).

    Args:
        image: the low-resolution image (1, C, h, w) in [0, 1].
        size: (H, W) of the answers, no smaller.

    Returns:
        "bicubic", "lanczos": (1, C, H, W).
    """
    small = _to_array(image)  # (h, w, C)

    def resize(filter: Image.Resampling) -> Tensor:
        planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(small, -1, 0)]
        return _to_tensor(np.stack([np.asarray(plane.resize(size[::-1], filter)) for plane in planes], -1))

    return {"bicubic": resize(Image.Resampling.BICUBIC), "lanczos": resize(Image.Resampling.LANCZOS)}


def inpaint(image: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Biharmonic inpainting: the smoothest surface through the known pixels (Damelin and Hoang 2018).

    Args:
        image: the observed image (1, C, H, W) in [0, 1]; what it holds at missing pixels does not matter.
        mask: (1, 1, H, W), 1 = known, 0 = missing.

    Returns:
        "biharmonic", or nothing where more than `BIHARMONIC_LIMIT` pixels are missing or none is known: the
        sparse direct solve grows faster than the hole.
    """
    missing = mask[0, 0].detach().cpu().numpy() < 0.5  # (H, W)
    known = _to_array(image)
    if not missing.any():
        return {"biharmonic": _to_tensor(known)}
    if missing.all() or missing.sum() > BIHARMONIC_LIMIT:
        return {}
    # float64: the fourth derivative's condition number grows with the hole's diameter to the fourth.
    answer = _restoration().inpaint_biharmonic(known.astype(np.float64), missing, channel_axis=-1)
    return {"biharmonic": _to_tensor(answer.reshape(known.shape))}


def _wavelet(noisy: Array, sigma: float) -> Array:
    color = noisy.shape[-1] == 3
    # The margin keeps the shifts from joining opposite edges, and gives tiny images room for one level.
    wide = np.pad(noisy, ((8, 8), (8, 8), (0, 0)), mode="symmetric")
    total = np.zeros_like(wide)
    for shift in np.ndindex(4, 4):
        shifted = np.roll(wide, shift, axis=(0, 1))
        shrunk = _restoration().denoise_wavelet(
            shifted, sigma=sigma, convert2ycbcr=color, rescale_sigma=True, channel_axis=-1
        )
        total += np.roll(shrunk.reshape(wide.shape), (-shift[0], -shift[1]), axis=(0, 1))
    return total[8:-8, 8:-8] / 16


def _restoration() -> Any:
    import skimage.restoration

    return skimage.restoration


def _to_array(image: Tensor) -> Array:
    return image.detach()[0].permute(1, 2, 0).float().cpu().numpy()  # (H, W, C)


def _to_tensor(array: Array) -> Tensor:
    clipped = np.clip(array, 0, 1).astype(np.float32)
    return torch.from_numpy(clipped).permute(2, 0, 1)[None].contiguous()  # (1, C, H, W)
