"""TIFF files of gray, colour and many bands, with 8 to 64 bits. Pillow would drop bands and bits."""

from typing import Any, BinaryIO

import numpy as np

from dip.images.arrays import from_values
from dip.images.stored import MAX_BYTES, Array, Stored, Unreadable, check_size, upright

MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")

_WHITE_IS_ZERO, _GRAY, _RGB = 0, 1, 2  # photometric interpretations
_PREMULTIPLIED, _ALPHA = 1, 2  # kinds of extra samples; 0 is unspecified, which is a band


def read(file: BinaryIO, axes: str | None) -> Stored | None:
    """Decode a TIFF. None: Pillow decodes it (palettes, CMYK, YCbCr, fewer than 8 bits, premultiplied alpha).

    Args:
        file: the file.
        axes: the order of the axes of several pages, such as CHW; without it several pages are refused.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        extras = tuple(int(extra) for extra in page.extrasamples)
        photometric, bits = int(page.photometric), page.bitspersample
        if photometric not in (_WHITE_IS_ZERO, _GRAY, _RGB) or bits < 8 or (bits == 8 and _PREMULTIPLIED in extras):
            return None
        # A tile is decoded whole, even where it exceeds the image.
        check_size(max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength))
        every: Any = tiff.pages
        pages = sum(not other.subfiletype & 1 for other in every)  # reduced pages are previews
        if page.size * max(pages, 1) * (bits // 8) > MAX_BYTES:
            raise Unreadable(f"the header claims more than {MAX_BYTES:,} bytes of pixels")
        if any(at + n > tiff.filehandle.size for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise Unreadable("the file is truncated")
        if page.dtype is None or page.dtype.kind not in "uif" or page.imagedepth > 1:
            raise Unreadable("this kind of TIFF (data type, volume) is not supported")
        if pages > 1:
            axes = axes or _named(tiff)
            if axes is None:
                raise Unreadable(
                    f"the file holds several images ({pages} pages; axes=CHW reads pages as channels, axes=ZYX as slices)"
                )
            return from_values(tiff.series[0].asarray(), axes)
        return _decoded(page, extras)


def _named(tiff: Any) -> str | None:
    """The order of the axes that the metadata of ImageJ, OME or tifffile name; None if they do not."""
    named = str(tiff.series[0].axes)
    described = tiff.is_imagej or tiff.is_ome or tiff.is_shaped
    return named if described and set("YX") < set(named) <= set("CZYX") else None


def _decoded(page: Any, extras: tuple[int, ...]) -> Stored:
    """The pixels of one page."""
    rgb = int(page.photometric) == _RGB
    if rgb and page.samplesperpixel == 4 and not extras:
        extras = (_ALPHA,)  # the tag is missing
    has_alpha = extras[-1:] == (_ALPHA,)
    if any(extras[:-1] if has_alpha else extras):
        raise Unreadable("this kind of TIFF (several alpha channels, or premultiplied with 16 bits) is not supported")
    values: Array = page.asarray()
    if page.samplesperpixel > 1 and page.planarconfig == 2:
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    white = 2**page.bitspersample - 1 if page.dtype.kind == "u" and page.bitspersample in (10, 12, 14) else None
    small = values.dtype.kind == "f" and values.dtype.itemsize < 4
    values = values.astype(np.float32 if small else values.dtype.newbyteorder("="))
    if int(page.photometric) == _WHITE_IS_ZERO and values.dtype.kind == "u":
        values = values.dtype.type(white or np.iinfo(values.dtype).max) - values
    values = upright(values, page.tags.valueof(274))
    if has_alpha and str(values.dtype) not in ("uint8", "uint16", "float32"):
        raise Unreadable(f"alpha of type {values.dtype} is not supported")
    return Stored.of_pixels(values, has_alpha, icc_profile=page.iccprofile or None, white=white)
