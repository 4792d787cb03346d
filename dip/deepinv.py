"""The fit as a reconstructor of deepinv: a torch module that is called with measurements and a physics.

deepinv (https://deepinv.github.io) is optional: `DeepImagePrior` is one of its reconstructors where it is installed,
and works with any object that has its methods `A` and `A_adjoint`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dip import api
from dip.api.isolation import isolated
from dip.errors import DipError, OptionError

if TYPE_CHECKING:
    from torch.nn import Module as Reconstructor
else:
    try:
        from deepinv.models import Reconstructor
    except ImportError:
        from torch.nn import Module as Reconstructor

DEFAULTS = {
    "experiment": "fast",
    "perturbation_warm_up": 100,
    "stop": {"name": "heldout", "patience": 300, "fraction": 0.05},
    "progress": False,
}
"""The options of `DeepImagePrior` that differ from those of `dip.restore`. The experiment is tuned for photographs;
small images overfit before its perturbation has grown, and give the rule few measurements to hold out."""


class DeepImagePrior(Reconstructor):
    """Reconstruct an image from measurements y = A(x) + noise by fitting an untrained network to them.

    It has no weights: each call fits a new network, ends by its own stopping rule, and changes no global state. The
    same call returns the same image. A batch is reconstructed image by image.

    Args:
        shape: (C, H, W) of the image; None: that of `physics.A_adjoint(y)`, and complex if that is.
        options: as for `dip.restore`: `experiment`, `steps`, `seed`, `range`, `net`, ... Without `device`, the fit runs
            on the device of the measurements.

    >>> import torch
    >>> class Half(torch.nn.Module):
    ...     def A(self, x):
    ...         return x[..., ::2]
    >>> model = DeepImagePrior(shape=(1, 32, 32), steps=3, net={"channels": 8, "depth": 3}, skips=[2])
    >>> model(torch.rand(1, 1, 32, 16), Half()).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, shape: tuple[int, int, int] | None = None, **options: Any) -> None:
        super().__init__()
        self.shape = None if shape is None else tuple(shape)
        self.options = {**DEFAULTS, **options}

    def forward(self, y: Tensor, physics: Any, **kwargs: Any) -> Tensor:
        """The reconstructed images, (B, C, H, W), without gradient, on the device of `y`.

        Args:
            y: measurements (B, ...), real or complex, in any unit.
            physics: an object with a differentiable method `A` from images (1, C, H, W) to measurements (1, ...), and
                `A_adjoint` where `shape` is None. Its parameters are the same for all images of the batch.
            kwargs: not used; deepinv's trainer may pass parameters of other reconstructors.

        Raises:
            DipError: an option is illegal, or the physics does not fit the measurements or cannot be differentiated.
        """
        if not isinstance(y, Tensor) or y.ndim < 2 or len(y) == 0:
            got = f"a tensor of shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise DipError(f"y: must be a tensor of measurements (B, ...) with B >= 1, not {got}")
        with isolated():
            return torch.cat([self._one(y[i : i + 1].detach(), physics) for i in range(len(y))])

    def _one(self, y: Tensor, physics: Any) -> Tensor:
        """The image (1, C, H, W) of measurements y, (1, ...)."""
        options = {"device": str(y.device), **self.options}
        shape = self.shape
        if shape is None:
            example = self._adjoint(y, physics)
            shape, options = tuple(example.shape[1:]), {"complex": example.is_complex(), **options}
        done = api.restore(y, operator=physics, shape=shape, **options)
        values = torch.from_numpy(done.values)  # (H, W) or (H, W, C)
        image = values[..., None] if values.ndim == 2 else values
        return image.permute(2, 0, 1)[None].to(y.device)

    def _adjoint(self, y: Tensor, physics: Any) -> Tensor:
        """The image (1, C, H, W) that the adjoint makes of `y`, whose shape and type are those of the image."""
        adjoint = getattr(physics, "A_adjoint", None)
        if adjoint is None:
            legal = f"(C, H, W), since {type(physics).__name__} has no method A_adjoint that gives the image's shape"
            raise OptionError("shape", self.shape, legal, "DeepImagePrior(shape=(1, 256, 256))")
        image: Tensor = adjoint(y).detach()
        if image.ndim != 4:
            raise DipError(f"physics: its images must be (1, C, H, W), but A_adjoint returns {tuple(image.shape)}")
        return image
