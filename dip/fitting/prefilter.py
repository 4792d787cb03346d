"""The input of the networks for `method=guided`: the observation, denoised by BM3D.

A network that starts from BM3D needs less time, and both have different errors, so that their mean is better than either.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dip import bm3d
from dip.configuration.schema import Config
from dip.methods.variants import Guided
from dip.nets import NETS
from dip.options import log

if TYPE_CHECKING:
    from torch import Tensor

    from dip.targets import Observation

SHARE = 0.5
"""Weight of BM3D in the restored image. On astronaut and coffee, 0.3 and 0.7 differ by at most 0.1 dB."""


def prefiltered(config: Config, seen: Observation) -> Observation:
    """`seen` with BM3D of its y as `z` and as `denoised`, if method=guided applies; else `seen`.

    It applies to an image of at most `bm3d.LIMIT` pixels (of three channels) with white noise that is not impulses, without
    another guide, and to the networks of this project whose input has the size of the image.
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
        else f"{height} x {width} pixels exceed {bm3d.LIMIT:,}, for which it takes minutes" if seen.y.numel() > 3 * bm3d.LIMIT
        else None
    )  # fmt: skip
    if reason is None:
        from dip.stopping.adaptive import examine
        from dip.stopping.lost_structure import share_if_white
        from dip.stopping.noise_level import colour_levels

        noise = examine(seen.y)
        if noise.kind == "white":
            log.info(
                "method=guided: BM3D of the image is the network's input, through a skip connection at level 1 too"
            )
            levels = colour_levels(seen.y)
            denoised = bm3d.denoised(seen.y, levels)
            share = share_if_white(seen.y, denoised, max(levels))
            return dataclasses.replace(seen, z=denoised, denoised=denoised, sigma=noise.sigma, share=share)
        reason = "there is no noise" if noise.kind == "none" else f"the noise is {noise.kind}"
    log.info("method=guided: starts without BM3D, as method=dip, since %s", reason)
    return seen


def mixed(image: Tensor, seen: Observation) -> Tensor:
    """The mean of `image` (1, C, H, W) and `seen.denoised`, weighted by `SHARE`; `image` without the latter.

    The mean is corrected for noise that was clipped to [0, 1]. Where texture was taken for noise, the photograph has a part.
    The scores of the records are those of the networks alone, so the image that is returned may be better than the best of
    them.
    """
    if seen.denoised is None:
        return image
    from dip.stopping.clipped_noise import unclipped
    from dip.stopping.finishing import with_photograph

    mean = unclipped(image.lerp(seen.denoised.to(image), SHARE), seen.y, seen.sigma)
    return with_photograph(mean, seen.y, seen.share, "method=dip returns the fit")


def networks_share(seen: Observation) -> float:
    """The weight of the networks' average in the restored image."""
    return (1 - SHARE) * (1 - seen.share) if seen.denoised is not None else 1.0
