"""Simulated noise of a digital camera: photon and read noise on a Bayer mosaic, then the processing to an 8-bit JPEG.

Demosaicing, noise reduction and JPEG correlate the noise of neighbouring pixels and of the channels, and the transfer
curve makes it depend on brightness. Sources: the noise of the sensor as in Foi et al., "Practical Poissonian-Gaussian
noise modeling and fitting for single-image raw-data", IEEE TIP 2008; the transfer curve of sRGB, IEC 61966-2-1.
"""

import functools
import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional

from dip.targets.jpeg_file import compressed
from dip.targets.operators import gaussian_kernel

GAINS = (2.0, 1.0, 1.6)
"""White balance of daylight: the factors that multiply red, green and blue of the sensor."""

SHOT_AT_100 = 1e-4
"""Variance of the shot noise of white at ISO 100, in full scale squared (10,000 photons)."""

READ = 1.25e-4
"""Standard deviation of the noise after the amplifier, in full scale."""

READ_PER_ISO = 6.25e-7
"""Standard deviation of the noise before the amplifier at ISO 1, in full scale."""

SMOOTHING = 0.6
"""Standard deviation of the Gaussian filter that stands for the camera's noise reduction, in pixels."""

LUMA = (0.299, 0.587, 0.114)

_MARGIN = 8  # pixels around the image, against border effects; even, so that the mosaic keeps its phase
_BILINEAR = [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]
_CROSS = [[0.0, 0.25, 0.0], [0.25, 1.0, 0.25], [0.0, 0.25, 0.0]]


def photograph(image: Tensor, generator: Generator, iso: float, quality: int) -> Tensor:
    """The image (1, C, H, W) in [0, 1] with camera noise, as an 8-bit JPEG stores it.

    The image is what the camera would make without noise: the processing is applied to the noise and not to the image.
    A gray image has the luma of the noise of a gray scene. With any other number of channels than 3, each channel is
    treated as a gray image.

    Args:
        image: sRGB or gray values.
        generator: of the noise, on the CPU.
        iso: > 0. The variance of the shot noise is proportional to it.
        quality: of the JPEG, 1 to 100.
    """
    image = image.detach().float()
    if image.shape[1] != 3:
        gray = [_jpeg(_with_noise(plane[:, None], generator, iso), quality) for plane in image.unbind(1)]
        return torch.cat(gray, dim=1)
    return _jpeg(_with_noise(image, generator, iso), quality)


def _with_noise(image: Tensor, generator: Generator, iso: float) -> Tensor:
    """The image (1, 1 or 3, H, W) plus the noise after the processing of the camera, not rounded."""
    gain = torch.tensor(GAINS).view(1, 3, 1, 1)
    scene = functional.pad(image.expand(-1, 3, -1, -1), [_MARGIN] * 4, mode="replicate")
    colours = _colours(*scene.shape[2:])
    raw = (colours * to_linear(scene) / gain).sum(1, keepdim=True)  # (1, 1, H, W)
    shot, read = SHOT_AT_100 * iso / 100, math.hypot(READ, READ_PER_ISO * iso)
    noisy = torch.poisson(raw / shot, generator=generator) * shot + read * torch.randn(raw.shape, generator=generator)
    noise = _processed(noisy.clamp(0, 1), colours * gain) - _processed(raw, colours * gain)
    noise = noise[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    if image.shape[1] == 1:
        noise = (noise * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return image + noise


def _processed(raw: Tensor, colours: Tensor) -> Tensor:
    """White balance, bilinear demosaicing, noise reduction and transfer curve: (1, 1, H, W) -> (1, 3, H, W)."""
    kernels = torch.tensor([_BILINEAR, _CROSS, _BILINEAR])[:, None]
    linear = functional.conv2d(raw * colours, kernels, padding=1, groups=3)
    linear = linear / functional.conv2d((colours > 0).float(), kernels, padding=1, groups=3)
    smooth = gaussian_kernel(SMOOTHING).float()
    smooth = smooth.expand(3, 1, *smooth.shape[-2:])
    return to_srgb(functional.conv2d(linear, smooth, padding="same", groups=3).clamp(0, 1))


@functools.lru_cache(maxsize=8)  # seconds
def variances(channels: int, iso: float, quality: int) -> tuple[Tensor, Tensor]:
    """The variance of the noise by brightness, measured on uniform gray images: (17,) and (17, channels).

    The noise is drawn with a fixed seed, so equal options give equal values. The standard error is about 2 per cent.
    """
    generator = torch.Generator().manual_seed(0)
    brightness = torch.linspace(0, 1, 17)
    drawn = [photograph(torch.full((1, channels, 256, 256), float(b)), generator, iso, quality) for b in brightness]
    return brightness, torch.stack([noisy[0].flatten(1).var(1) for noisy in drawn])


def to_linear(image: Tensor) -> Tensor:
    """sRGB values to linear light, both in [0, 1]."""
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def to_srgb(image: Tensor) -> Tensor:
    """Linear light to sRGB values, both in [0, 1]."""
    return torch.where(image <= 0.0031308, image * 12.92, 1.055 * image.clamp(min=1e-8) ** (1 / 2.4) - 0.055)


def _colours(height: int, width: int) -> Tensor:
    """The colour of each pixel of an RGGB mosaic: (1, 3, H, W) of zeros and ones."""
    block = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
    return block.repeat(1, -(-height // 2), -(-width // 2))[None, :, :height, :width]


def _jpeg(image: Tensor, quality: int) -> Tensor:
    """(1, 1 or 3, H, W), clipped to [0, 1], after a JPEG with chroma at half resolution, as most cameras store it."""
    with Image.open(io.BytesIO(compressed(image.clamp(0, 1), quality)), formats=["JPEG"]) as stored:
        decoded = np.atleast_3d(np.array(stored))  # (H, W, C)
    return torch.from_numpy(decoded).permute(2, 0, 1)[None].float() / 255
