"""JPEG restoration: removal of compression artefacts. The fit has no operator, since JPEG is not linear."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.errors import ImageError
from dip.options import check_integer, option
from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Simulated

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Jpeg(Simulated):
    """The image has the artefacts of JPEG compression, or gets them from a given quality."""

    name: str = "jpeg"
    quality: int | None = option(
        None,
        "quality of the JPEG that is made of the image, which is then the reference; null: the image is a JPEG already",
        "an integer from 1 to 100 or null",
        "10",
    )

    def __post_init__(self) -> None:
        check_integer(self, "quality", low=1, high=100, none=True, prefix="target.")
        super().__post_init__()

    def real_damage(self) -> str | None:
        return "target.quality=null" if self.quality is None else None

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `quality` the image with noise, compressed and decompressed."""
        if self.quality is None:
            return direct(image, None)
        return direct(compressed(self.add_noise(image, seed), self.quality), image)


def compressed(image: Tensor, quality: int) -> Tensor:
    """The image (1, C, H, W) in [0, 1] after JPEG compression by Pillow: 8 bits, chroma at half resolution.

    Args:
        image: gray (C = 1) or RGB (C = 3).
        quality: from 1 (worst) to 100.

    Raises:
        ImageError: another number of channels, or sides that JPEG does not support.
    """
    import numpy as np
    import torch
    from PIL import Image

    channels, height, width = image.shape[1:]
    if channels not in (1, 3) or max(height, width) > 65535:
        raise ImageError(
            f"target.quality: JPEG stores gray or RGB and at most 65535 pixels a side, the image has {channels} channels "
            f"and {height} x {width} pixels; use target=degraded, or a smaller size, for example size=2048"
        )
    values = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()  # (H, W, C)
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if channels == 1 else values).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=["JPEG"]) as stored:
        pixels = np.array(stored).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255  # (1, C, H, W)
