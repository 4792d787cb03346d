"""The last step for photographs: what a fit and non-local means restore from the same photograph is combined.

At the best step of a fit the average still contains 7 to 64 % of correlated noise (measured on six photographs), and
non-local means remove part of it. Their result for the photograph itself has other errors, so a weighted mean of both is
better than either. The strengths and the weight were chosen on crops of six photographs and of nine simulated ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FITTED = 0.4
"""Strength of the non-local means for the average of the fit, in standard deviations of the noise."""

OBSERVED = 1.3
"""Strength for the photograph itself."""

SHARE = 0.2
"""Weight of the photograph's result in the mean. On crops of 128 x 128 pixels 1/3 is as good, on larger images worse."""


def combined(average: Tensor, observed: Tensor, sigma: float) -> Tensor:
    """The weighted mean of two denoised images, (1, C, h, w).

    Args:
        average: restored by a fit, (1, C, h, w) in [0, 1]; values outside are clipped.
        observed: the photograph, of the same shape.
        sigma: standard deviation of the noise in `observed`; 0 returns `average`.
    """
    if not sigma > 0:
        return average
    return smoothed(average, FITTED * sigma).lerp(smoothed(observed, OBSERVED * sigma), SHARE)


def smoothed(image: Tensor, sigma: float) -> Tensor:
    """Non-local means (Buades et al. 2005) of `image` (1, C, h, w), 5 x 5 patches within 6 pixels.

    Args:
        image: values in [0, 1]; values outside are clipped.
        sigma: standard deviation of the noise to remove, > 0.
    """
    import torch
    from skimage.restoration import denoise_nl_means

    array = image[0].permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()  # (h, w, C)
    result = denoise_nl_means(
        array, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
    )
    # With one channel scikit-image returns (h, w).
    return torch.from_numpy(result.reshape(array.shape)).to(image).permute(2, 0, 1)[None].contiguous()
