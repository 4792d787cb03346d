"""Samples: each loads without a network, and equals what scikit-image gives."""

import socket

import numpy as np
import pytest
from PIL import Image
from skimage import data as skimage_data

from dip.configuration.help import help_text
from dip.errors import ImageError
from dip.images import load, to_array
from dip.samples import SAMPLES, missing


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_sample_loads_without_network(name, monkeypatch):
    def no_network(*args):
        raise AssertionError("a sample must not be downloaded")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    picture = load(name)
    second = getattr(skimage_data, name)()
    if second.dtype.kind == "f":  # a gray image that is stored as RGB
        second = np.repeat(np.round(second * 255)[..., None], 3, -1)
    np.testing.assert_array_equal(np.round(to_array(picture.pixels, picture).squeeze() * 255), second)
    assert picture.name == name
    assert picture.alpha is None
    assert picture.mode == "uint8"


def test_a_path_is_never_mistaken_for_a_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (3, 2)).save("coins", format="PNG")
    assert load("coins").pixels.shape == (1, 1, 303, 384)
    assert load("./coins").pixels.shape == load(tmp_path / "coins").pixels.shape == (1, 1, 2, 3)
    assert load("./coins").path == tmp_path / "coins"
    assert load("./coins").name == "coins"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("phto.jpg", " (did you mean photo.JPG?)"),
        ("sub/seen.png", " (did you mean sub/scene.png?)"),
        ("astronat", " (did you mean astronaut?)"),
        ("nosub/other.tif", ""),
        ("a\0b.png", ""),
    ],
)
def test_similar_names_are_suggested_for_a_missing_file(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("photo.JPG", "sub/scene.png", "two\nlines.png"):
        (tmp_path / name).touch()
    said = f"there is no such file{meant}; give a path or the name of a sample, which python train.py --help lists"
    assert missing(typed) == said
    if typed.isprintable():
        with pytest.raises(ImageError) as caught:
            load(typed)
        assert str(caught.value) == f"image={typed}: {said}; for example image=photo.png"
    assert missing("astronat", "a path") == "there is no such file; give a path"
    assert missing("Redd", "red or blue") == "there is no such file (did you mean red?); give red or blue"


def test_help_lists_the_samples():
    assert all(name in help_text() for name in SAMPLES)
