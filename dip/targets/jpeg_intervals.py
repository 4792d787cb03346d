"""The images whose compression would store the same file: each coefficient in the interval that its integer stands for.

A JPEG stores k = round(c / q) of each coefficient c, so that c lies in [(k - 1/2) q, (k + 1/2) q]. This set of images
is convex (Zakhor, "Iterative procedures for reduction of blocking effects in transform image coding", 1992).
"""

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dip.targets.jpeg_file import BLOCK, JpegFile, as_stored, extend, inverse, transform, upright

YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""RGB to Y, Cb and Cr, as JFIF defines them; an offset of 128 of 255 is added to Cb and Cr."""

SUBSAMPLINGS: dict[tuple[tuple[int, int], ...], int] = {
    ((1, 1),) * 3: 0,
    ((1, 1), (1, 2), (1, 2)): 1,
    ((1, 1), (2, 2), (2, 2)): 2,
}
"""Factors of the components, and Pillow's number of the subsampling."""

PULL = 0.01
"""Weight of the distance to 0 of the coefficients that are stored as 0, where that to their interval has weight 1."""


class Intervals(nn.Module):
    """Maps an image (1, C, H, W) in [0, 1] to the image that the loss compares it with, of the same size.

    Coefficients outside of their interval are moved to its border. Coefficients that are stored as 0 are also moved by
    `PULL` of their distance to 0: most are noise of the network, since natural images have small ones.

    Chroma is the mean of the pixels that share a sample, as encoders compute it, and the pixels of a sample are moved
    by the same value. Blocks that exceed the image are those of the image extended by its edge pixels. It is computed
    in the precision of the buffers, float32, even inside an autocast region.

    Args:
        file: what was stored.
        orientation: the EXIF orientation that has been applied to the images; 1: they are as stored.
    """

    colours: Tensor
    inverse_colours: Tensor
    offsets: Tensor

    def __init__(self, file: JpegFile, orientation: int = 1) -> None:
        super().__init__()
        self.orientation = orientation
        self.factors = [component.factor for component in file.components]
        self.coarsest = max(down for down, _ in self.factors), max(right for _, right in self.factors)
        count = len(self.factors)
        colours = torch.tensor(YCC, dtype=torch.float64) if file.ycc else torch.eye(count, dtype=torch.float64)
        offsets = torch.tensor([128.0, 0.0, 0.0] if file.ycc else [128.0] * count)
        # Not persistent: they are made from the file, so no checkpoint holds them.
        self.register_buffer("colours", colours.float(), persistent=False)  # (C, C)
        self.register_buffer("inverse_colours", torch.linalg.inv(colours).float(), persistent=False)
        self.register_buffer("offsets", offsets.view(-1, 1, 1), persistent=False)
        for number, component in enumerate(file.components):
            self.register_buffer(f"table{number}", component.table, persistent=False)  # (8, 8)
            self.register_buffer(f"stored{number}", component.stored, persistent=False)  # (1, 1, h, w, 8, 8)

    def coefficients(self, image: Tensor) -> list[Tensor]:
        """The coefficients of `image` (1, C, H, W), in steps of the quantization, not rounded, by component.

        Each is (1, 1, h, w, 8, 8), as `Component.stored`.
        """
        planes = extend(255 * as_stored(image, self.orientation), self.coarsest)
        planes = torch.einsum("ij,bjhw->bihw", self.colours, planes) - self.offsets
        pooled = [F.avg_pool2d(planes[:, n : n + 1], factor) for n, factor in enumerate(self.factors)]
        return [transform(plane) / self.get_buffer(f"table{number}") for number, plane in enumerate(pooled)]

    def forward(self, image: Tensor) -> Tensor:
        """The image that the loss compares `image` with."""
        return self._moved(image, lambda found, stored: _within(found, stored) - PULL * found * (stored == 0))

    def project(self, image: Tensor) -> Tensor:
        """The nearest image that compresses to the same file. It may exceed [0, 1]."""
        return self._moved(image, _within)

    def requantized(self, image: Tensor) -> Tensor:
        """`image` (1, C, H, W) of any size, compressed with the same tables and decompressed."""
        return self._moved(image, lambda found, stored: found.round())

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> bytes | None:
        """A JPEG file of the pixels in `rows` and `columns`, (start, end) without the end, with the same coefficients.

        The starts are multiples of 16. Chroma samples are repeated, so that the encoder's means are the samples again.
        None for files that Pillow cannot write so: RGB, unusual subsampling, an orientation.
        """
        colour, options = len(self.factors) > 1, {}
        if colour:
            options = {"subsampling": SUBSAMPLINGS.get(tuple(self.factors))}
        if self.orientation != 1 or None in options.values() or (colour and self.offsets[1]):
            return None
        planes, tables = [], []
        for number, (down, right) in enumerate(self.factors):
            table = self.get_buffer(f"table{number}")
            blocks = [
                slice(start // (BLOCK * factor), -(-end // (BLOCK * factor)))
                for (start, end), factor in ((rows, down), (columns, right))
            ]
            samples = inverse(self.get_buffer(f"stored{number}")[:, :, blocks[0], blocks[1]] * table) + 128
            plane = samples.round().clamp(0, 255).repeat_interleave(down, -2).repeat_interleave(right, -1)
            plane = plane[0, 0, : rows[1] - rows[0], : columns[1] - columns[0]]
            planes.append(Image.fromarray(plane.numpy().astype(np.uint8)))
            tables.append([int(step) for step in table.flatten()])
        image, buffer = Image.merge("YCbCr", planes) if colour else planes[0], io.BytesIO()
        image.save(buffer, "JPEG", qtables=tables, **options)
        return buffer.getvalue()

    def _moved(self, image: Tensor, to: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """`image` with its coefficients replaced by `to(coefficients, stored)`."""
        with torch.autocast(image.device.type, enabled=False):
            planes = image.to(self.colours.dtype)
            moves = []
            for number, found in enumerate(self.coefficients(planes)):
                changed = to(found, self.get_buffer(f"stored{number}")) - found
                move = inverse(changed * self.get_buffer(f"table{number}"))
                down, right = self.factors[number]
                moves.append(move.repeat_interleave(down, -2).repeat_interleave(right, -1))
            height, width = as_stored(planes, self.orientation).shape[-2:]
            move = torch.einsum("ij,bjhw->bihw", self.inverse_colours, torch.cat(moves, 1))[..., :height, :width]
            return (planes + upright(move, self.orientation) / 255).to(image.dtype)


def _within(found: Tensor, stored: Tensor) -> Tensor:
    return found.clamp(stored - 0.5, stored + 0.5)
