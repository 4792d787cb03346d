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
    data: ClassVar[tuple[str, ...]] = ("matrix",)
    required: ClassVar[tuple[str, ...]] = ("matrix", "shape")

    def files(self) -> dict[str, str]:
        """The matrix, which is read by this target itself."""
        return {} if self.matrix is None else {"matrix": self.matrix}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the measurements divided by their largest magnitude, with noise, (1, 1 or C, 1, rows).

        Raises:
            ImageError: the matrix cannot be read or does not fit the image, or all measurements are 0.
        """
        from dip.targets.sparse_operator import SparseOperator, random_signs, read_matrix

        channels, *size = image.shape[1:]
        pixels = size[0] * size[1]
        if self.matrix is None:
            matrix = random_signs(max(pixels // 4, 1), pixels, min(ENTRIES, pixels), draws(seed, "matrix"))
        else:
            matrix = read_matrix(self.matrix)
        joint = channels > 1 and matrix.shape[1] == channels * pixels
        if not joint and matrix.shape[1] != pixels:
            legal = f"{pixels} (one for each of {size[0]} x {size[1]} pixels)"
            legal += f" or {channels * pixels} (for {channels} channels)" if channels > 1 else ""
            raise ImageError(
                f"target.matrix={self.matrix}: has {matrix.shape[1]} columns, the image needs {legal}; resize the image, "
                "for example size=[64,64]"
            )
        operator = SparseOperator(matrix, (1, matrix.shape[0]), joint)
        largest = operator(image).abs().max()
        if not largest > 0:
            raise ImageError("image: all measurements of it are 0; give another image or another target.matrix")
        operator.divide(largest)
        y = self.with_noise(operator(image), seed)
        return Observation(y, operator, image, (size[0], size[1]), channels=channels)

    def instrument(self, values: NDArray[Any], shape: Sequence[int] | None) -> tuple[Operator, Sequence[int]]:
        """For as many measurements as the matrix has rows, or that many for each channel, channels first."""
        from dip.targets.sparse_operator import SparseOperator, read_matrix

        assert self.matrix is not None, "checked by check_complete"
        assert shape is not None, "checked by check_complete"
        matrix, pixels = read_matrix(self.matrix), shape[1] * shape[2]
        joint = matrix.shape[1] == shape[0] * pixels
        if not joint and matrix.shape[1] != pixels:
            raise ImageError(
                f"target.matrix={self.matrix}: has {matrix.shape[1]} columns, the image {shape[0]} x {pixels} pixels; set "
                f"target.shape, for example target.shape=[1,{matrix.shape[1]},1]"
            )
        return SparseOperator(matrix, (1, matrix.shape[0]), joint), shape
