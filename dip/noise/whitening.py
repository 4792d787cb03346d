"""The filter of the loss where the noise is correlated: it makes the noise of neighbouring pixels less correlated.

Least squares is the likelihood of white noise. For noise with covariance C the likelihood is that of the residual
filtered by C^(-1/2). Camera noise has most of its power at low frequencies, which the network fits first, so with plain
least squares the noise is fitted before the details. The filter gives low frequencies less weight in the loss.
"""

import torch
from torch import Tensor

from dip.noise.flat_patches import GROUPS, QUANTISATION, SIDE, flat_details, spectrum

SIZE = 7
"""Side of the filter in pixels."""

FLOOR = 1.0
"""Added to the power spectrum, relative to its mean. Without it the highest frequencies, which JPEG removes, would have
most of the weight. Of 0.03, 0.1, 0.3, 1 and 3, tried on photographs, 1 gave the best images in the mean."""


def whitening(image: Tensor) -> Tensor | None:
    """The filter for the noise of `image`, (SIZE, SIZE) float32 with norm 1; None without measurable noise.

    Its frequency response is (P / mean P + FLOOR)^(-1/2), cut to SIZE x SIZE, where P is the power spectrum of the
    noise, measured in the flattest patches. P is made symmetric and is the same for all channels.

    Args:
        image: (1, C, h, w) in [0, 1], as observed.
    """
    flat = flat_details(image, None, GROUPS)  # (m, C, SIDE, SIDE)
    if float(flat.square().mean()) < QUANTISATION:
        return None
    power = spectrum(flat)  # (SIDE, SIDE)
    for axis in (0, 1):
        power = (power + power.flip(axis).roll(1, axis)) / 2
    power = (power + power.T) / 2
    power[0, 0] = power[0, 1]  # the planes were removed
    response = (power / power.mean() + FLOOR).rsqrt()
    middle, reach = SIDE // 2, SIZE // 2
    kernel: Tensor = torch.fft.fftshift(torch.fft.ifft2(response).real)
    kernel = kernel[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return kernel.div(kernel.norm())
