"""What the variants of Deep Image Prior add to a step of the fit: `dip.methods.variants` holds their options."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.errors import OptionError
from dip.seeds import Perturbation, generator

Perturb = Callable[[Tensor, int], Tensor]


class Extras(nn.Module):
    """What a method adds to the fit of one network; this base class adds nothing, which is Deep Image Prior.

    `dip.model.module` calls the methods in the order in which they stand here, `groups` once and the others in each
    step. All tensors that a later step depends on are parameters or buffers, so that checkpoints and rollbacks hold
    them. No method reads the value of a tensor, which would wait for the device.
    """

    draws = False
    """Whether it draws random numbers on the device, beside the perturbation."""

    def groups(self) -> list[dict[str, Any]]:
        """Groups of further parameters for the optimiser, with options such as `lr`; without, that of the networks.

        `muon=False` in a group means Adam also with the optimiser muon: its parameters are no matrices.
        """
        return []

    def input(self, z: Tensor, perturb: Perturb, step: int) -> Tensor:
        """The network's input at `step`, (1, C_z, H', W'), from the fixed z of the same shape."""
        return perturb(z, step)

    def predicted(self, observed: Tensor) -> Tensor:
        """What is compared with the observation y, from `observed` = A f(z), both (1, C, h, w)."""
        return observed

    def descend(self, loss: Tensor, predicted: Tensor) -> None:
        """Change variables that the optimiser does not have, by the gradient of the loss of `predicted`, ().

        It is not scaled for fp16 yet.
        """

    def objective(self, loss: Tensor, image: Tensor) -> Tensor:
        """What is minimised, (), from the loss of `predicted`, (), and the network's image (1, C, H, W)."""
        return loss

    @torch.no_grad()
    def update(self, net: nn.Module, output: Tensor, step: int, lr: float) -> None:
        """Act after the optimiser's step. `output`: of the network before that step, (1, C, H', W')."""

    def decay(self, step: int, ema: float) -> float:
        """Decay of the average of the outputs at `step`: it rises to `ema`, so that the first outputs count little."""
        return min(ema, step / (step + 9))


class WeightNoise(Extras):
    """See `dip.methods.variants.WeightNoise`."""

    draws = True

    def __init__(self, seed: int, noise: float, burn_in: int) -> None:
        super().__init__()
        self.seed, self.noise, self.burn_in = seed, noise, burn_in

    @torch.no_grad()
    def update(self, net: nn.Module, output: Tensor, step: int, lr: float) -> None:
        """Add the noise of `step` to the weights of convolutions and linear layers."""
        weights = [weight for weight in net.parameters() if weight.dim() >= 2]
        # One draw for all weights, in float32 at every precision: a kernel instead of one for each weight.
        random = generator(self.seed, "weight noise", step, device=output.device)
        count = sum(weight.numel() for weight in weights)
        draw = torch.randn(count, dtype=torch.float32, device=output.device, generator=random)
        for weight, noise in zip(weights, draw.split_with_sizes([weight.numel() for weight in weights]), strict=True):
            weight.add_(noise.view(weight.shape), alpha=self.noise * lr)

    def decay(self, step: int, ema: float) -> float:
        """After the burn-in the average is that of all outputs since; it starts as that of the last 1 / (1 - ema)."""
        if step <= self.burn_in:
            return super().decay(step, ema)
        return 1 - 1 / (step - self.burn_in + 1 / (1 - super().decay(self.burn_in, ema)))


class Autoencoding(Extras):
    """Base of the variants whose input z is an image that the network is trained to reproduce.

    Args:
        z: the first input, (1, C, H', W').
        weight: of the mean squared difference between the network's image and z.
    """

    def __init__(self, z: Tensor, weight: float) -> None:
        super().__init__()
        self.z, self.weight = z, weight

    def objective(self, loss: Tensor, image: Tensor) -> Tensor:
        """Add the weighted mean squared difference between the image and z."""
        height, width = image.shape[-2:]
        return loss + self.weight * F.mse_loss(image, self.z[..., :height, :width])


class SelfGuided(Autoencoding):
    """See `dip.methods.variants.SelfGuided`."""

    draws = True

    def __init__(self, z: Tensor, weight: float, seed: int, noise: float, lr: float) -> None:
        super().__init__(nn.Parameter(z.clone()), weight)
        self.noise, self.lr = noise, lr
        self._draw = Perturbation(1.0, seed)

    def groups(self) -> list[dict[str, Any]]:
        """z has its own learning rate."""
        return [{"params": [self.z], "lr": self.lr, "muon": False}]

    def input(self, z: Tensor, perturb: Perturb, step: int) -> Tensor:
        """The trained z plus Gaussian noise in proportion to its largest magnitude."""
        fixed = self.z.detach()
        noise = self._draw(torch.zeros_like(fixed), step)
        return self.z + noise * (self.noise * fixed.abs().amax())


class Sequential(Autoencoding):
    """See `dip.methods.variants.Sequential`."""

    def __init__(self, z: Tensor, weight: float, every: int) -> None:
        super().__init__(nn.Buffer(z.clone()), weight)
        self.every = every

    def input(self, z: Tensor, perturb: Perturb, step: int) -> Tensor:
        """The present z."""
        return self.z

    @torch.no_grad()
    def update(self, net: nn.Module, output: Tensor, step: int, lr: float) -> None:
        """Replace z by the output every few steps."""
        if step % self.every == 0:
            self.z.copy_(output)


class RandomProjector(Extras):
    """See `dip.methods.variants.RandomProjector`."""

    def __init__(self, net: nn.Module, z: Tensor, tv: float) -> None:
        super().__init__()
        normalizations = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
        for module in net.modules():
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(isinstance(module, normalizations))
        if not any(parameter.requires_grad for parameter in net.parameters()):
            raise OptionError("method", "random_projector", "dip for a network without normalisations", "method=dip")
        self.z, self.tv = nn.Parameter(z.clone()), tv
        self.norm = nn.BatchNorm2d(z.shape[1], track_running_stats=False)

    def groups(self) -> list[dict[str, Any]]:
        """z and the normalisation after it are trained at the networks' rate."""
        return [{"params": list(self.parameters()), "muon": False}]

    def input(self, z: Tensor, perturb: Perturb, step: int) -> Tensor:
        """The trained z, normalised, plus the perturbation."""
        normalized: Tensor = self.norm(self.z)
        return perturb(normalized, step)

    def objective(self, loss: Tensor, image: Tensor) -> Tensor:
        """The root of the loss plus the anisotropic total variation per value of the image."""
        variation = (image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum()) / image.numel()
        return (loss + 1e-12).sqrt() + self.tv * variation  # the root has no derivative at 0


class SparseNoise(Extras):
    """See `dip.methods.variants.SparseNoise`."""

    START = 1e-5
    """First value of g and h: the smaller, the sparser, and the later outliers are found."""

    def __init__(self, y: Tensor, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.g, self.h = (nn.Buffer(torch.full_like(y, self.START)) for _ in range(2))

    def predicted(self, observed: Tensor) -> Tensor:
        """Add the outliers g^2 - h^2."""
        return observed + (self.g.square() - self.h.square())

    def descend(self, loss: Tensor, predicted: Tensor) -> None:
        """Gradient descent of g and h."""
        (slope,) = torch.autograd.grad(loss, predicted, retain_graph=True)  # (1, C, h, w)
        with torch.no_grad():
            change = slope * (2 * self.rate * slope.numel())  # of the sum over pixels: the rate suits any size
            self.g.addcmul_(self.g, change, value=-1)
            self.h.addcmul_(self.h, change)
