"""Images: files and arrays become tensors (1, C, H, W) in [0, 1], and are saved with their depth, alpha and profile.

| what is read                          | becomes                                                            |
|---------------------------------------|--------------------------------------------------------------------|
| PNG JPEG TIFF WEBP BMP PPM, one image | read; animations and pages are refused, previews in JPEG ignored   |
| 1-bit, gray                           | C = 1; 8-bit values / 255                                          |
| RGB                                   | C = 3; 8-bit values / 255                                          |
| palette                               | RGB, C = 3, also when its colours are gray                         |
| CMYK, YCbCr                           | RGB by Pillow's formula; a CMYK colour profile is dropped          |
| 12- and 16-bit, gray and colour       | / 4095 and / 65535; saved with 16 bits                             |
| float TIFF                            | unchanged if within [0, 1], else min .. max mapped to 0 .. 1, and  |
|                                       | back when saved; NaN and infinite values are refused               |
| alpha, a transparent colour           | kept beside the pixels, never blended; saved with the result       |
| EXIF orientation                      | applied, and not written to the result                             |
| colour profile                        | kept, never applied; saved with results of its kind (gray or RGB)  |
| many bands (hyperspectral)            | C = bands, from arrays and from TIFF                               |
| 32-bit integers, signed, Lab          | refused                                                            |
| > 178,956,970 pixels, > 2 GiB         | refused before decoding                                            |

A string that is in `dip.samples.SAMPLES` means that sample image of scikit-image. Every other string, and every `Path`,
is a path: the file coins is ./coins.
"""

from dip.images.picture import Picture, from_array, from_bytes, load, to_array
from dip.images.resizing import prepare, prepare_mask
from dip.images.saving import preview, save

__all__ = ["Picture", "from_array", "from_bytes", "load", "prepare", "prepare_mask", "preview", "save", "to_array"]
