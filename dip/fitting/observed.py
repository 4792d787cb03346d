"""What a run restores: an image as it is stored, and its observation. Its results as arrays, from memory and from files."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dip import images
from dip.images import Picture
from dip.targets import Observation


class Observed(NamedTuple):
    """An image and its observation; for measurements, a picture that stands for the image."""

    picture: Picture
    seen: Observation

    def exact(self, restored: Tensor) -> NDArray[Any]:
        """The restored image (1, C, H, W) as `images/restored.npy` holds it.

        An image is (H, W, C) float32 in [0, 1], a volume has the axes of the input. Measurements give (H, W, C) float32
        or complex64 in the user's units.
        """
        if self.seen.measurements is not None:
            return self.seen.values(restored)
        return images.to_array(restored, self.picture if self.picture.axes else None)

    def read(self, folder: Path) -> NDArray[Any]:
        """The restored image in a run folder, as `exact` returns it."""
        like, file = self.picture, folder / "images" / "restored.npy"
        if file.is_file():
            stored: NDArray[Any] = np.load(file, allow_pickle=False)
            return stored
        deep = file.with_suffix(".tif")
        if not deep.is_file():
            png_units = dataclasses.replace(like, scale=None).units
            return self.exact(images.load(file.with_suffix(".png"), "out", png_units).pixels)
        pages = None if like.axes is None else "CDHW" if "C" in like.axes else "DHW"
        return self.exact(images.load(deep, "out", like.units, pages).pixels)

    def arrays(self, exact: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """The restored image in [0, 1], the observation, and for measurements the image in the user's units, else None.

        `exact` is the restored image. The arrays have the axes of the input: (H, W, C), or (H, W) if it was gray.
        """
        picture, seen = self
        if seen.measurements is None:
            return images.to_array(images.from_array(exact, picture), picture), images.to_array(seen.y, picture), None
        shown = seen.display(torch.from_numpy(exact).permute(2, 0, 1)[None]).clamp(0, 1)
        return images.to_array(shown, picture), seen.measurements, images.arranged(exact, picture)
