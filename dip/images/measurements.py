"""Raw measurements: values of any shape, not interpreted as an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dip.errors import ImageError
from dip.images.arrays import as_array
from dip.images.stored import Array


def read_values(source: Any, option: str = "image") -> Array:
    """The values in a `.npy` file or an object, as they are stored. Raises ImageError."""
    try:
        values = np.load(source, allow_pickle=False) if isinstance(source, Path) else as_array(source)
    except (OSError, ValueError) as error:
        raise ImageError(f"{option}={source}: {' '.join(str(error).split())}") from None
    if values.dtype.kind not in "buifc":
        raise ImageError(f"{option}: must be numbers, not {values.dtype}")
    return values
