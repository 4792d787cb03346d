"""The same picture as a path, as bytes, as an open file and as a PIL image is read and saved alike."""

import io

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dip.errors import ImageError
from dip.images import load, save, to_array
from dip.images.pillow import FORMATS
from tests.images.conftest import random

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pictures():
    """PIL images of every mode, by name, each with the options and the format in which it is saved."""
    rgba = Image.fromarray(random((9, 7, 4)))
    palette = rgba.convert("RGB").quantize(8)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {mode: (rgba.convert(mode), "PNG", {}) for mode in ("1", "L", "LA", "RGB", "RGBA")}
    found |= {mode: (rgba.convert("RGB").convert(mode), "TIFF", {}) for mode in ("CMYK", "YCbCr")}
    found |= {
        "P": (palette, "PNG", {}),
        "P of one transparent colour": (palette, "PNG", {"transparency": 3}),
        "P of translucent colours": (palette, "PNG", {"transparency": bytes(range(0, 256, 32))}),
        "L with a transparent gray": (rgba.convert("L"), "PNG", {"transparency": 80}),
        "RGB with a transparent colour": (rgba.convert("RGB"), "PNG", {"transparency": (1, 2, 3)}),
        "I;16": (Image.fromarray(random((9, 7), np.uint16)), "PNG", {}),
        "12 bits": (Image.fromarray(random((9, 7), np.uint16) >> 4), "PNG", {}),
        "float": (Image.fromarray(np.linspace(-3, 9, 63, dtype=np.float32).reshape(9, 7)), "TIFF", {}),
        "int32": (Image.fromarray(np.arange(-9, 54, dtype=np.int32).reshape(9, 7)), "TIFF", {}),
        "rotated PNG": (rgba, "PNG", {"exif": exif}),
        "rotated JPEG": (rgba.convert("RGB"), "JPEG", {"exif": exif}),
        "rotated TIFF": (rgba.convert("RGB"), "TIFF", {"exif": exif}),
        "profile": (rgba.convert("RGB"), "PNG", {"icc_profile": PROFILE}),
        "profile in WEBP": (rgba, "WEBP", {"icc_profile": PROFILE, "lossless": True}),
        "BMP": (rgba.convert("RGB"), "BMP", {}),
        "PPM": (rgba.convert("RGB"), "PPM", {}),
        "AVIF": (rgba.convert("RGB"), "AVIF", {}),
        "unsaturated CMYK": (rgba.convert("RGB").convert("CMYK"), "JPEG", {}),
    }
    return {name: kind for name, kind in found.items() if kind[1] in FORMATS}


PICTURES = pictures()


def same(picture, expected):
    torch.testing.assert_close(picture.pixels, expected.pixels, rtol=0, atol=0)
    assert (picture.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        torch.testing.assert_close(picture.alpha, expected.alpha, rtol=0, atol=0)
    for field in ("mode", "icc_profile", "units", "flat", "chunks"):
        assert getattr(picture, field) == getattr(expected, field), field


@pytest.mark.fault(29, 30)
@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_source_is_read_and_saved_alike(tmp_path, name):
    image, format, how = PICTURES[name]
    path = tmp_path / f"a.{format.lower()}"
    image.save(path, format, **how)
    expected = load(path)
    for source in sources(path):
        picture = load(source)
        same(picture, expected)
        written = []
        for number, like in enumerate((picture, expected)):
            save(tmp_path / f"{number}.tif", like.pixels, like)
            written.append((tmp_path / f"{number}.tif").read_bytes())
        assert written[0] == written[1]


def sources(path):
    """The content of `path` as each kind of source."""
    content = path.read_bytes()
    yield str(path)
    yield content
    yield bytearray(content)
    yield io.BytesIO(content)
    with path.open("rb") as file:
        file.read(5)  # an open file is read from its beginning
        yield file
    with Image.open(path) as unread:
        yield unread
    with Image.open(path) as loaded:
        loaded.load()
        yield loaded
        yield loaded.copy()


def test_an_unread_png_of_pillow_keeps_its_16_bits(tmp_path):
    import imagecodecs

    values = random((6, 5, 3), np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    with Image.open(tmp_path / "a.png") as image:
        same(load(image), load(tmp_path / "a.png"))
        assert np.asarray(image).shape == (6, 5, 3)  # Pillow can still read it
        assert load(image).mode == "uint8"


def test_frames_of_an_animation(tmp_path):
    frames = [Image.fromarray(random((6, 5, 3), seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / "a.webp") as image:
        with pytest.raises(ImageError, match="^image: the file holds several images"):
            load(image)
        image.seek(1)
        assert torch.equal(load(image).pixels, load(frames[1]).pixels)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "not an image of a supported kind"),
        (io.StringIO("text"), r"open as text; give a file that is open as bytes"),
        (Image.new("LAB", (4, 4)), "mode 'LAB'"),
        (Image.new("RGB", (0, 4)), "no pixels"),
        (object(), "array of object"),
    ],
)
def test_objects_that_are_refused_name_their_option(source, match):
    with pytest.raises(ImageError, match=match) as caught:
        load(source, "target.mask")
    assert str(caught.value).startswith("target.mask: ")
    assert str(caught.value).isprintable()


CHUNKS = {"gamma": 0.5, "srgb": 1, "chromaticity": (0.3, 0.33, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gamma_and_chromaticities_of_a_png_are_kept(tmp_path, dtype):
    from tests.images.conftest import chunk

    picture = load(random((6, 5, 3), dtype))
    save(tmp_path / "plain.png", picture.pixels, picture)
    plain = (tmp_path / "plain.png").read_bytes()
    numbers = [round(value * 100_000).to_bytes(4, "big") for value in (CHUNKS["gamma"], *CHUNKS["chromaticity"])]
    extra = chunk(b"gAMA", numbers[0]) + chunk(b"cHRM", b"".join(numbers[1:])) + chunk(b"sRGB", b"\1")
    (tmp_path / "a.png").write_bytes(plain[:33] + extra + plain[33:])
    like = load(tmp_path / "a.png")
    assert torch.equal(like.pixels, picture.pixels)  # never applied
    save(tmp_path / "b.png", like.pixels, like)
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    with Image.open(tmp_path / "b.png") as image:
        for name, value in CHUNKS.items():
            assert image.info[name] == pytest.approx(value)


# Bands and axes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [2, 4, 5, 31])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_are_neither_dropped_nor_taken_for_alpha(tmp_path, dtype, channels, planar):
    values = (np.random.default_rng(0).random((8, 9, channels)) * (1 if dtype == np.float32 else 250)).astype(dtype)
    stored = values if planar == "contig" else np.moveaxis(values, -1, 0)
    rgb = channels > 3
    how = {"photometric": "rgb" if rgb else "minisblack", "extrasamples": [0] * (channels - (3 if rgb else 1))}
    tifffile.imwrite(tmp_path / "a.tif", stored, planarconfig=planar, **how)
    picture = load(tmp_path / "a.tif")
    assert (picture.pixels.shape, picture.alpha) == ((1, channels, 8, 9), None)
    for name in ("b.tif", "b.npy"):
        save(tmp_path / name, picture.pixels, picture)
        back = np.load(tmp_path / name) if name.endswith("npy") else tifffile.imread(tmp_path / name)
        np.testing.assert_array_equal(back, values)
        assert back.dtype == dtype
        same(load(tmp_path / name), picture)


def test_bands_before_alpha(tmp_path):
    values = random((8, 9, 5))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", planarconfig="contig", extrasamples=[0, 2])
    picture = load(tmp_path / "a.tif")
    np.testing.assert_allclose(to_array(picture.pixels), values[..., :4] / 255, rtol=1e-6)
    np.testing.assert_allclose(to_array(picture.alpha)[..., 0], values[..., 4] / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "axes", "told"),
    [
        ((64, 48), "HW", False), ((64, 48, 3), "HWC", False), ((3, 48, 3), "HWC", False), ((3, 64, 48), "CHW", True),
        ((1, 3, 64, 48), "CHW", True), ((31, 64, 64), "CHW", True), ((64, 64, 31), "HWC", True),
        ((64, 64, 64), "HWC", True), ((96, 64, 64), "CHW", True), ((16, 20, 31), "HWC", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_a_guess_of_the_axes_is_told(caplog, shape, axes, told, wrap):
    values = np.random.default_rng(0).random(shape, np.float32)
    with caplog.at_level("INFO", "dip"):
        guessed = load(wrap(values))
    assert bool(caplog.messages) == told
    if told:
        other = "HWC" if axes == "CHW" else "CHW"
        assert f"is read as ({', '.join(axes)})" in caplog.messages[0]
        assert f"axes={other} says otherwise" in caplog.messages[0]
    caplog.clear()
    same(load(wrap(values), axes=axes), guessed)
    assert not caplog.messages


@given(order=st.permutations("HWC"), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_axes_in_any_order(order, shape):
    values = random(shape)  # (H, W, C)
    stored = values.transpose(["HWC".index(letter) for letter in order])
    picture = load(stored, axes="".join(order))
    np.testing.assert_array_equal(to_array(picture.pixels), (values / np.float32(255)))


def test_axes_have_no_effect_on_formats_that_define_them(tmp_path, caplog):
    Image.fromarray(random((6, 5, 3))).save(tmp_path / "a.png")
    same(load(tmp_path / "a.png", axes="CHW"), load(tmp_path / "a.png"))
    assert caplog.messages == ["axes: has no effect on this kind of file, whose format defines the axes"]


def test_pages_of_a_tiff_are_channels_if_axes_says_so(tmp_path):
    values = random((5, 8, 9), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(ImageError, match="several images .5 pages; axes=CHW reads pages as channels"):
        load(tmp_path / "a.tif")
    same(load(tmp_path / "a.tif", axes="CHW"), load(values, axes="CHW"))


# Round trips


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    dtype=st.sampled_from(["uint8", "uint16", "int16", "int32", "uint32", "int64", "float32"]),
    bits=st.integers(1, 20),
    low=st.sampled_from([0, -7, 3]),
    channels=st.sampled_from([1, 2, 3, 5]),
    suffix=st.sampled_from(["tif", "npy"]),
)
def test_what_is_read_is_saved_unchanged(tmp_path, dtype, bits, low, channels, suffix):
    values = np.random.default_rng(bits).integers(0, 2**bits, (6, 5, channels)) + low
    if dtype != "float32":
        values = values.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = values.astype(dtype)
    picture = load(values, axes="HWC")
    assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1
    save(tmp_path / f"a.{suffix}", picture.pixels, picture)
    back = load(tmp_path / f"a.{suffix}", axes="HWC")
    assert back.mode == dtype
    tolerance = 2**-23 * max(abs(end) for end in picture.units) if dtype == "float32" else 0
    np.testing.assert_allclose(back.stored.values, values, rtol=0, atol=tolerance)
