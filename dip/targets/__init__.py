"""Targets: a target makes an observation of an image, and defines the reference that scores the restored image.

A target is a dataclass of its options with a method `observe`. To add one, write the class in its own file, list it in
`TARGETS`, and add a file to `conf/target/`. A damage that is simulated is an operator (`operators`) followed by a noise
model (`noise_models`). `baselines` lists the classical methods that each task is compared with.

Importing this package does not import torch.
"""

from dip.targets.binning import Binning
from dip.targets.inpainting import Inpaint
from dip.targets.jpeg import Jpeg
from dip.targets.matrix import Matrix
from dip.targets.measured import Measured
from dip.targets.mri import MRI
from dip.targets.noise_models import NOISE_MODELS
from dip.targets.noise_options import NoiseOptions
from dip.targets.observation import Observation
from dip.targets.superres_deblur import Deblur, SuperRes
from dip.targets.target import Target
from dip.targets.tomography import Tomography
from dip.targets.without_operator import Clean, Degraded, Flash, Noise, Noisy, Shuffled, permutation

__all__ = [
    "MRI", "NOISE_MODELS", "TARGETS", "Binning", "Clean", "Deblur", "Degraded", "Flash", "Inpaint", "Jpeg", "Matrix",
    "Measured", "Noise", "NoiseOptions", "Noisy", "Observation", "Shuffled", "SuperRes", "Target", "Tomography",
    "permutation",
]  # fmt: skip

_KINDS = (Clean, Noisy, Noise, Shuffled, Degraded, Inpaint, SuperRes, Jpeg, Deblur, Flash,
          Tomography, MRI, Binning, Matrix, Measured)  # fmt: skip
TARGETS: dict[str, type[Target]] = {kind.name: kind for kind in _KINDS}
