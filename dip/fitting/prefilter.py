"""The input of the networks for `method=guided`: the observation, denoised by BM3D.

A network that starts from BM3D needs less time, and both have different errors, so that their mean is better than either.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from dip import bm3d, images
from dip.configuration.schema import Config
from dip.methods.variants import Guided
from dip.nets import NETS
from dip.noise.clipping import unclipped
from dip.noise.dependence import Line, described
from dip.noise.finishing import with_photograph
from dip.noise.level import Noise, colour_levels, examine, noise_level, white_levels
from dip.noise.lost_structure import CERTAIN, VISIBLE, share_if_white
from dip.options import log
from dip.targets import Observation
from dip.targets.noise_models import Estimated, Levels, anscombe

TESTED = 512
"""Side, in pixels, of the middle of an image in which texture is looked for if the fit does not start from BM3D."""

DOUBTED = 0.5
"""Weight of the photograph against BM3D from which a fit that does not start from it changes nothing visible."""

EQUAL = 25 / 255
"""Level of the noise at which BM3D and the networks have the same weight. Stronger noise costs the networks more: the best
weight of BM3D was 0.3 at 15 / 255, 0.4 to 0.6 at 25 / 255 and 0.7 to 0.9 at 50 / 255, on samples of scikit-image."""

MANY = 3 * 2**20
"""Values of an image with more than three channels up to which BM3D is computed: its memory grows with the channels."""


def prefiltered(config: Config, seen: Observation, file: Path | None = None) -> Observation:
    """`seen` with BM3D of its y as `z` and as `denoised`, if method=guided applies; else `seen`.

    BM3D is applied after the transform that gives noise of a known or recognised model one level (`NoiseModel.stabilise`).
    It applies to an image with noise that is white or is said to be (`stop.noise`), and that is not impulses, without
    another guide, and to the networks of this project whose input has the size of the image. An image of more than three
    channels has at most `MANY` values.

    Args:
        config: the options.
        seen: the observation.
        file: a TIFF file that keeps BM3D of a large image, so that a run that resumes reads it.
    """
    if not isinstance(config.method, Guided):
        return seen
    height, width = seen.size
    padded = config.net.padded(height, width)
    reason = (
        f"target={config.target.name} is not denoising" if config.target.task != "denoising" or seen.known is not None
        else "BM3D does not remove impulses" if config.target.noise_model(0.1).impulses
        else f"net={config.net.name} has no guide" if config.net.volumetric or "z" in config.net.ignores
        else "z.guide is the guide" if seen.z is not None
        else f"net={config.net.name} is your own" if type(config.net) not in NETS.values()
        else f"the input of net={config.net.name} is smaller" if config.net.input_size(padded) != padded
        else f"{height} x {width} pixels of more than three channels exceed {MANY:,} values"
        if seen.y.shape[1] > 3 and seen.y.numel() > MANY
        else None
    )  # fmt: skip
    if reason is None:
        told = noise_level(seen.y) if getattr(config.stop, "noise", None) == "white" else 0.0
        noise = Noise("white", None, told) if told > 0 else examine(seen.y)
        if noise.kind == "white":
            log.info(
                "method=guided: BM3D of the image is the network's input, through a skip connection at level 1 too"
            )
            levels, line = white_levels(seen.y)
            model = config.target.noise_model(noise.sigma, levels, line)
            stable, level, inverse = model.stabilise(seen.y)
            if line is not None and isinstance(model, Estimated):
                log.info("method=guided: %s", described(line))
            line = None if stable is seen.y else model.dependence()
            if line is not None or stable is seen.y:
                denoised, share = _tested(seen.y, levels, line, file)
                variance = line or (0.0, noise.sigma**2)
                return dataclasses.replace(seen, z=denoised, denoised=denoised, noise=variance, share=share)
            # Of speckle, neither clipping nor texture is examined.
            denoised = inverse(_bm3d(stable, level, file)).clamp(0, 1)
            return dataclasses.replace(seen, z=denoised, denoised=denoised)
        reason = "there is no noise" if noise.kind == "none" else f"the noise is {noise.kind}"
    log.info("method=guided: starts without BM3D, as method=dip, since %s", reason)
    return seen


def _tested(y: Tensor, levels: list[float], line: Line | None, file: Path | None = None) -> tuple[Tensor, float]:
    """BM3D of `y`, and the weight of `y`, because some of the noise may be texture. `levels` and `line`: `white_levels`."""
    if line is None:
        denoised = _bm3d(y, levels, file)
        return denoised, share_if_white(y, denoised, max(levels))
    stable, level, inverse = anscombe(y, *line)
    denoised = _bm3d(stable, level, None if file is None else file.with_name(f"{file.stem}-anscombe{file.suffix}"))
    clipped = (y <= 0) | (y >= 1)  # values that the test for texture leaves out
    return inverse(denoised).clamp(0, 1), share_if_white(y.where(clipped, stable), denoised, level)


def _bm3d(y: Tensor, levels: Levels, file: Path | None) -> Tensor:
    """BM3D of `y` at the noise `levels`, in [0, 1]; `file` keeps it, exactly."""
    if file is not None and file.exists():
        return images.load(file, "BM3D", (0.0, 1.0)).pixels
    denoised = bm3d.denoised(y, levels)
    if file is not None:
        images.save(file, denoised, images.Picture(denoised, mode="float32"))
    return denoised


def perturbation(config: Config, seen: Observation) -> float:
    """The perturbation of z: at least the level of the noise, if there is any perturbation. Rounded, for names of tiles."""
    return config.perturbation and max(config.perturbation, round(seen.level, 4))


def without_impulses(config: Config, noise: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What stop=adaptive found, for `mixed`; None for impulses, which BM3D does not remove."""
    return None if config.target.noise_model(0.1).impulses else noise


def mixed(image: Tensor, seen: Observation, noise: Mapping[str, Any] | None = None) -> tuple[Tensor, float]:
    """The weighted mean of `image` (1, C, H, W) and `seen.denoised`; `image` without the latter. And the weight of `image`.

    The mean is corrected for noise that was clipped to [0, 1]. Where texture was taken for noise, the photograph has a
    part, without `seen.denoised` too. The scores of the records are those of the networks alone, so the image that is
    returned may be better than the best of them.

    Args:
        image: the average of the networks.
        seen: what it was fitted to.
        noise: `Rule.chosen` of stop=adaptive.
    """
    if seen.denoised is None:
        if noise is None or noise["noise"] != "white" or noise["sigma"] >= CERTAIN or seen.known is not None:
            return image, 1.0
        top, left = (max(0, side - TESTED) // 2 for side in seen.size)
        middle = seen.y[..., top : top + TESTED, left : left + TESTED]
        share = _tested(middle, colour_levels(middle), white_levels(seen.y)[1])[1]
        if share > DOUBTED:  # the fit lost more than BM3D
            removed = float((seen.y - image.to(seen.y)).square().mean()) ** 0.5
            share = max(share, 1 - VISIBLE / max(VISIBLE, removed))
        return with_photograph(image, seen.y, share, f"stop={noise['name']} returns the fit"), 1 - share

    photons = seen.noise[0] > 0  # the inverse of their transform has corrected BM3D
    image = unclipped(image, seen.y, seen.noise) if photons else image
    weight = seen.level / (seen.level + EQUAL) if seen.level else 0.5
    mean = image.lerp(seen.denoised.to(image), weight)
    mean = mean if photons else unclipped(mean, seen.y, seen.noise)
    mean = with_photograph(mean, seen.y, seen.share, "method=dip returns the fit")
    return mean, (1 - weight) * (1 - seen.share)
