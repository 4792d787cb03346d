"""JPEG restoration: removal of compression artefacts, in agreement with all that the file stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.errors import ImageError
from dip.options import flag, integer, log, option
from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Simulated

if TYPE_CHECKING:
    from torch import Tensor

    from dip.targets.jpeg_intervals import Intervals


@dataclasses.dataclass
class Jpeg(Simulated):
    """The image is a JPEG file, or is compressed with a given quality. The file's quantization tables are used."""

    name: str = "jpeg"
    quality: int | None = option(
        None,
        "quality of the JPEG that is made of the image, which is then the reference; null: the image is a JPEG already",
        integer(1, 100, none=True),
        "10",
    )
    intervals: bool = option(
        True,
        "the loss is 0 where the image compresses to the integers that the file stores; false: the loss compares pixels, "
        "as in the paper",
        flag(),
        "false",
    )

    task = "jpeg"

    @property
    def exact(self) -> bool:
        return self.intervals

    def real_damage(self) -> str | None:
        return "target.quality=null" if self.quality is None else None

    def observe_file(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor], file: bytes | None) -> Observation:
        return self.observe(image, seed, pictures, file)

    def observe(
        self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES, file: bytes | None = None
    ) -> Observation:
        """y = image, or with `quality` the image with noise, compressed and decompressed.

        Args:
            image, seed, pictures: see `Target.observe`.
            file: the content of the JPEG file that `image` was read from.

        Raises:
            ImageError: with `intervals`, `image` does not come from a JPEG file; or see `jpeg_file.compressed`.
        """
        from dip.targets.jpeg_file import compressed, read
        from dip.targets.jpeg_intervals import Intervals

        if self.quality is None:
            intervals = self._intervals_of(image, file) if self.intervals else None
            return dataclasses.replace(direct(image, None), intervals=intervals)
        stored = read(compressed(self.add_noise(image, seed), self.quality))
        assert stored is not None, "Pillow writes gray or YCbCr"
        intervals = Intervals(stored) if self.intervals else None
        return dataclasses.replace(direct(stored.pixels, image), intervals=intervals)

    def _intervals_of(self, image: Tensor, file: bytes | None) -> Intervals | None:
        """The intervals of `file`; None, with a warning, if `image` is not its content. See `observe`."""
        from dip.targets.jpeg_file import read, upright
        from dip.targets.jpeg_intervals import Intervals

        if file is None:
            raise ImageError(
                "image: target=jpeg needs the JPEG file itself, which stores how it was quantized, and this image is no "
                "JPEG; give one, for example image=photo.jpg, or compress the image with target.quality=10, or set "
                "target.intervals=false for the former content of a JPEG"
            )
        stored = read(file)
        # An array that Pillow made of the file is not turned upright.
        turns = {} if stored is None else {turn: upright(stored.pixels, turn) for turn in (stored.orientation, 1)}
        fitting = [(turn, pixels) for turn, pixels in turns.items() if pixels.shape == image.shape]
        found = [turn for turn, pixels in fitting if ((pixels - image).abs() < 0.5 / 255).all()]  # equal in 8 bits
        if stored is None or not found:
            log.warning(
                "target=jpeg: %s, so the loss compares pixels as with target.intervals=false",
                "the file is CMYK or has an unusual subsampling" if stored is None else
                "the image is resized or changed, and the quantization of its file does not apply to it; size=null keeps it",
            )  # fmt: skip
            return None
        return Intervals(stored, found[0])

    def finish(self, restored: Tensor, observation: Observation) -> Tensor:
        """The nearest image that compresses to the same file, clipped to [0, 1]."""
        if observation.intervals is None:
            return restored
        return observation.intervals.to(restored.device).project(restored).clamp(0, 1)
