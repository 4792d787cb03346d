"""Images: files, arrays and other objects become tensors (1, C, H, W) in [0, 1], and are saved as they were stored.

Paths, the bytes of files, open files, PIL images, arrays and tensors are read by the same rules.

| what is read                          | becomes                                                            |
|---------------------------------------|--------------------------------------------------------------------|
| PNG JPEG TIFF WEBP AVIF BMP PPM HEIC  | one image; animations and pages are refused, previews ignored.     |
|                                       | HEIC needs the extra `heic`; AVIF is reduced to 8 bits             |
| arrays, tensors, and files of arrays  | (H, W), or with C channels in the order of `axes`, else that of    |
| (see `dip.images.containers`)         | the kind of file, else a guess, which is logged; FILE:KEY is one of|
|                                       | several arrays                                                     |
| volumes: `axes=ZYX`, `axes=CZYX`      | C = channels x slices; results have the input's axes               |
| TIFF of several pages                 | refused, unless `axes` or ImageJ or OME defines the pages          |
| 1-bit, gray                           | C = 1                                                              |
| RGB, palette                          | C = 3                                                              |
| CMYK, YCbCr, HSV                      | RGB by Pillow's formula; a CMYK colour profile is dropped          |
| bands that are neither colour nor     | C = all bands                                                      |
| alpha (near infrared, hyperspectral)  |                                                                    |
| 8 bits                                | / 255                                                              |
| 16 bits and more                      | / 255, 1023, 4095, 16383 or 65535, the first that holds all        |
|                                       | values; negative and larger ones: minimum .. maximum. 24 bits of   |
|                                       | precision are kept                                                 |
| float                                 | unchanged if within [0, 1], clipped if noise alone leaves it, else |
|                                       | minimum .. maximum                                                 |
| `range=[low,high]`                    | low .. high for every type; values outside are clipped             |
| NaN, infinite and masked values       | NaN: missing. `target=inpaint` fills them in, others refuse them   |
| alpha, a transparent colour           | kept beside the pixels, never blended; saved with the result       |
| EXIF orientation                      | applied, and not written to the result                             |
| colour profile                        | kept, never applied; saved with results of its kind (gray or RGB)  |
| gamma, chromaticities of a PNG        | kept, never applied; saved with PNG results                        |
| complex values, Lab, 16-bit PPM       | refused                                                            |
| > 178,956,970 pixels, > 2 GiB         | refused before decoding                                            |

The limits become 0 and 1 in the fit and in the scores: the peak of the PSNR is their distance, 4095 for 12 bits. Pixels
that are not observed do not influence them. Results have the type and the units of the input.

A string that is in `dip.samples.SAMPLES` means that sample image of scikit-image. Every other string, and every `Path`,
is a path: the file coins is ./coins.
"""

from dip.images.picture import Picture, arranged, from_array, load, read_values, rescaled, to_array
from dip.images.resizing import crop, prepare, prepare_mask
from dip.images.saving import preview, save, save_values, stored
from dip.images.volumes import mosaic

__all__ = [
    "Picture", "arranged", "crop", "from_array", "load", "mosaic", "prepare", "prepare_mask", "preview", "read_values", "rescaled",
    "save", "save_values", "stored", "to_array",
]  # fmt: skip
