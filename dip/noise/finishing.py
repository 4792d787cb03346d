"""The last step for photographs: what a fit and BM3D restore from the same photograph is combined.

At the best step of a fit the average still contains 7 to 64 % of correlated noise (measured on six photographs), and
non-local means remove part of it. BM3D of the photograph itself has other errors, so a weighted mean of both is better
than either. The strengths and the weight were chosen on six photographs of 256 x 256 pixels and on simulated ones. Where
BM3D or the fit has lost structure, it has less weight: see `dip.noise.lost_structure`.
"""

import torch
from torch import Tensor

from dip import bm3d
from dip.noise.lost_structure import agreement, local_share, share_of_photograph
from dip.options import log

FITTED = 0.4
"""Strength of the non-local means for the average of the fit, in standard deviations of the noise."""

OBSERVED = 4.5
"""Level that BM3D assumes for the photograph, in standard deviations of the noise. BM3D assumes white noise. Correlated
noise of the same variance is several times stronger at low frequencies."""

SHARE = 0.35
"""Weight of BM3D in the mean. 0.5 is 0.03 dB better on photographs, and 0.06 dB worse on simulated ones."""

TOLD = 0.05
"""Weight of the photograph above which a warning is logged."""


def combined(average: Tensor, observed: Tensor, sigma: float, certain: bool = False) -> tuple[Tensor, Tensor]:
    """The weighted mean of two denoised images and, where the fit has lost structure, of the observation, (1, C, h, w).

    The second result is the weight of the fit in it, (1, 1, h, w) or (1, 1, 1, 1).

    Args:
        average: restored by a fit, (1, C, h, w) in [0, 1]; values outside are clipped.
        observed: the photograph, of the same shape.
        sigma: standard deviation of the noise in `observed`; 0 returns `average`.
        certain: it is too unlike texture for the fit to have lost any, see `dip.noise.texture.certain`.
    """
    if not sigma > 0:
        return average, average.new_ones(1, 1, 1, 1)
    observed = observed.to(average)
    other = bm3d.denoised(observed, OBSERVED * sigma)
    residual = observed - average
    both = smoothed(average, FITTED * sigma).lerp(other, SHARE)
    agreeing = agreement(other - average, residual)
    restored, fitted = average.lerp(both, agreeing), average.new_full((1, 1, 1, 1), 1 - SHARE * agreeing)
    if certain:
        return restored, fitted
    weight = share_of_photograph(observed, average)
    restored = restored.lerp(observed, weight) if weight > 0 else restored
    local = local_share(observed, restored)
    _tell(1 - (1 - weight) * (1 - float(local.mean())), "stop.smoothing=0 returns the fit")
    return restored.lerp(observed, local), fitted * (1 - weight) * (1 - local)


def with_photograph(restored: Tensor, observed: Tensor, weight: float, otherwise: str) -> Tensor:
    """The mean of `restored` and the photograph, which has the `weight`. A warning says so, and what to do `otherwise`."""
    _tell(weight, otherwise)
    return restored.lerp(observed.to(restored), weight) if weight > 0 else restored


def _tell(weight: float, otherwise: str) -> None:
    if weight > TOLD:
        log.warning(
            "fine structure was removed with the noise, so %.0f %% of the restored image is the photograph itself; %s",
            100 * weight, otherwise,
        )  # fmt: skip


def smoothed(image: Tensor, sigma: float) -> Tensor:
    """Non-local means (Buades et al. 2005) of `image` (1, C, h, w), 5 x 5 patches within 6 pixels.

    Args:
        image: values in [0, 1]; values outside are clipped.
        sigma: standard deviation of the noise to remove, > 0.
    """
    from skimage.restoration import denoise_nl_means  # slow to import

    array = image[0].permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()  # (h, w, C)
    result = denoise_nl_means(
        array, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
    )
    # With one channel scikit-image returns (h, w).
    return torch.from_numpy(result.reshape(array.shape)).to(image).permute(2, 0, 1)[None].contiguous()
