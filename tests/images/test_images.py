"""Sizes, saving and arrays. Reading files: test_decoding.py, test_hostile_images.py."""

import os
import stat

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from dip.errors import ImageError, OptionError
from dip.images import Picture, load, prepare, save, to_array
from tests.images.conftest import nobody, random

SIZES = [(1, 1), (2, 2), (31, 31), (513, 511), (1, 1000)]
RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tensor(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


# Sizes


@pytest.mark.parametrize(("size", "out"), [(20, (20, 20)), (64, (64, 64)), ((9, 50), (9, 50)), ((50, 9), (50, 9))])
def test_resizing_is_pillows_bicubic(size, out):
    pixels = tensor(1, 3, 40, 31)
    middle = pixels[..., 4:35, :] if isinstance(size, int) else pixels
    bands = [Image.fromarray(band).resize(out[::-1], Image.Resampling.BICUBIC) for band in middle[0].numpy()]
    expected = torch.from_numpy(np.stack([np.asarray(band) for band in bands]))[None].clamp(0, 1)
    got = prepare(Picture(pixels, alpha=pixels[:, :1]), size)
    torch.testing.assert_close(got.pixels, expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(got.alpha, expected[:, :1], atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_the_original_size_changes_nothing(size):
    picture = Picture(tensor(1, 3, *size))
    assert prepare(picture, None) is picture
    assert torch.equal(prepare(picture, size).pixels, picture.pixels)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    middle = picture.pixels[..., top : top + side, left : left + side]
    assert torch.equal(prepare(picture, side).pixels, middle)
    grown = prepare(picture, 64).pixels
    assert grown.shape == (1, 3, 64, 64)
    assert grown.min() >= 0
    assert grown.max() <= 1


@pytest.mark.parametrize("size", [0, -3, (4, 0), (4,), (1, 2, 3), 10**6])
def test_illegal_sizes(size):
    with pytest.raises(OptionError, match="size"):
        prepare(Picture(tensor(1, 1, 4, 4)), size)


# Saving


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_saving_and_loading_is_exact(tmp_path, size, dtype, suffix, channels, alpha):
    original = load(random((*size, channels), dtype))
    transparency = load(random(size, dtype)).pixels if alpha else None
    original = Picture(original.pixels, transparency, original.mode)
    save(tmp_path / f"a.{suffix}", original.pixels, original)
    read = load(tmp_path / f"a.{suffix}")
    assert torch.equal(read.pixels, original.pixels)
    assert read.mode == original.mode == np.dtype(dtype).name
    assert torch.equal(read.alpha, transparency) if alpha else read.alpha is None


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "webp"])
def test_other_lossless_formats(tmp_path, suffix):
    picture = load(random((5, 7, 3)))
    save(tmp_path / f"a.{suffix}", picture.pixels)
    assert torch.equal(load(tmp_path / f"a.{suffix}").pixels, picture.pixels)


def test_other_programs_read_deep_files(tmp_path):
    values = random((6, 5, 3), np.uint16)
    picture = load(values)
    save(tmp_path / "a.tif", picture.pixels, picture)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values)
    save(tmp_path / "a.png", picture.pixels, picture)
    with Image.open(tmp_path / "a.png") as image:  # Pillow keeps the upper 8 bits
        np.testing.assert_array_equal(np.asarray(image), values >> 8)


def test_rounding_is_to_nearest_and_clipped(tmp_path):
    levels = torch.tensor([-1.0, 0.0, 0.49 / 255, 0.51 / 255, 254.49 / 255, 254.51 / 255, 1.0, 2.0])
    save(tmp_path / "a.png", levels.view(1, 1, 1, -1))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 0, 0, 1, 254, 255, 255, 255]]


def test_many_bands_need_tiff(tmp_path):
    with pytest.raises(ImageError, match="31 channels need a TIFF"):
        save(tmp_path / "a.png", tensor(1, 31, 6, 5))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
@pytest.mark.parametrize("mode", ["uint8", "uint16"])
def test_colour_profiles_are_kept_where_they_fit(tmp_path, name, mode):
    like = Picture(tensor(1, 3, 4, 4), mode=mode, icc_profile=RGB_PROFILE)
    save(tmp_path / name, like.pixels, like)
    assert load(tmp_path / name).icc_profile == RGB_PROFILE
    save(tmp_path / name, like.pixels[:, :1], like)  # an RGB profile is invalid for gray
    assert load(tmp_path / name).icc_profile is None


@pytest.mark.fault(29)
def test_alpha_is_resized_and_never_dropped(tmp_path):
    like = Picture(tensor(1, 3, 8, 8), alpha=torch.full((1, 1, 8, 8), 0.6))
    save(tmp_path / "a.png", tensor(1, 3, 16, 24), like)
    torch.testing.assert_close(load(tmp_path / "a.png").alpha, torch.full((1, 1, 16, 24), 153 / 255))
    for name in ("a.jpg", "a.bmp", "a.ppm"):
        with pytest.raises(ImageError, match="supports no transparency"):
            save(tmp_path / name, like.pixels, like)


@pytest.mark.fault(32)
def test_saving_is_atomic_and_refuses_in_one_line(tmp_path, monkeypatch):
    path, pixels = tmp_path / "in.png", tensor(1, 3, 4, 4)
    save(path, pixels)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask  # not the 0600 of temporary files
    before, like = path.read_bytes(), load(path)
    (tmp_path / "link.png").symlink_to(path)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    cases = {
        "in.png": "the input image",
        "link.png": "the input image",
        "folder.png": "not a regular file",
        "pipe.png": "not a regular file",
        "a.gif": "suffix must be one of",
        "new\nline": "suffix must be one of",
        "gone/a.png": "No such file",
        "in.png/a.png": "Not a directory",
        "x" * 300 + ".png": "too long",
    }
    for name, match in cases.items():
        with pytest.raises(ImageError, match=match) as caught:
            save(tmp_path / name, pixels, like)
        assert str(caught.value).isprintable()
    with pytest.raises(ImageError, match="NaN"):
        save(path, pixels * float("nan"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageError, match="No space left"):
        save(path, pixels * 0)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.png", "in.png", "link.png", "pipe.png"]


@pytest.mark.fault(32)
def test_a_folder_without_write_permission(tmp_path):
    tmp_path.chmod(0o500)
    with nobody(), pytest.raises(ImageError, match="Permission denied"):
        save(tmp_path / "a.png", tensor(1, 3, 4, 4))


# Arrays


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 2, 31), (1, 9, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "bool", "float16", "float32", "float64"])
@pytest.mark.parametrize("wrap", [np.asarray, lambda array: torch.from_numpy(array.copy())])
def test_arrays_round_trip(shape, dtype, wrap):
    white = {"uint8": 255, "uint16": 65535, ">u2": 65535}.get(dtype, 1)
    values = (np.random.default_rng(0).random(shape) * white).round(0 if white > 1 else 9).astype(dtype)
    if dtype == ">u2" and wrap is not np.asarray:
        values = values.astype("uint16")  # torch has the native byte order only
    picture = load(wrap(values))
    assert picture.pixels.shape == (1, shape[2] if len(shape) == 3 else 1, *shape[:2])
    np.testing.assert_allclose(to_array(picture.pixels, picture), values.astype(np.float64) / white, atol=1e-7)
    assert to_array(picture.pixels, picture).shape == shape
    assert to_array(picture.pixels).shape == (*shape[:2], picture.pixels.shape[1])


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((0, 4, 3)), "not empty"), (np.float32(3), r"shape \(\)"),
        (np.zeros((4, 4), np.complex64), "complex64"), (np.full((4, 4), np.nan), "all values are NaN"),
        (np.array([["a"]]), "<U1"), (np.array([[None]]), "object"), ([[1, 2], [3]], "unsupported kind"),
    ],
)  # fmt: skip
def test_arrays_that_are_not_images(array, match):
    with pytest.raises(ImageError, match=match) as caught:
        load(array, option="reference")
    assert str(caught.value).startswith("reference: ")
    assert str(caught.value).isprintable()
