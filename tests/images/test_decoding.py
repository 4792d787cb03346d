"""Decoding: what each kind of pixel becomes."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps

from dip.errors import ImageError
from dip.images import load
from tests.images.conftest import chunk, random


def png(values, extra=b""):
    """A PNG of 8 or 16 bits with the chunk `extra` behind its header."""
    data = imagecodecs.png_encode(values)
    return data[:33] + extra + data[33:]


def unit(values, white):
    """The tensor that `load` must return for stored values of shape (H, W) or (H, W, C)."""
    values = values[..., None] if values.ndim == 2 else values
    return torch.from_numpy((values / white).astype(np.float32)).permute(2, 0, 1)[None]


def assert_loads(path, values, white, alpha=None, mode="uint8"):
    picture = load(path)
    torch.testing.assert_close(picture.pixels, unit(values, white))
    assert picture.pixels.dtype == torch.float32
    assert picture.mode == mode
    if alpha is None:
        assert picture.alpha is None
    else:
        torch.testing.assert_close(picture.alpha, unit(alpha, white))


def split(values):
    """(H, W, C) as colours and alpha; alpha is None unless C is 2 or 4."""
    return (values[..., :-1], values[..., -1]) if values.shape[2] in (2, 4) else (values, None)


@pytest.mark.fault(29)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "ppm"])
def test_eight_bits(tmp_path, suffix, channels):
    if channels in (2, 4) and suffix not in ("png", "tif"):
        pytest.skip("no alpha")
    values = random((7, 5, channels))
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    colours, alpha = split(values)
    if suffix == "webp" and channels == 1:  # WEBP has no gray
        colours = np.repeat(colours, 3, axis=2)
    assert_loads(tmp_path / f"a.{suffix}", colours, 255, alpha)


@pytest.mark.fault(29)
def test_one_bit(tmp_path):
    values = random((9, 11)) > 127
    for name in ("a.png", "a.tif", "a.bmp", "a.ppm"):
        Image.fromarray(values).save(tmp_path / name)
        assert_loads(tmp_path / name, values.astype(np.uint8), 1)


@pytest.mark.fault(29)
def test_palette_becomes_rgb(tmp_path):
    index, palette = random((6, 4)) // 64, random((4, 3))
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "a.png")
    assert_loads(tmp_path / "a.png", palette[index], 255)
    image.save(tmp_path / "b.png", transparency=2)
    assert_loads(tmp_path / "b.png", palette[index], 255, np.where(index == 2, 0, 255))
    image.save(tmp_path / "c.png", transparency=bytes([9, 80, 170, 255]))
    assert_loads(tmp_path / "c.png", palette[index], 255, np.array([9, 80, 170, 255])[index])


def test_transparent_colour(file):
    gray, rgb = random((5, 6, 1)) // 64, random((5, 6, 3), np.uint16)
    rgb[2, 3] = rgb[0, 0]
    rgb[4, 4] = rgb[0, 0] ^ np.array([0, 0, 1], np.uint16)  # equal in the upper 8 bits
    assert_loads(file(png(gray, chunk(b"tRNS", b"\0\2"))), gray, 255, np.where(gray[..., 0] == 2, 0, 255))
    key = chunk(b"tRNS", rgb[0, 0].astype(">u2").tobytes())
    alpha = np.full((5, 6), 65535)
    alpha[0, 0] = alpha[2, 3] = 0
    assert_loads(file(png(rgb, key)), rgb, 65535, alpha, "uint16")


def test_transparent_gray_of_few_bits(file):
    head = struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)  # four pixels of two bits: 0 1 2 3
    body = chunk(b"IHDR", head) + chunk(b"tRNS", b"\0\2") + chunk(b"IDAT", zlib.compress(b"\0\x1b"))
    path = file(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    assert_loads(path, np.array([[0, 1, 2, 3]]), 3, np.array([[3, 3, 0, 3]]))


@pytest.mark.fault(29)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_is_exact(file, channels):
    values = random((9, 10, channels), np.uint16)
    colours, alpha = split(values)
    assert_loads(file(png(values)), colours, 65535, alpha, "uint16")


@pytest.mark.fault(29)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_sixteen_bit_tiff(tmp_path, order, planar, compression):
    gray, rgba = random((6, 5), np.uint16), random((6, 5, 4), np.uint16)
    tifffile.imwrite(tmp_path / "gray.tif", gray, byteorder=order, compression=compression)
    stored = rgba if planar == "contig" else np.moveaxis(rgba, -1, 0)
    how = {"photometric": "rgb", "planarconfig": planar, "byteorder": order, "compression": compression}
    tifffile.imwrite(tmp_path / "rgba.tif", stored, extrasamples=["unassalpha"], **how)
    tifffile.imwrite(tmp_path / "rgb.tif", stored[..., :3] if planar == "contig" else stored[:3], **how)
    assert_loads(tmp_path / "gray.tif", gray, 65535, mode="uint16")
    assert_loads(tmp_path / "rgba.tif", rgba[..., :3], 65535, rgba[..., 3], "uint16")
    assert_loads(tmp_path / "rgb.tif", rgba[..., :3], 65535, mode="uint16")


def test_sixteen_bit_tiff_with_white_as_zero(tmp_path):
    values = random((6, 5), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert_loads(tmp_path / "a.tif", 65535 - values, 65535, mode="uint16")


def test_portable_maps(file):
    """Pillow scales gray to 16 bits."""
    gray = random((3, 4), np.uint16)
    assert_loads(file(b"P5 4 3 65535\n" + gray.astype(">u2").tobytes(), "a.pgm"), gray, 65535, mode="uint16")
    with pytest.raises(ImageError, match="16-bit colour PPM"):
        load(file(b"P6 1 1 65535\n123456", "a.ppm"))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_compressed_tiff_of_pillow(tmp_path, compression):
    values = random((6, 5)) > 127 if compression == "group4" else random((6, 5, 3))
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression)
    assert_loads(tmp_path / "a.tif", values.astype(np.uint8), 1 if compression == "group4" else 255)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "lzma", "packbits", "jpegxl", "lerc", "png"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressed_tiff_of_other_programs(tmp_path, compression, dtype):
    if compression == "packbits" and dtype == np.uint16:
        pytest.skip("imagecodecs compresses bytes only")
    values = random((16, 16, 3), dtype)
    predictor = compression in ("lzw", "zlib", "zstd")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", compression=compression, predictor=predictor)
    assert_loads(tmp_path / "a.tif", values, np.iinfo(dtype).max, mode=np.dtype(dtype).name)


@pytest.mark.fault(29)
def test_cmyk_by_pillows_formula(tmp_path):
    inks = random((8, 8, 4)).astype(np.int64)
    Image.fromarray(inks.astype(np.uint8), "CMYK").save(tmp_path / "a.tif", icc_profile=b"x" * 16 + b"CMYK")
    expected = (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255
    assert (load(tmp_path / "a.tif").pixels - unit(expected, 255)).abs().max() <= 1 / 255


@pytest.mark.fault(17, 29)
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_float_tiff(tmp_path, shape):
    values = np.random.default_rng(0).random(shape, np.float32)
    kind = {"photometric": "rgb" if len(shape) == 3 else "minisblack"}
    tifffile.imwrite(tmp_path / "unit.tif", values, **kind)
    assert_loads(tmp_path / "unit.tif", values, 1.0, mode="float32")
    tifffile.imwrite(tmp_path / "wide.tif", values * 90 - 30, **kind)
    wide = load(tmp_path / "wide.tif")
    assert wide.pixels.min() == 0
    assert wide.pixels.max() == 1
    low, high = wide.scale
    torch.testing.assert_close(wide.pixels * (high - low) + low, unit(values * 90 - 30, 1.0))
    same = load(tmp_path / "unit.tif", scale=wide.scale)
    torch.testing.assert_close(same.pixels, (unit(values, 1.0) - low) / (high - low))
    for bad in (np.nan, np.inf, -np.inf):
        holed = values.copy()
        holed.flat[5] = bad
        tifffile.imwrite(tmp_path / "bad.tif", holed, **kind)
        pixels = load(tmp_path / "bad.tif").pixels[0].permute(1, 2, 0).flatten()
        assert pixels.isnan().nonzero().tolist() == [[5]]
        pixels[5] = values.flat[5].item()
        np.testing.assert_array_equal(pixels, values.flatten())


@pytest.mark.fault(30)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_the_eight_exif_orientations_are_equal(tmp_path, suffix):
    upright = Image.fromarray(np.kron(random((3, 2, 3)), np.ones((16, 16, 1), np.uint8)))
    # The inverse of what `exif_transpose` does.
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation, operation in undo.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = upright if operation is None else upright.transpose(operation)
        how = {"lossless": True} if suffix == "webp" else {}
        turned.save(tmp_path / f"a.{suffix}", exif=exif, **how)
        with Image.open(tmp_path / f"a.{suffix}") as image:
            second = np.asarray(ImageOps.exif_transpose(image))
        assert_loads(tmp_path / f"a.{suffix}", second, 255)
        assert (load(tmp_path / f"a.{suffix}").pixels - unit(np.asarray(upright), 255)).abs().mean() < 0.02


def test_orientation_of_deep_images_and_alpha(file, tmp_path):
    values = random((3, 5, 4), np.uint16)
    turned = np.rot90(values)  # orientation 6 rotates clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    path = file(png(np.ascontiguousarray(turned), extra=chunk(b"eXIf", exif.tobytes()[6:])))
    assert_loads(path, values[..., :3], 65535, values[..., 3], "uint16")
    tag = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", turned, photometric="rgb", extrasamples=[2], extratags=tag)
    assert_loads(tmp_path / "a.tif", values[..., :3], 65535, values[..., 3], "uint16")


def test_a_jpeg_with_a_preview_is_the_photo(tmp_path):
    photo, preview = (Image.fromarray(random((16, 16, 3), seed=seed)) for seed in (0, 1))
    photo.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
        assert image.n_frames == 2
        assert_loads(tmp_path / "a.jpg", np.asarray(image), 255)
