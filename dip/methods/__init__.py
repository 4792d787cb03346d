"""Methods: how an image is restored from its observation.

`dip` fits a network to the observation. A variant (`Variant`) fits one in another way, and a rival (`Rival`) restores the
observation without Deep Image Prior. To add one, write a dataclass of its options in its own file, list it in `METHODS`,
and add a file to `conf/method/`.

Importing this package does not import torch.
"""

from dip.methods.method import Guided, Method, Rival, Variant

__all__ = ["METHODS", "Guided", "Method", "Rival", "Variant"]

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Variant, Guided)}
