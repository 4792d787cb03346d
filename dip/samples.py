"""Sample pictures for the first run and for tests: those that ship inside scikit-image's wheel.

Nothing is ever downloaded: `skimage.data` has more pictures, but fetches them from the network.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PNG = "astronaut brick camera cell chelsea coffee coins grass gravel moon page text"

SAMPLES = {name: f"{name}.png" for name in _PNG.split(" ")} | {
    "cat": "chelsea.png",
    "clock": "clock_motion.png",
    "hubble_deep_field": "hubble_deep_field.jpg",
    "shepp_logan_phantom": "phantom.png",
    "immunohistochemistry": "ihc.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
"""The names that `skimage.data` gives the samples, and their files."""


def sample_path(name: str) -> Path:
    """The file of a sample. Finds the folder without the second that importing scikit-image takes."""
    found = importlib.util.find_spec("skimage")
    assert found is not None, "scikit-image is a dependency"
    assert found.submodule_search_locations is not None, "it is a package"
    return Path(found.submodule_search_locations[0]) / "data" / SAMPLES[name]
