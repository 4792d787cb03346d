"""An image becomes a target: what is observed, how, and what the restored image is scored against.

A target is a dataclass of its options with a method `observe`: the node of the configuration and the object that acts
on it are the same thing. To add one, write the class, list it in `TARGETS`, and put a file in `conf/target/`.

`dip.targets.report` holds the four targets of the report, all made from one clean image. `dip.targets.restoration`
and `dip.targets.inpainting` hold the tasks of the original paper, for pictures that are damaged already or that are
damaged here on purpose.

Importing this package does not import torch, so that options can be listed and checked at once.
"""

from __future__ import annotations

from dip.targets.inpainting import Inpaint
from dip.targets.report import Clean, Noise, Noisy, Shuffled, permutation
from dip.targets.restoration import Deblur, Degraded, Flash, Jpeg, SuperRes
from dip.targets.target import Observation, Target

__all__ = [
    "TARGETS", "Clean", "Deblur", "Degraded", "Flash", "Inpaint", "Jpeg", "Noise", "Noisy", "Observation", "Shuffled",
    "SuperRes", "Target", "permutation",
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
