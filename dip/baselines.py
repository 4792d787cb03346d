"""Classical answers to the same question: was the network worth the wait?

Every function takes what was observed as a float tensor (1, C, H, W) in [0, 1] and returns named float32
tensors on the CPU, clipped to [0, 1]. scikit-image is imported only when it is needed.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BIHARMONIC_LIMIT = 2**18
"""Missing pixels up to which `inpaint` answers: one solid hole of that size takes about 10 s and 1.5 GB."""

Array = np.ndarray[Any, np.dtype[Any]]


def denoise(image: Tensor, sigma: float) -> dict[str, Tensor]:
    """Non-local means, total variation and wavelet shrinkage, all told the true noise level.

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


def upscale(image: Tensor, factor: int) -> dict[str, Tensor]:
    """Bicubic and Lanczos interpolation (Pillow's, a = -0.5 and three lobes), `factor` times larger.

    Args:
        image: the low-resolution image (1, C, h, w) in [0, 1].
        factor: >= 1.

    Returns:
        "bicubic", "lanczos": (1, C, factor h, factor w).
    """
    small = _to_array(image)  # (h, w, C)
    size = (factor * small.shape[1], factor * small.shape[0])  # Pillow's order

    def resize(filter: Image.Resampling) -> Tensor:
        planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(small, -1, 0)]
        return _to_tensor(np.stack([np.asarray(plane.resize(size, filter)) for plane in planes], -1))

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
