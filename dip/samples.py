"""Sample pictures for the first run and for tests: those that ship inside scikit-image's wheel.

Nothing is ever downloaded: `skimage.data` has more pictures, but fetches them from the network.
"""

import contextlib
import difflib
import importlib.util
import os
import re
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


def missing(path: str, legal: str | None = None) -> str:
    """What to say of the missing file `path`: similar names in its folder and similar words that are legal.

    `legal` is the text of the legal values, such as "a path, red or blue"; None: a path or the name of a sample.
    """
    folder, name = os.path.split(path)
    names = {word: word for word in (SAMPLES if legal is None else re.findall("[a-z]{3,}", legal))}
    with contextlib.suppress(OSError):  # the folder does not exist or cannot be read
        there = os.listdir(folder or os.curdir)
        names |= {file.lower(): os.path.join(folder, file) for file in there if file.isprintable()}
    close = [names[match] for match in difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.7)]
    meant = f" (did you mean {' or '.join(close)}?)" if close else ""
    legal = legal or "a path or the name of a sample, which python train.py --help lists"
    return f"there is no such file{meant}; give {legal}"
