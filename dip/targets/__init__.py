"""Targets: a target makes an observation of an image, and says what the restored image is scored against.

A target is a dataclass of its options with a method `observe`. To add one, write the class in its own file, list it in
`TARGETS`, and add a file to `conf/target/`. A damage that is simulated is an operator (`operators`) followed by a noise
model (`noise_models`). `baselines` lists the classical methods that each task is compared with.

Importing this package does not import torch.
"""

from dip.targets.deblur import Deblur
from dip.targets.degraded import Degraded
from dip.targets.flash import Flash
from dip.targets.inpainting import Inpaint
from dip.targets.jpeg import Jpeg
from dip.targets.noise_models import NOISE_MODELS, NoiseOptions
from dip.targets.observation import Observation
from dip.targets.superres import SuperRes
from dip.targets.synthetic import Clean, Noise, Noisy, Shuffled, permutation
from dip.targets.target import Target

__all__ = [
    "NOISE_MODELS", "TARGETS", "Clean", "Deblur", "Degraded", "Flash", "Inpaint", "Jpeg", "Noise", "NoiseOptions",
    "Noisy", "Observation", "Shuffled", "SuperRes", "Target", "permutation",
]  # fmt: skip

TARGETS: dict[str, type[Target]] = {
    "clean": Clean,
    "noisy": Noisy,
    "noise": Noise,
    "shuffled": Shuffled,
    "degraded": Degraded,
    "inpaint": Inpaint,
    "superres": SuperRes,
    "jpeg": Jpeg,
    "deblur": Deblur,
    "flash": Flash,
}
