"""Saving of images with the depth, range, alpha and colour profile that they were read with.

Pillow encodes 8-bit files. It supports neither 16-bit colour nor float colour: imagecodecs encodes 16-bit PNG, tifffile
all TIFF.
"""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import putchunk
from torch import Tensor

from dip.errors import ImageError, RunError
from dip.files import write_bytes
from dip.images.picture import Picture, arranged, to_array
from dip.images.resizing import resize
from dip.images.scaling import from_unit, full_scale
from dip.images.stored import Array, one_line
from dip.images.volumes import from_image, middle

SUFFIXES = {
    ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP",
    ".npy": "NPY", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG",
}  # fmt: skip
DEEP = ("TIFF", "NPY", "NIFTI")
"""Formats of any depth and number of channels."""
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}


def save(path: str | Path, pixels: Tensor, like: Picture | None = None, folders: bool = False) -> None:
    """Write (1, C, H, W) pixels atomically to a file; the suffix selects the format. Values are clipped to [0, 1].

    Args:
        path: the file.
        pixels: written with 8 bits, rounded to nearest, unless `like` is given.
        like: the image whose depth, units, alpha and colour profile are used. Alpha is resized. The profile is dropped
            if it is not for C channels. TIFF, NPY and NIfTI support every depth, PNG uint8 and uint16, other formats
            uint8 only. Where the depth differs from that of `like`, 0 and 1 become the full range of the file's. A
            NIfTI file has the affine of the one that `like` was read from.
        folders: see `dip.files.write_bytes`.

    Raises:
        ImageError: the suffix is unknown, the format does not support alpha or C channels, the file is the one that
            `like` was read from or not a regular file, writing fails, or a value is NaN or infinite.
    """
    path = Path(path)
    assert tuple(pixels.shape[:-3]) == (1,), "pixels are (1, C, H, W)"
    pixels = pixels.detach().to("cpu", torch.float32)
    like = Picture(pixels) if like is None else like
    channels = pixels.shape[1]
    format = "NIFTI" if path.name.lower().endswith((".nii", ".nii.gz")) else SUFFIXES.get(path.suffix.lower())

    def cannot(why: str) -> ImageError:
        return ImageError(f"cannot write {one_line(str(path))}: {why}")

    if format is None:
        raise cannot(f"the suffix must be one of {' '.join(SUFFIXES)} .nii .nii.gz, for example out.png")
    if channels not in (1, 3) and format not in DEEP:
        raise cannot(f"{channels} channels need a TIFF or NPY file, for example out.tif")
    if like.alpha is not None and format not in ("PNG", "TIFF", "WEBP"):
        raise cannot(f"{format} supports no transparency; use PNG, TIFF or WEBP, for example out.png")
    if not torch.isfinite(pixels).all():
        raise cannot("some values are NaN or infinite: the fit diverged; lower lr, for example lr=0.001")

    deepest = dict.fromkeys(DEEP, like.mode) | {"PNG": "uint8" if like.mode == "uint8" else "uint16"}
    mode = deepest.get(format, "uint8")
    values, profile = stored(pixels, mode, like.units if mode == like.mode else None), like.icc_profile
    if like.alpha is not None:
        alpha = stored(resize(like.alpha, (pixels.shape[2], pixels.shape[3])), mode)
        values = np.concatenate([values, alpha], axis=2)
    if profile is not None and profile[16:20] != {1: b"GRAY", 3: b"RGB "}.get(channels):
        profile = None  # readers reject a profile for another number of channels
    try:
        if path.exists() and not path.is_file():
            raise cannot("it exists and is not a regular file; choose another name, for example out.png")
        if like.path is not None and path.exists() and like.path.exists() and path.samefile(like.path):
            raise cannot("it is the input image; choose another name, for example out.png")
        content = _nifti(values, like) if format == "NIFTI" else _encoded(values, like, profile, format)
        write_bytes(path, gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content, folders)
    except ImageError:
        raise
    except ImportError:
        raise cannot("it needs the package nibabel; pip install 'deep-image-prior[nifti]'") from None
    except (OSError, ValueError, RunError) as error:  # a full disk, no such folder, an image too large for the format
        cause = error.__cause__ or error
        raise cannot(one_line(getattr(cause, "strerror", None) or str(cause))) from None


def stored(pixels: Tensor, mode: str, units: tuple[float, float] | None = None) -> Array:
    """Convert (1, C, H, W) in [0, 1] to (H, W, C) of type `mode`.

    Args:
        pixels: clipped to [0, 1].
        mode: the type.
        units: the stored values that 0 and 1 become; None: the full range of `mode`.
    """
    return from_unit(to_array(pixels.clamp(0, 1)), mode, full_scale(mode) if units is None else units)


def save_values(path: Path, values: Array, folders: bool = False) -> None:
    """Write an array of numbers to a `.npy` file or, real ones, to a TIFF file; `folders` as in `save`. Raises ImageError."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, values, allow_pickle=False)
    elif np.iscomplexobj(values):
        raise ImageError(f"cannot write {one_line(str(path))}: complex values need a NPY file, for example out.npy")
    else:
        import tifffile

        tifffile.imwrite(buffer, values, compression="zlib", metadata=None, software=False)
    try:
        write_bytes(path, buffer.getvalue(), folders)
    except (OSError, RunError) as error:
        raise ImageError(f"cannot write {one_line(str(path))}: {error}") from None


def preview(pixels: Tensor, slices: int = 1) -> Tensor:
    """(1, C, H, W) as gray or RGB: of 4 channels the first three, else the first, the middle and the last.

    Of a volume (1, C * slices, H, W) the middle slice.
    """
    pixels = middle(pixels, slices)
    channels = pixels.shape[1]
    return pixels if channels in (1, 3) else pixels[:, [0, 1, 2] if channels == 4 else [0, channels // 2, channels - 1]]


def _nifti(values: Array, like: Picture) -> bytes:
    """The bytes of a NIfTI file of (H, W, C): columns, rows, slices, channels; with the affine of `like`'s file."""
    import nibabel

    if like.is_volume(values.shape[2]):
        array = from_image(values, "WHDC" if "C" in str(like.axes) else "WHD", like.depth)
    else:
        array = values.transpose(1, 0, 2)[:, :, None]
    affine: Any = np.eye(4)
    if like.path is not None and like.path.exists() and like.path.name.lower().endswith((".nii", ".nii.gz")):
        source: Any = nibabel.load(like.path)
        affine = source.affine
    content: bytes = nibabel.Nifti1Image(array, affine).to_bytes()  # type: ignore[no-untyped-call]
    return content


def _encoded(values: Array, like: Picture, profile: bytes | None, format: str) -> bytes:
    """The bytes of a file of `format`. `values` are (H, W, C), with the alpha of `like`, if any, as the last of C.

    JPEG has quality 95 without chroma subsampling. WEBP is lossless.
    """
    channels, alpha, buffer = values.shape[2], like.alpha is not None, io.BytesIO()
    volume = like.is_volume(channels)
    if volume and format == "TIFF":  # pages are slices
        values = from_image(values, "CDHW" if "C" in str(like.axes) else "DHW", like.depth)
    else:
        values = arranged(values, like) if format == "NPY" else values[..., 0] if channels == 1 else values
    if format == "NPY":
        np.save(buffer, values, allow_pickle=False)
    elif format == "TIFF":
        import tifffile

        tifffile.imwrite(
            buffer, values,
            photometric="rgb" if channels - alpha == 3 and not volume else "minisblack",
            planarconfig="contig" if channels > 1 and not volume else None,
            extrasamples=["unassalpha"] if alpha else None,
            compression="zlib", iccprofile=profile, software=False,
            metadata=None if not volume else {"axes": "CZYX"[4 - values.ndim :]},
        )  # fmt: skip
    elif format == "PNG":
        profiles = [] if profile is None else [(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))]
        return _png(values, (*like.chunks, *profiles))
    else:
        Image.fromarray(values).save(buffer, format, icc_profile=profile, **_PILLOW_OPTIONS.get(format, {}))
    return buffer.getvalue()


def _png(values: Array, chunks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The bytes of a PNG of (H, W) or (H, W, C), uint8 or uint16, with `chunks` behind its header."""
    if values.dtype == np.uint16:
        import imagecodecs

        encoded = imagecodecs.png_encode(values, level=6, filter=imagecodecs.PNG.FILTER.UP)
    else:
        plain = io.BytesIO()
        Image.fromarray(values).save(plain, "PNG")
        encoded = plain.getvalue()
    buffer = io.BytesIO(encoded[:33])  # the signature and the chunk IHDR
    buffer.seek(33)
    for name, data in chunks:
        putchunk(buffer, name, data)
    buffer.write(encoded[33:])
    return buffer.getvalue()
