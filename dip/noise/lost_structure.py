"""Whether a fit has removed structure of a photograph with its noise, from the residual y - f.

Where texture is everywhere, the fit keeps a part of the noise and loses a part of the texture, and its error may exceed
that of the photograph y. Neither the noise level nor the energy of the residual shows it: texture counts as noise. Two
properties of the residual do. The noise of a camera is correlated between neighbouring pixels, and so is the residual of
a good fit; fine texture is correlated less. And a photograph with some flat area has patches in which the fit varies less
than the residual; texture everywhere leaves none.

A fit that ended far too early loses edges too. Its residual is correlated, but has a preferred direction within a small
patch, which noise has not. The direction is measured with the structure tensor (Foerstner and Guelch 1987; Bigun and
Granlund 1987): its coherence is 0 for gradients of all directions, 1 for parallel ones.

What was removed as white noise is tested for being white and equally strong everywhere (`share_if_white`).

Unless said otherwise, `observed` is the photograph, (1, C, h, w) in [0, 1], and what was restored from it has the same shape.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from dip.noise import flat_patches as fp

CORRELATION = 0.5
"""Correlation of neighbouring pixels that the residual of a good fit has at least, unless the noise itself has less."""

SLOPE = 3.5
"""Increase of the weight of the photograph with the correlation that is missing."""

VARIATION = 0.55
"""Increase of the weight with the logarithm of the fit's variation, relative to the residual."""

SMOOTH = -0.4
"""Lower limit of that logarithm: smooth photographs get no larger weight."""

MOST = 0.6
"""Largest weight of the photograph, except where the mean would still differ from the photograph by more than VISIBLE. The
mean of both is better than either on most photographs with texture everywhere."""

VISIBLE = 0.006
"""Root mean square, a PSNR of 44 dB. More than that is not removed where texture was taken for noise. On 38 photographs, 0.005 to
0.01 differ by less than 0.02 dB in the mean, but 0.01 has gains of 0.02 to 0.2 dB on the three with the finest texture, and 0.005
of 0.2 to 0.5 dB."""

NEIGHBOURS, UNLIKE, UNEVEN, ACCEPTED = 2.5, 17.0, 1.5, 1.05
"""Increase of the weight of the photograph with the negative correlations of what was removed as white noise, of pixels at a
distance of 1 and of 2, and with its uneven energy, and what is accepted of them. Chosen on 275 images of 27 scenes."""

MOST_WHITE = 0.85
"""Largest weight of the photograph where white noise was assumed."""

CERTAIN, SUSPECT = 22 / 255, 16 / 255
"""Noise level from which on white noise is not taken for texture, and up to which it may be. Texture was measured as noise of
up to 15 of 255."""

COHERENCE_SIDE = 24
"""Side of the patches of the coherence in pixels. In smaller ones the coherence of noise varies more."""

NOISE, STRUCTURE = 0.22, 0.32
"""Coherence up to which the residual is accepted as noise, and from which on the photograph has the weight 1. Thirteen
photographs with a gain have 0.07 to 0.19."""

FEWEST = 10
"""Patches that vary and have no value at 0 or 1, below which all patches are used."""

SMOOTHEST = 0.1
"""Fraction of the patches in which the fit varies less than the variation that is compared with the residual."""

AROUND, EXCESS, LOWEST = 49, 2.5, 0.25
"""Pixels around a pixel in which texture is looked for, its energy in noise variances below which it is accepted as noise, and
the fraction of the groups of brightness that are taken for flat. Smaller values of the first two gain more on simulated
photographs (13 and 2: up to 1.9 dB), and lose up to 0.6 dB on real ones, whose noise is stronger at edges."""

AGREEING, DIFFERING = 0.3, 0.8
"""Mean square of the difference of two estimates, relative to the residual, up to which both are used, and from which on
only the fit is. BM3D has removed much more than the fit where the difference is as large as the residual."""


def coherence(residual: Tensor) -> Tensor:
    """Mean coherence of the structure tensors of patches, weighted by their energy, () in [0, 1]; NaN if it is constant.

    Args:
        residual: observation minus restored image, (1, C, h, w).
    """
    wide = functional.pad(residual.detach().float(), [1] * 4, mode="replicate")
    down = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    yy, xx, yx = (
        fp.patches(one * other, side=COHERENCE_SIDE).mean((1, 2, 3))
        for one, other in ((down, down), (across, across), (down, across))
    )  # (n,) each, from one product in memory at a time
    return ((yy - xx).square() + 4 * yx.square()).sqrt().sum() / (yy + xx).sum()


def share_of_photograph(observed: Tensor, fitted: Tensor) -> float:
    """The weight of the photograph against the fit, from 0 (the residual is noise) to 1 (it has structure).

    That of `share_of_texture`, but not below (coherence - NOISE) / (STRUCTURE - NOISE), at most 1.
    """
    observed, fitted = fp.blocks(observed), fp.blocks(fitted)
    measured = float(coherence(observed - fitted))
    directed = 0.0 if math.isnan(measured) else min(1.0, (measured - NOISE) / (STRUCTURE - NOISE))
    return max(share_of_texture(observed, fitted), directed)


def share_of_texture(observed: Tensor, fitted: Tensor) -> float:
    """The weight of the photograph against the fit, from 0 (the residual is noise) to 1 (it has texture).

    It is `texture_left`, at most MOST, or more so that the rest of the residual is at most VISIBLE.
    """
    photograph, guide = fp.patches(observed), fp.patches(fitted)  # (n, C, SIDE, SIDE)
    power = float(fp.energy(photograph - guide).mean())
    if not power > fp.LEAST:
        return 0.0
    details = fp.without_plane(photograph)
    weight = float(texture_left(details, photograph - guide, guide, fp.flattest(guide, details, fp.GROUPS)))
    return max(0.0, min(max(MOST, 1 - VISIBLE / math.sqrt(power)), weight))


def texture_left(details: Tensor, residual: Tensor, fitted: Tensor, flat: Tensor) -> Tensor:
    """How much the residual of a fit looks like texture: below 0 like noise, () float32.

    It is SLOPE (min(CORRELATION, r_y) - r) + VARIATION max(SMOOTH, log(v / e)). r is the
    correlation of neighbouring pixels of the residual in the flattest patches, r_y that of the photograph there, v the
    mean square of the fit's details below which it is in SMOOTHEST of the patches, and e the mean square of the residual.
    The constants were chosen on 6 real and 32 simulated photographs, see sweeps/results/photos.

    Args:
        details: `flat_patches.without_plane` of the patches of the photograph, (n, C, SIDE, SIDE).
        residual: patches of the photograph minus the fit.
        fitted: patches of the fit.
        flat: indices of the flattest patches, (m,).
    """
    missing = fp.correlation(details[flat], 1).clamp(max=CORRELATION) - fp.correlation(residual[flat], 1)
    smooth = fp.energy(fp.without_plane(fitted)).quantile(SMOOTHEST)
    varying = (smooth.clamp(min=fp.LEAST) / fp.energy(residual).mean().clamp(min=fp.LEAST)).log()
    return SLOPE * missing + VARIATION * varying.clamp(min=SMOOTH)


def share_if_white(observed: Tensor, denoised: Tensor, sigma: float) -> float:
    """The weight of the photograph against an image from which white noise was removed, in [0, MOST_WHITE].

    What was removed should be white and equally strong where the image is equally bright. Texture that was removed is not: a
    denoiser keeps its low frequencies, so that pixels of the rest at a distance of 1 and 2 have negative correlations -a and
    -b, and its energy e differs from patch to patch. Noise that a denoiser leaves in structure gives the rest a negative
    correlation at a distance of 1, but hardly at 2. The weight is NEIGHBOURS a + UNLIKE b + UNEVEN c - ACCEPTED. c^2 is the
    relative variance of e in 8 x 8 patches of similar brightness (GROUPS groups) that vary and have no value at 0 or 1, minus
    that of white noise. `sigma` is the level of the noise that was removed.
    """
    observed, denoised = fp.blocks(observed), fp.blocks(denoised)
    removed = observed - denoised
    square, guide = fp.patches(removed, side=8), fp.patches(denoised, side=8)  # (n, C, 8, 8)
    inside = fp.patches(((observed > 0) & (observed < 1)).float(), side=8).amin((1, 2, 3)) > 0
    inside &= fp.varies(fp.patches(observed, side=8))
    if int(inside.sum()) >= FEWEST:
        square, guide = square[inside], guide[inside]
    if not float(fp.energy(square).mean()) > fp.LEAST:
        return 0.0
    groups = fp.energy(square)[guide.mean((1, 2, 3)).argsort()].tensor_split(min(fp.GROUPS, len(square)))
    spread = sum(float((group / group.mean().clamp(min=fp.LEAST) - 1).square().sum()) for group in groups)
    uneven = spread / len(square) - 2 / square[0].numel()
    weight = -NEIGHBOURS * float(fp.correlation(removed, 1)) - UNLIKE * float(fp.correlation(removed, 2)) - ACCEPTED
    weight += UNEVEN * math.sqrt(max(0.0, uneven))
    doubt = min(1.0, max(0.0, (CERTAIN - sigma) / (CERTAIN - SUSPECT)))
    return doubt * min(MOST_WHITE, max(0.0, weight))


def local_share(observed: Tensor, restored: Tensor) -> Tensor:
    """The weight of the photograph against the restored image at each pixel, (1, 1, h, w) in [0, 1], where texture was lost.

    If the residual consists of noise of variance s^2 and of lost structure, e is the mean square of the residual around a
    pixel, and both images have independent errors, then 1 - s^2 / e is the weight of the mean with the smallest error. It is
    1 - EXCESS s^2 / e here, so that it is 0 where e varies by chance. s^2 is a line over the brightness (photon noise), fitted
    to groups of flat patches. In groups without flat patches texture counts as noise, so the line has the median slope (Theil
    and Sen) and is above a quarter of the groups, and so is its lower limit.
    """
    brightness, level = fp.noise_by_brightness(observed)
    variance = level.square()  # (groups,), and `brightness` ascends
    residual = observed - restored
    if len(variance) < 2:
        return torch.zeros_like(residual[:, :1])
    first, second = torch.triu_indices(len(variance), len(variance), 1)
    rises = (variance[second] - variance[first]) / (brightness[second] - brightness[first]).clamp(min=fp.LEAST)
    slope = rises.median().clamp(min=0)
    least = (variance - slope * brightness).quantile(LOWEST)
    noise = slope * fp.smoothed(restored.mean(1, keepdim=True), AROUND) + least
    noise = noise.clamp(min=max(fp.QUANTISATION, float(variance.quantile(LOWEST))))
    power = fp.smoothed(residual.square().mean(1, keepdim=True), AROUND)
    return (1 - EXCESS * noise / power.clamp(min=fp.LEAST)).clamp(0, 1).to(restored)


def agreement(difference: Tensor, residual: Tensor) -> float:
    """Weight of a second estimate, from 1 (it agrees with the fit) to 0 (it lacks structure that the fit has).

    Args:
        difference: second estimate minus fit, (1, C, h, w).
        residual: photograph minus fit, of the same shape.
    """
    relative = float(difference.square().mean() / residual.square().mean().clamp(min=fp.LEAST))
    return min(1.0, max(0.0, (DIFFERING - relative) / (DIFFERING - AGREEING)))
