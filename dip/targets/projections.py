"""The Radon transform as a sparse matrix: parallel-beam projections of an image."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse


def diagonal(size: tuple[int, int]) -> int:
    """The number of detectors that see the whole of an image (H, W) at every angle: sqrt(2) times its longer side."""
    return math.ceil(math.sqrt(2) * max(size))


def radon_matrix(size: tuple[int, int], degrees: Sequence[float], detectors: int) -> Any:
    """The matrix of the Radon transform, a `scipy.sparse` CSR array (detectors x angles, H W) in float32.

    Row `d * len(degrees) + a` is the line integral that detector `d` measures at angle `a`, in pixels. Detectors are
    one pixel apart; the ray through the pixel (H // 2, W // 2) meets detector `detectors // 2`. The image is rotated
    with bilinear interpolation and summed along columns, as in `skimage.transform.radon(image, degrees, circle=False)`.
    It has about 2.2 entries for each pixel and angle.

    Args:
        size: (H, W) of the image.
        degrees: the angles of the projections, counter-clockwise.
        detectors: number of parallel rays for each angle.
    """
    height, width = size
    depth = diagonal(size)  # samples along a ray
    along = (np.arange(depth, dtype=np.float64) - depth // 2)[:, None]
    across = (np.arange(detectors, dtype=np.float64) - detectors // 2)[None]
    blocks = []
    for angle in degrees:
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        x = cos * across + sin * along + width // 2  # (depth, detectors), of the samples
        y = cos * along - sin * across + height // 2
        near = np.nonzero((x > -1) & (x < width) & (y > -1) & (y < height))
        x, y, rays = x[near], y[near], near[1]
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        right_weight, bottom_weight = x - left, y - top
        weights, rows, columns = [], [], []
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = np.where(down, bottom_weight, 1 - bottom_weight) * np.where(right, right_weight, 1 - right_weight)
            inside = (weight > 1e-9) & (top + down >= 0) & (top + down < height)
            inside &= (left + right >= 0) & (left + right < width)
            weights.append(weight[inside])
            rows.append(rays[inside])
            columns.append(((top + down) * width + left + right)[inside])
        entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
        # The constructor adds entries of the same ray and pixel.
        block = scipy.sparse.csr_array(entries, shape=(detectors, height * width), dtype=np.float64)
        blocks.append(block.astype(np.float32))
    matrix = scipy.sparse.vstack(blocks, format="csr")  # rows: angles x detectors
    order = np.arange(len(blocks) * detectors).reshape(len(blocks), detectors).T.ravel()
    return matrix[order]
