"""Methods: how an image is restored from its observation.

`dip` fits a network to the observation. A variant (`Variant`) fits one in another way, and a rival (`Rival`) restores the
observation without Deep Image Prior. To add one, write a dataclass of its options, list it in `METHODS`, and add a file to
`conf/method/`. What a variant computes is a subclass of `dip.methods.extras.Extras`.

Importing this package does not import torch.
"""

from dip.methods.method import Method, Rival, Variant
from dip.methods.variants import RandomProjector, SelfGuided, Sequential, SparseNoise, WeightNoise

__all__ = ["METHODS", "Method", "Rival", "Variant"]

METHODS: dict[str, type[Method]] = {
    kind.name: kind for kind in (Variant, WeightNoise, SelfGuided, Sequential, RandomProjector, SparseNoise)
}
