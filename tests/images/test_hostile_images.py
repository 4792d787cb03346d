"""Files that must be refused in one line, without blocking or allocating memory. Unusual names that must work."""

import io
import os
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from dip.errors import ImageError
from dip.images import load
from dip.images.decoding import MAX_PIXELS
from tests.images.conftest import chunk, nobody, random

PHOTO = random((12, 10, 3))


def encoded(format, values=PHOTO, mode=None, **how):
    buffer = io.BytesIO()
    Image.fromarray(values, mode).save(buffer, format=format, **how)
    return buffer.getvalue()


def tiff(values, **how):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **how)
    return buffer.getvalue()


def samples(count):
    """The tag SamplesPerPixel of a little-endian TIFF."""
    return struct.pack("<HHII", 277, 3, 1, count)


def refuse(source, match):
    """Assert that `load` refuses in one line with the option, the legal formats and an example."""
    with pytest.raises(ImageError, match=match) as caught:
        load(source)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith("image=")
    assert "PNG, JPEG" in text or match == "no such file"
    assert text.endswith("image=photo.png")


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("data", "match"),
    {
        "empty": (b"", "empty"),
        "text": (b"this is not a picture\n" * 9, "not an image"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "not an image"),
        "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        "pdf": (b"%PDF-1.4\n", "not an image"),
        "gif": (encoded("GIF"), "not an image"),
        "header only": (encoded("PNG")[:33], "truncated"),
        "checksum": (encoded("PNG")[:-14] + b"\0\0" + encoded("PNG")[-12:], "damaged"),
        "apng": (encoded("PNG", save_all=True, append_images=[Image.new("RGB", (10, 12))]), "several"),
        "webp": (encoded("WEBP", save_all=True, append_images=[Image.new("RGB", (10, 12))]), "several"),
        "pages": (encoded("TIFF", save_all=True, append_images=[Image.new("RGB", (10, 12))]), "several"),
        "deep pages": (tiff(random((2, 5, 4, 3), np.uint16), photometric="rgb"), "several"),
        "no samples": (tiff(PHOTO, photometric="rgb").replace(samples(3), samples(0)), "no pixels|kind|damaged"),
        "nan": (tiff(np.full((4, 4), np.nan, np.float32)), "all values are NaN"),
        "complex": (tiff(np.zeros((4, 4), np.complex64)), "kind of TIFF"),
        "lab": (encoded("TIFF", mode="LAB"), "mode 'LAB'"),
        "objects": (
            b"\x93NUMPY\x01\x00\x36\x00{'descr': '|O', 'fortran_order': False, 'shape': (2,)}\n",
            "Python objects",
        ),
        "premultiplied": (tiff(random((4, 4, 4), np.uint16), photometric="rgb", extrasamples=[1]), "kind"),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(file, data, match):
    refuse(file(data), match)


@pytest.mark.fault(27)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM"])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.95])
def test_truncated(file, format, part):
    data = encoded(format)
    refuse(file(data[: max(1, int(part * len(data)))]), "truncated|damaged|not an image")


def claims(width, height, format):
    """A small file whose header claims another size."""
    if format == "png":
        data = encoded("PNG")
        return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]
    if format == "bmp":
        data = bytearray(encoded("BMP"))
        data[18:26] = struct.pack("<ii", width, height)
        return bytes(data)
    if format == "ppm":
        return b"P6 %d %d 255\n" % (width, height)
    values = np.zeros((1, 1, 3), np.uint16)
    data = tiff(values, photometric="rgb", metadata=None, byteorder="<")
    for tag, kind, number in ((256, 4, width), (257, 4, height), (278, 4, height)):
        at = next(i for i in range(10, 200, 12) if data[i : i + 2] == struct.pack("<H", tag))
        data = data[:at] + struct.pack("<HHII", tag, kind, 1, number) + data[at + 12 :]
    return data


@pytest.mark.fault(27)
@pytest.mark.parametrize("format", ["png", "bmp", "ppm", "tif"])
@pytest.mark.parametrize("size", [(30_000, 30_000), (12_000, 12_000), (1, 2**30)])
def test_huge_claims_are_refused_before_memory_is_taken(file, format, size):
    refuse(file(claims(*size, format)), "claims" if np.prod(size) > MAX_PIXELS else "truncated")


@pytest.mark.fault(27)
def test_a_real_bomb_takes_no_memory(file):
    compressor, rows = zlib.compressobj(9), bytes(30_001) * 100
    first, more = (compressor.compress(rows) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    body = first + 298 * more + compressor.compress(rows) + compressor.flush()
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    path = file(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    script = (
        "import resource, sys; from pathlib import Path; from dip.images.decoding import Unreadable, read\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read(Path(sys.argv[1]))\n"
        "except Unreadable as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    message, kilobytes = done.stdout.splitlines()
    assert "claims" in message
    assert int(kilobytes) < 50_000


@pytest.mark.fault(31)
def test_paths_that_are_not_files(tmp_path):
    refuse(tmp_path, "folder")
    os.mkfifo(tmp_path / "pipe.png")
    refuse(tmp_path / "pipe.png", "pipe")
    refuse("/dev/zero", "device")
    refuse(tmp_path / "nothing.png", "no such file")
    refuse("astronout", "no such file")
    refuse("a\0b.png", "null")
    refuse(tmp_path / os.fsdecode(b"\xff\xfe.png"), "no such file")  # not UTF-8
    refuse("x" * 5000 + ".png", "too long")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refuse(tmp_path / "loop.png", "symbolic links|Symlink loop")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    refuse(tmp_path / "dangling.png", "no such file")


@pytest.mark.fault(31)
def test_unreadable(file):
    path = file(encoded("PNG"))
    path.chmod(0)
    with nobody():
        refuse(path, "permission denied")


@pytest.mark.fault(31)
@pytest.mark.parametrize("name", ["a b.png", "new\nline.png", "größe-雪.png", "-dash.png", "no suffix", "\x1b[31m"])
def test_unusual_names_work_and_stay_on_one_line(file, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    file(encoded("PNG"), name)
    assert load(name).pixels.shape == (1, 3, 12, 10)
    (tmp_path / "link").symlink_to(name)
    torch.testing.assert_close(load("link").pixels, load(name).pixels)
    file(b"broken", name)
    refuse(name, "not an image")


SEEDS = {
    "png": encoded("PNG"),
    "deep png": imagecodecs.png_encode(random((9, 9, 4), np.uint16)),
    "palette": encoded("PNG", random((9, 9))),
    "jpeg": encoded("JPEG"),
    "webp": encoded("WEBP"),
    "tiff": encoded("TIFF", compression="tiff_lzw"),
    "deep tiff": tiff(random((9, 9, 3), np.uint16), photometric="rgb", compression="zlib"),
    "float tiff": tiff(np.ones((9, 9, 3), np.float32), photometric="rgb", tile=(16, 16)),
    "bmp": encoded("BMP"),
    "ppm": encoded("PPM"),
}


@pytest.mark.fault(27)
@pytest.mark.parametrize("kind", SEEDS)
def test_broken_bytes_raise_nothing_but_image_errors(file, kind):
    generator = np.random.default_rng(list(kind.encode()))
    refused = []
    for _ in range(30):
        data = np.frombuffer(SEEDS[kind], np.uint8).copy()
        head = min(len(data), 200)  # most decoder errors are in headers
        for _ in range(generator.integers(1, 5)):
            data[generator.integers(head if generator.random() < 0.7 else len(data))] = generator.integers(256)
        if generator.random() < 0.3:
            data = data[: generator.integers(1, len(data))]
        try:
            pixels = load(file(data.tobytes())).pixels
        except ImageError as error:
            refused.append(str(error))
        else:
            assert pixels.ndim == 4
            assert pixels.min() >= 0
            assert pixels.max() <= 1
    assert refused
    assert all(text.isprintable() for text in refused)
