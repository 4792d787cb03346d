"""DICOM images, read by pydicom, an optional package."""

from typing import BinaryIO

import numpy as np

from dip.images.stored import Contents, Unreadable, check_bytes, check_size, no_key, optional


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the pixels in the units of the file: rescale slope and intercept are applied, as for Hounsfield units.

    Frames are slices, (D, H, W). The bits above those that the header declares as stored are ignored.
    """
    no_key(key)
    header = optional("pydicom", "DICOM files", "dicom").dcmread(file)
    if "Rows" not in header or not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(header.dir()):
        raise Unreadable("the file holds no image", "a DICOM image")
    check_size(header.Columns, header.Rows)
    frames, samples = int(header.get("NumberOfFrames") or 1), int(header.get("SamplesPerPixel", 1))
    check_bytes(header.Rows * header.Columns * frames * samples * header.get("BitsAllocated", 64) // 8)
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise Unreadable("colours of a palette are not supported", "a gray or RGB image")
    values = header.pixel_array  # YCbCr becomes RGB
    slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
    if (slope, intercept) != (1, 0):
        from pydicom.pixels.processing import apply_rescale

        values = apply_rescale(values, header)  # float64
        if slope.is_integer() and intercept.is_integer() and abs(values).max() < 2**31:
            values = values.astype(np.int32)
    return Contents(values, axes=("D" if frames > 1 else "") + "HW" + ("C" if samples > 1 else ""))
