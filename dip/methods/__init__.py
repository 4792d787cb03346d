"""Methods: how an image is restored from its observation.

`dip` fits a network to the observation. A variant (`Variant`) fits one in another way, and a denoiser (`Denoiser`) restores
the observation without Deep Image Prior. To add one, write a dataclass of its options, list it in `METHODS`, and add a
file to `conf/method/`. What a variant computes is a subclass of `dip.methods.extras.Extras`.

Importing this package does not import torch.
"""

from dip.methods.denoisers import BM3D, NLM, TV, ZSN2N, Classical, Noise2Self, Pixel2Pixel, Wavelet
from dip.methods.method import Denoiser, Learned, Method, Variant
from dip.methods.variants import Guided, RandomProjector, SelfGuided, Sequential, SparseNoise, WeightNoise

__all__ = ["METHODS", "Classical", "Denoiser", "Guided", "Learned", "Method", "Variant"]

_KINDS: tuple[type[Method], ...] = (
    Variant, Guided, WeightNoise, SelfGuided, Sequential, RandomProjector, SparseNoise,
    ZSN2N, Pixel2Pixel, Noise2Self, BM3D, NLM, TV, Wavelet,
)  # fmt: skip
METHODS: dict[str, type[Method]] = {kind.name: kind for kind in _KINDS}
