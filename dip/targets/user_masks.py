"""Masks as users make them: a black and white picture, a colour painted on the photo, a painted copy, transparency.

Every function returns a mask (1, 1, H, W) float32, 1 = known, 0 = missing, and one statement for the log about how the
input was interpreted, empty where there is nothing to tell. A soft edge counts as missing below half.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.errors import ImageError
from dip.options import log
from dip.targets import colours

EXAMPLE = "e.g. target.mask=mask.png"

# Measured on three samples with brushes of 3 to 16 pixels, JPEG quality 50 to 95: at quality 75 and above, below 2 % of
# the painted pixels stay visible with wider brushes.
TOLERANCE, TOLERANCE_GRAY = 0.2, 0.06
COMPRESSED_MARGIN = 3  # pixels: the smallest one after compression
TINTED = 0.005  # of the pixels of a black and white mask may have a tint, at edges that were compressed
REGIONS = 5  # so many areas of the photo may have the colour by chance
DIFFERENCE = 0.1  # between the photo and a compressed copy, of the mean over 3 x 3 pixels

Interpreted = tuple[Tensor, str]


def painted(photo: Tensor, colour: str, tolerance: float | None = None) -> Interpreted:
    """The mask of the pixels that are painted in one colour.

    Where the colour was stored exactly, these are the pixels of exactly this colour. After lossy compression they are
    those within the tolerance. A margin is added where the edges of the marks are blended with the photo.

    Args:
        photo: (1, C, H, W) in [0, 1].
        colour: a text for which `is_colour` is true.
        tolerance: in [0, 1], for the channel that differs most; None: chosen as above.

    Raises:
        ImageError: no pixel has this colour, or the photo has no colours.
    """
    values = photo[0].permute(1, 2, 0).nan_to_num().numpy()  # (H, W, C)
    brush = colours.brush(values, colour)
    distance = np.abs(values - brush).max(2)
    exact, near = distance < 1e-5, distance < 8.5 / 255
    # In a compressed image, most pixels of a mark are near its colour and few have it.
    compressed = exact.sum() < 0.8 * near.sum()
    wide = TOLERANCE if np.ptp(brush) > 0.5 else TOLERANCE_GRAY
    limit = max(tolerance, 1e-5) if tolerance is not None else wide if compressed else 1e-5
    marks = distance <= limit
    if not marks.any():
        raise ImageError(
            f"target.mask={colour}: no pixel has this colour; the nearest differs by {distance.min():.2f}; give the colour "
            "as #rrggbb, or target.tolerance, for example target.tolerance=0.3"
        )
    if tolerance is None and compressed:
        marks = colours.without_wide_areas(marks, near | (distance <= 0.3 * limit))
    if (regions := colours.soft_regions(marks, distance < limit + 0.1)) > REGIONS:
        log.warning(
            "target.mask=%s: %d regions of this colour have soft edges and seem to belong to the photo; they count as "
            "missing. Paint in a colour that does not occur in it, for example target.mask='%s'",
            colour, regions, "#00ff00" if colour in ("red", "#ff0000") else "#ff0000",
        )  # fmt: skip
    margin = colours.blended_width(marks, distance, COMPRESSED_MARGIN if compressed and tolerance != 0 else 0)
    missing = colours.dilated(marks, margin)
    code = "#" + "".join(f"{round(255 * float(value)):02x}" for value in np.broadcast_to(brush, 3))
    around = f" and {margin} pixel{'s' * (margin > 1)} around it" * (margin > 0)
    within = f" within {limit:.2g}" * (limit > 1e-4)
    return torch.from_numpy(~missing).float()[None, None], f"the colour {code}{within}{around} is missing"


def transparency(alpha: Tensor) -> Interpreted:
    """The mask of the pixels that are not fully opaque, from alpha (1, 1, H, W) in [0, 1].

    Soft edges count as missing: many programs do not keep the exact colours of translucent pixels.
    """
    return (alpha > 0.99 * alpha.max()).float(), "transparent pixels are missing"


def picture(drawn: Tensor, photo: Tensor, alpha: Tensor | None = None, tolerance: float | None = None) -> Interpreted:
    """The mask in a picture given by the user: black and white, or a copy of the photo with painted parts.

    Args:
        drawn: (1, C, h, w) in [0, 1].
        photo: (1, C, H, W) in [0, 1]. Another size by a factor is allowed.
        alpha: (1, 1, h, w), the transparency of `drawn`.
        tolerance: in [0, 1], for a copy: the largest difference of a pixel that was not painted.

    Raises:
        ImageError: the aspect ratios differ, the mask has colours, or all pixels or none are missing.
    """
    size, notes = (photo.shape[-2], photo.shape[-1]), []
    drawn = drawn.nan_to_num(0)
    _check_size(drawn, size)
    if tuple(drawn.shape[-2:]) != size:
        notes.append(f"{drawn.shape[-1]} x {drawn.shape[-2]} pixels, resized to {size[1]} x {size[0]}")
    opaque = None if alpha is None or alpha.min() > 0.5 else alpha > 0.5  # (1, 1, h, w)
    if opaque is not None and not opaque.any():
        raise ImageError(f"target.mask: the mask is completely transparent; give black and white, {EXAMPLE}")
    known = None if opaque is None else _layer(drawn, opaque)
    if known is not None:
        notes.append("the mask has one colour, so its transparency is used")
    elif _is_copy(drawn, photo):
        known = _unchanged(drawn, photo, tolerance)
        known = known if opaque is None else known * _resized(opaque.float(), (known.shape[-2], known.shape[-1]))
        notes.append("a painted copy of the image: what differs is missing")
    else:
        drawn = drawn if opaque is None else torch.where(opaque, drawn, torch.ones(()))  # as on white paper
        known, note = _black_and_white(drawn)
        notes += [note] * bool(note)
    known = (_resized(known, size) >= 0.5).float()
    if known.min() == known.max():
        what = "known: nothing is missing" if known.max() else "missing: nothing is known"
        raise ImageError(
            f"target.mask: all pixels are {what}; give a mask with white = keep, black = missing, {EXAMPLE}"
        )
    return known, "; ".join(notes)


def _check_size(drawn: Tensor, size: tuple[int, int]) -> None:
    """Raise unless `drawn` has the aspect ratio of `size`, up to the rounding of its sides."""
    (h, w), (height, width) = drawn.shape[-2:], size
    difference = abs(w * height - h * width)
    if difference > min(0.05 * w * height, max(h + w, height + width) / 2):
        raise ImageError(
            f"target.mask: the mask is {w} x {h} pixels (width x height), the image {width} x {height}, of another aspect "
            f"ratio; give a mask of the same part of the image, white = keep, black = missing, {EXAMPLE}"
        )


def _resized(plane: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(plane.shape[-2:]) == size:
        return plane
    return F.interpolate(plane, size=size, mode="bilinear", antialias=True, align_corners=False)


def _layer(drawn: Tensor, opaque: Tensor) -> Tensor | None:
    """The mask in the alpha channel of a layer with strokes of one colour: white strokes are known, others missing.

    None if the opaque pixels have different colours.
    """
    strokes = drawn[0][:, opaque[0, 0]]  # (C, N)
    if (strokes.amax(1) - strokes.amin(1)).max() > 0.1:
        return None
    return opaque.float() if strokes.min() > 0.75 else 1 - opaque.float()


def _is_copy(drawn: Tensor, photo: Tensor) -> bool:
    """Whether `drawn` shows the photo: its strong edges are those of the photo. Black and white is never a copy."""
    if drawn.shape[1] not in (1, photo.shape[1]):
        return False
    gray = drawn.mean(1, keepdim=True)
    if ((gray > 0.1) & (gray < 0.9)).float().mean() < 0.05 and _tint(drawn) < TINTED:
        return False
    small = _smaller(drawn, photo)
    one, other = (_resized(image, small).mean(1).nan_to_num() for image in (drawn, photo))
    shares = []
    for axis in (-1, -2):
        steps, expected = one.diff(dim=axis), other.diff(dim=axis)
        strong = expected.abs() >= max(float(np.quantile(expected.abs().numpy(), 0.9)), 0.02)
        shares.append(((steps - expected).abs() <= 0.5 * expected.abs())[strong])
    return bool(torch.cat(shares).numel()) and torch.cat(shares).float().mean().item() > 0.3


def _smaller(one: Tensor, other: Tensor) -> tuple[int, int]:
    return min((image.shape[-2], image.shape[-1]) for image in (one, other))


def _unchanged(copy: Tensor, photo: Tensor, tolerance: float | None) -> Tensor:
    """1 where a copy of the photo does not differ from it, at the smaller of the two sizes."""
    size = _smaller(copy, photo)
    difference = _resized(copy, size) - _resized(photo, size)  # (1, C, h, w)
    difference = difference.nan_to_num()
    largest = difference.abs().amax(1, keepdim=True)
    if tolerance is not None or (copy.shape == photo.shape and largest.median() < 1 / 255):  # stored exactly
        return (largest <= (1.5 / 255 if tolerance is None else tolerance)).float()
    # The mean over 3 x 3 pixels suppresses the errors of compression, which alternate, and adds a margin of one pixel.
    smooth = F.avg_pool2d(difference, 3, stride=1, padding=1, count_include_pad=False).abs().amax(1, keepdim=True)
    return 1 - F.max_pool2d((smooth > DIFFERENCE).float(), 3, stride=1, padding=1)


def _tint(drawn: Tensor) -> float:
    """The fraction of the pixels that are not gray."""
    return ((drawn.amax(1) - drawn.amin(1)) > 0.25).float().mean().item()


def _black_and_white(drawn: Tensor) -> Interpreted:
    """1 where a gray picture (1, C, h, w) is bright: above half, or the brighter one of only two values."""
    if (coloured := _tint(drawn)) > TINTED:
        raise ImageError(
            f"target.mask: the channels of the mask differ in {100 * coloured:.1f} % of its pixels, and one mask is for all "
            f"channels; give black and white, or a painted copy of the image, {EXAMPLE}"
        )
    gray = drawn.mean(1, keepdim=True)
    low, high = gray.min(), gray.max()
    if not low < 0.5 <= high:
        if low < 0.9 and low < high and ((gray == low) | (gray == high)).all():
            levels = f"{255 * low:.3g} and {255 * high:.3g} of 255"
            return (gray == high).float(), f"two gray levels, {levels}; the brighter is known"
        what = "white: nothing is missing" if low >= 0.5 else "black: nothing is known"
        raise ImageError(
            f"target.mask: the mask is all {what}; its gray levels are {255 * low:.3g} to {255 * high:.3g} of 255; give "
            f"white = keep, black = missing, {EXAMPLE}"
        )
    soft = ((gray > 0.1) & (gray < 0.9)).float().mean().item()
    note = f"{100 * soft:.0f} % of the mask is neither black nor white; below half gray is missing" * (soft > 0.02)
    return (gray >= 0.5).float(), note
