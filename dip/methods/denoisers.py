"""The options of the methods without Deep Image Prior. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.methods.method import Denoiser, Learned
from dip.options import flag, integer, option

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dip.methods.training import Training


@dataclass
class ZSN2N(Learned):
    """Zero-Shot Noise2Noise (Mansour, Heckel, CVPR 2023, arXiv 2303.11253): trains on two downsampled images."""

    name: str = "zs_n2n"

    def training(self, y: Tensor, sigma: float, seed: int, half: torch.dtype | None) -> Training:
        from dip.methods.zs_n2n import training

        return training(y, seed, half)


@dataclass
class Pixel2Pixel(Learned):
    """Pixel2Pixel (Ma et al., IEEE TPAMI 2025): trains on images of which each pixel is drawn from similar pixels."""

    name: str = "pixel2pixel"
    steps: int = option(3000, "optimisation steps; the default is the published number", integer(1), "500")
    bank: int | None = option(
        None,
        "similar pixels to draw each pixel from, itself included; null: 2, 4 or 8, the published numbers for noise of 10, 25 "
        "and 50 of 255",
        integer(2, 64, none=True),
        "4",
    )

    def training(self, y: Tensor, sigma: float, seed: int, half: torch.dtype | None) -> Training:
        from dip.methods.pixel2pixel import bank_size, training

        return training(y, self.bank or bank_size(sigma), seed, half)


@dataclass
class Noise2Self(Learned):
    """Noise2Self (Batson, Royer, ICML 2019, arXiv 1901.11365): predicts pixels from their neighbours."""

    name: str = "noise2self"

    def training(self, y: Tensor, sigma: float, seed: int, half: torch.dtype | None) -> Training:
        from dip.methods.noise2self import training

        return training(y, seed, half)


@dataclass
class Classical(Denoiser):
    """Base of the methods that are also baselines, with their settings: see `dip.targets.baselines`."""

    name: str = "classical"
    unclip: bool = option(
        False,
        "correct the bias near 0 and 1 that clipped Gaussian noise leaves (Foi, Signal Processing 2009), as method=guided "
        "does; that of photon noise is always corrected",
        flag(),
        "true",
    )

    ignores = (*Denoiser.ignores, "precision", "record_every", "snapshot_every")
    impulses = False
    memory = (40.0, 0.0)


@dataclass
class BM3D(Classical):
    """Block matching and 3D filtering (Dabov et al., IEEE TIP 2007)."""

    name: str = "bm3d"

    memory = (200.0, 4e8)


@dataclass
class NLM(Classical):
    """Non-local means (Buades et al., CVPR 2005)."""

    name: str = "nlm"


@dataclass
class TV(Classical):
    """Total variation (Rudin, Osher and Fatemi, Physica D 1992)."""

    name: str = "tv"


@dataclass
class Wavelet(Classical):
    """BayesShrink of wavelets (Chang et al., IEEE TIP 2000), averaged over shifts."""

    name: str = "wavelet"
