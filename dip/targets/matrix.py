"""Measurements by a matrix that the user gives, or by a random one. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import ImageError
from dip.options import option
from dip.targets.laboratory import Laboratory
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, draws

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from dip.targets.operators import Operator
    from dip.targets.sparse_operator import SparseOperator

ENTRIES = 32
"""Pixels that a row of the random matrix reads."""


@dataclasses.dataclass
class Matrix(Laboratory):
    """A matrix times the pixels of the image, row by row of the image and channel by channel."""

    name: str = "matrix"
    matrix: str | None = option(
        None,
        "the matrix, a row for each measurement and a column for each pixel: of scipy.sparse.save_npz, or a dense one in "
        ".npy; null: random signs for a quarter as many measurements as pixels (compressed sensing)",
        "null or the path of a .npz or .npy file",
        "matrix.npz",
    )
    task = "matrix"
    paths = data = ("matrix",)
    required: ClassVar[tuple[str, ...]] = ("matrix", "shape")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the measurements (1, 1 or C, 1, rows), see `measure`."""
        from dip.targets.sparse_operator import random_signs, read_matrix

        pixels = image[0, 0].numel()
        if self.matrix is None:
            matrix = random_signs(max(pixels // 4, 1), pixels, min(ENTRIES, pixels), draws(seed, "matrix"))
        else:
            matrix = read_matrix(self.matrix)
        operator = self._operator(matrix, image.shape[1:], "resize the image, for example size=[64,64]")
        return self.measure(image, operator, seed)

    def instrument(self, values: NDArray[Any], shape: Sequence[int] | None) -> tuple[Operator, Sequence[int]]:
        """For as many measurements as the matrix has rows, or that many for each channel, channels first."""
        from dip.targets.sparse_operator import read_matrix

        assert self.matrix is not None, "checked by check_complete"
        assert shape is not None, "checked by check_complete"
        matrix = read_matrix(self.matrix)
        advice = f"set target.shape, for example target.shape=[1,{matrix.shape[1]},1]"
        return self._operator(matrix, shape, advice), shape

    def _operator(self, matrix: Any, shape: Sequence[int], advice: str) -> SparseOperator:
        """The operator for images of `shape` (C, H, W). Raises ImageError with `advice` if the matrix does not fit."""
        from dip.targets.sparse_operator import SparseOperator

        (rows, columns), (channels, height, width) = matrix.shape, shape
        pixels = height * width
        if columns not in (pixels, channels * pixels):
            several = f" or {channels * pixels} (for {channels} channels)" * (channels > 1)
            needed = f"{pixels} (one for each pixel){several}"
            raise ImageError(f"target.matrix={self.matrix}: has {columns} columns, the image needs {needed}; {advice}")
        return SparseOperator(matrix, (1, rows), joint=channels > 1 and columns == channels * pixels)
