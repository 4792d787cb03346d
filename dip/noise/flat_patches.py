"""Noise of one image, measured in its flattest patches: level, correlation between neighbours, level by brightness.

A camera's demosaicing, noise reduction and JPEG compression correlate the noise of neighbouring pixels. Estimators for
white noise, such as `noise_level`, then return a fraction of the true level. In a patch without structure the image is
nearly a plane, so what remains after the best plane is removed is noise, whatever its correlation.

In all functions `image` is (1, C, h, w) in [0, 1], as observed; or (b, C, h, w), the parts of a large image, see `blocks`.
`known`, (1, 1, h, w) or (b, 1, h, w), is not 0 where the image was observed; None: everywhere.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 16
"""Side of a patch in pixels: two JPEG blocks, and several correlation lengths of camera noise."""

LIMIT = 2**20
"""Pixels up to which an image is examined whole: estimates take about ten times the memory of what they examine."""

BLOCK = 64
"""Side in pixels of the blocks of a larger image: 4 x 4 patches."""

PATCHES = 4096
"""Maximum number of patches, approximately. A large image is sampled on a coarser grid."""

FRACTION = 0.1
"""Fraction of the patches that is considered flat."""

UNBIASED = SIDE**2 / (SIDE**2 - 3)
"""Corrects a variance for the plane, which removes 3 of the SIDE^2 degrees of freedom."""

QUANTISATION = 1 / 12 / 255**2
"""Variance of rounding to 8 bits. Patches that vary less are clipped or were smoothed by the camera."""

ENOUGH = 20
"""Patches for which there is one group of brightness more. Groups of a tiny image would have no flat patch."""

GROUPS = 4
"""Groups of brightness in which flat patches are chosen. With one group, all of them may be dark."""

BINS = 8
"""Groups of brightness in which the noise is measured by `noise_by_brightness`."""

LEAST = 1e-12  # keeps quotients finite


def blocks(image: Tensor) -> Tensor:
    """`image`, or evenly spaced blocks of a large one, at most LIMIT pixels: (1, C, h, w) -> (n, C, BLOCK, BLOCK).

    The positions depend on the size alone. A side below BLOCK is the side of the blocks.
    """
    height, width = image.shape[-2:]
    if height * width <= LIMIT:
        return image
    count, least = LIMIT // BLOCK**2, [max(1, side // BLOCK) for side in (height, width)]
    rows = min(max(1, round(math.sqrt(count * height / width))), count, least[0])
    columns = min(count // rows, least[1])
    down, across = (
        torch.linspace(0, max(0, side - BLOCK), number).round().long().tolist()
        for side, number in ((height, rows), (width, columns))
    )
    return torch.cat([image[..., top : top + BLOCK, left : left + BLOCK] for top in down for left in across])


def patches(image: Tensor, known: Tensor | None = None, side: int = SIDE) -> Tensor:
    """Square patches on a regular grid: (1, C, h, w) -> (n, C, side, side) float32.

    Patches overlap by half in a small image. An image with a side below `side` is extended by its border. Patches with an
    unknown pixel are left out, so n may be 0.
    """
    image = image.detach().float()
    height, width = image.shape[2:]
    if min(height, width) < side:
        image = functional.pad(image, [0, max(0, side - width), 0, max(0, side - height)], mode="replicate")
        height, width = image.shape[2:]
    stride = max(side // 2, math.ceil(math.sqrt(len(image) * height * width / PATCHES)))
    grid = image.unfold(2, side, stride).unfold(3, side, stride)  # (b, C, rows, columns, side, side)
    found = grid.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    return found if known is None else found[whole(known, side)]


def whole(known: Tensor, side: int = SIDE) -> Tensor:
    """Which patches have no unknown pixel: (1, 1, h, w) -> (n,) bool."""
    return patches((known != 0).float(), side=side).amin((1, 2, 3)) > 0


def without_plane(patch: Tensor) -> Tensor:
    """Each patch (n, C, side, side) minus its least-squares plane."""
    side = patch.shape[-1]
    line = torch.arange(side, device=patch.device, dtype=patch.dtype) - (side - 1) / 2
    line = line / line.square().sum().sqrt() / math.sqrt(side)  # so that a plane's slope has norm 1
    down, across = line[:, None], line[None, :]
    slope_down = (patch * down).sum((2, 3), keepdim=True)
    slope_across = (patch * across).sum((2, 3), keepdim=True)
    return patch - patch.mean((2, 3), keepdim=True) - slope_down * down - slope_across * across


def energy(details: Tensor) -> Tensor:
    """Mean square of each patch: (n, C, SIDE, SIDE) -> (n,)."""
    return details.square().mean((1, 2, 3))


def varies(patch: Tensor) -> Tensor:
    """Which patches (n, C, side, side) vary by more than rounding to 8 bits does, (n,) bool: not a frame or a clipped area."""
    return energy(without_plane(patch)) >= QUANTISATION


def correlation(patch: Tensor, lag: int) -> Tensor:
    """Correlation of pixels at a horizontal or vertical distance of `lag`, (), for patches (n, C, SIDE, SIDE) of mean 0."""
    across = (patch[..., lag:] * patch[..., :-lag]).mean()
    down = (patch[..., lag:, :] * patch[..., :-lag, :]).mean()
    return (across + down) / 2 / patch.square().mean().clamp(min=LEAST)


def smoothed(image: Tensor, side: int = 9) -> Tensor:
    """The mean of the `side` x `side` pixels around each pixel, (1, C, h, w); at the border of those that exist.

    With 9 it is a guide for `flattest` without an average.
    """
    return functional.avg_pool2d(image.detach().float(), side, stride=1, padding=side // 2, count_include_pad=False)


def flattest(guide: Tensor, details: Tensor, groups: int = 1, fewest: int = 4) -> Tensor:
    """Indices of the flattest patches, (m,) int64: the same number in each group of brightness, at least 2 if they exist.

    The patches are chosen by a guide, since a choice by the noisy image would prefer patches with little noise.

    Args:
        guide: patches (n, C, SIDE, SIDE) of a smooth version of the image: an early average, or `smoothed`.
        details: `without_plane` of the patches of the noisy image. Patches that vary less than `QUANTISATION` are
            taken only if there are no others.
        groups: number of groups of equally many patches, from the darkest to the brightest; fewer if there are not ENOUGH.
        fewest: number of all chosen patches, at least, if they exist.
    """
    flatness = energy(without_plane(guide))  # (n,)
    flatness = torch.where(energy(details) < QUANTISATION, flatness + 1, flatness)  # + 1: behind all others
    parts = guide.mean((1, 2, 3)).argsort().tensor_split(max(1, min(groups, len(guide) // ENOUGH)))
    fewest = max(2, fewest // len(parts))
    return torch.cat([group[flatness[group].argsort()[: max(fewest, round(FRACTION * len(group)))]] for group in parts])


def flat_details(image: Tensor, known: Tensor | None, groups: int = 1) -> Tensor:
    """The flattest patches of an image without their planes, (m, C, SIDE, SIDE)."""
    details = without_plane(patches(image, known))
    return details[flattest(patches(smoothed(image), known), details, groups)]


def spectrum(details: Tensor, periodic: bool = True) -> Tensor:
    """Mean power spectrum of patches (n, C, SIDE, SIDE) under a Hann window, (SIDE, SIDE)."""
    window = torch.hann_window(SIDE, periodic, device=details.device)
    power: Tensor = torch.fft.fft2(details * window[:, None] * window).abs().square().mean((0, 1))
    return power


def whiteness(image: Tensor, known: Tensor | None = None) -> float:
    """Power of the noise at the highest frequencies relative to the middle ones: about 1 for white noise.

    It is the power of the flattest patches where both frequencies are at least 3/4 of the highest one, divided by that
    where both are 3/8 to 5/8 of it. Measured: 0.31 to 1.1 on photographs with white or Poisson noise, 0.04 to 0.21 on
    real and simulated camera noise. NaN without a usable patch.
    """
    flat = flat_details(image, known)
    if len(flat) == 0:
        return math.nan
    power = spectrum(flat, periodic=False)
    frequency = (torch.fft.fftfreq(SIDE, device=flat.device) * SIDE).abs().round()  # 0 to SIDE / 2
    high, middle = frequency >= 6, (frequency >= 3) & (frequency <= 5)
    return float(power[high][:, high].mean() / power[middle][:, middle].mean().clamp(min=LEAST))


def by_brightness(patch: Tensor) -> tuple[Tensor, ...]:
    """Indices of `BINS` groups of patches (n, C, SIDE, SIDE), the darkest first; fewer groups if there are not ENOUGH."""
    return patch.mean((1, 2, 3)).argsort().tensor_split(max(1, min(BINS, 2 * len(patch) // ENOUGH)))


def noise_by_brightness(image: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean brightness and noise standard deviation of groups of patches, (n,) each, ascending: `BINS` groups if there are enough.

    The root mean square of the second is the noise level of the image. Texture counts as noise where a group has no
    flat patch: 0.6 to 1.7 times the true level on six photographs, up to 3 times on others.
    """
    patch = patches(image, known)
    details, guide = without_plane(patch), patches(smoothed(image), known)
    brightness, level = [], []
    for group in by_brightness(patch):
        chosen = group[flattest(guide[group], details[group], fewest=2)]
        brightness.append(patch[group].mean())
        level.append((energy(details[chosen]).mean() * UNBIASED).sqrt())
    return torch.stack(brightness), torch.stack(level)


def noise_floor(image: Tensor, known: Tensor | None = None) -> float:
    """Standard deviation of the noise in flat patches of an image that may be clean, without rounding to 8 bits.

    Unlike the other estimates it includes patches that vary as little as rounding. It takes the second lowest of the
    levels in four groups of brightness: one group may be smoothed by the camera, and two may have no flat patch. Patches
    that are mostly at 0 or 1 and uniform patches (a frame, a scan's background) are left out, unless there are no others.
    NaN without a known patch.
    """
    patch, guide = patches(image, known), patches(smoothed(image), known)
    if len(patch) == 0:
        return math.nan
    variance, flatness = energy(without_plane(patch)) * UNBIASED, energy(without_plane(guide))
    saturated = ((patch <= 0) | (patch >= 1)).float().mean((1, 2, 3)) > 0.5
    uniform = variance < QUANTISATION / 1000
    used = torch.ones_like(uniform)
    for left_out in (saturated, uniform):
        used = used & ~left_out if (used & ~left_out).any() else used
    guide, variance, flatness = guide[used], variance[used], flatness[used]
    groups = guide.mean((1, 2, 3)).argsort().tensor_split(min(GROUPS, len(guide)))
    levels = [
        variance[group[flatness[group].argsort()[: max(2, round(FRACTION * len(group)))]]].mean() for group in groups
    ]
    second = torch.stack(levels).sort().values[min(1, len(levels) - 1)]
    return math.sqrt(max(0.0, float(second) - QUANTISATION))
