"""A photo and options for calls of less than a second."""

import numpy as np
import pytest
from PIL import Image

from dip import images

TINY = {
    "steps": 10, "net": {"channels": 6, "depth": 2, "skip_channels": 2}, "skips": [1], "z": {"channels": 4},
    "precision": "fp32", "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def photo():
    return np.asarray(Image.open(images.load("coffee").path).resize((24, 16)))
