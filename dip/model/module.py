"""Deep Image Prior as a LightningModule: perturb, forward, observe, loss, optimiser.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior" (arXiv 1711.10925): theta* = argmin || A f(z + noise) - y ||^2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from dip.model import optimizers
from dip.model.speedups import speed_up
from dip.seeds import Perturbation
from dip.targets.operators import Identity, Operator


class DeepImagePrior(LightningModule):
    """One network fitted to one image, or several side by side, each from a random start of its own.

    What the networks make up differs from start to start, what the observation tells does not: the mean of their outputs is better than
    any of them. The original paper averages two runs of its denoising so (30.43 dB -> 31.00 over nine images).

    After each step `output`, `observed` (A of it), `average` and `loss` hold that step's results as device tensors, of several networks
    their mean, and `losses` (networks,) the loss of each; nothing in a step reads their values, so the device is never waited for.

    Args:
        nets: each (1, C_z, H', W') -> (1, C, H', W'), where H' >= H and W' >= W.
        size: (H, W) of the image; what the network makes beyond it is cropped.
        operator: A, from an image (1, C, H, W) to the space of the observation.
        lr: learning rate.
        perturbation: standard deviation of the noise on z, fresh at each step.
        warm_up: steps over which it grows to that.
        half_life: steps in which it then halves; 0 for never.
        distribution: of it, gaussian or uniform.
        ema: decay of the moving average of the output (0.99 in the original's denoising).
        seeds: of the perturbation, one for each network.
        weights: of the pixels' squared errors in the loss, (1, 1, h, w) with mean 1; None counts all alike.
        speedups: names out of `dip.model.speedups.WAYS`, tried at the first step.
        tv: weight of the image's total variation in the loss.
        optimizer: one of `dip.configuration.schema.OPTIMIZERS`.

    Attributes:
        each: a `map` by which the networks take their steps.
    """

    average: Tensor | None
    """The exponential moving average of the output, (1, C, H, W) float32: the restored image."""
    faster: dict[str, bool] | None
    """Which of `speedups` worked; None before the first step."""

    def __init__(
        self,
        nets: Sequence[nn.Module],
        size: tuple[int, int],
        operator: Operator | None = None,
        *,
        lr: float = 0.01,
        perturbation: float = 1 / 30,
        warm_up: int = 0,
        half_life: int = 0,
        distribution: str = "gaussian",
        ema: float = 0.99,
        seeds: Sequence[int] = (0,),
        weights: Tensor | None = None,
        speedups: Sequence[str] = (),
        tv: float = 0.0,
        optimizer: str = "adam",
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # costs about 1 ms a step, several steps of a tiny network
        assert len(seeds) == len(nets), "a seed for each network"
        self.nets = nn.ModuleList(nets).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.operator = operator or Identity()
        self.size = size
        self.lr, self.ema, self.tv, self.optimizer = lr, ema, tv, optimizer
        self.perturb = [Perturbation(perturbation, seed, warm_up, half_life, distribution) for seed in seeds]
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)
        self.speedups, self.faster = speedups, None
        self.each: Callable[..., Iterable[Any]] = map
        self.step = 0
        self.average = None
        self.output: Tensor
        self.observed: Tensor
        self.loss: Tensor
        self.losses: Tensor

    def _image(self, net: nn.Module, z: Tensor) -> Tensor:
        """What `net` makes of `z`, (1, C, H, W) float32 or float64."""
        height, width = self.size
        image: Tensor = net(z)[..., :height, :width]  # (1, C, H, W)
        return image if image.dtype == torch.float64 else image.float()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int = 0) -> None:
        """One step of the optimiser on || A f(z + noise) - y ||^2, averaged over the entries of y, for each network."""
        z, y = batch  # (networks, C_z, H', W'), (1, C, h, w)
        assert len(z) == len(self.nets), "an input for each network"
        self.step += 1
        if self.faster is None:
            self.faster = speed_up(self.nets, z[:1], self.speedups)
        optimizer = self.optimizers()
        optimizer.zero_grad()  # type: ignore[union-attr]
        starts = torch.split(z, 1)  # each (1, C_z, H', W')
        made = list(self.each(self._descend, self.nets, self.perturb, starts, itertools.repeat(y)))
        optimizer.step()  # type: ignore[union-attr]
        outputs, observed, losses = zip(*made, strict=True)
        self.output, self.observed = _mean(outputs), _mean(observed)
        self.losses = torch.stack(losses)  # (networks,)
        self.loss = self.losses.mean()
        self._follow(self.output)

    def _descend(
        self, net: nn.Module, perturb: Perturbation, z: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Adds the gradients of one network; its output, that observed, and its loss."""
        image = self._image(net, perturb(z, self.step))
        observed = self.operator(image)
        loss = self.misfit(observed, y)
        if self.tv:
            loss = loss + self.tv * total_variation(image)
        # Now, so that networks that take turns have the activations of one at a time in memory.
        self.manual_backward(loss)
        return image.detach(), observed.detach(), loss.detach()

    def misfit(self, observed: Tensor, y: Tensor) -> Tensor:
        """Mean squared error, each pixel's counted as `weights` says."""
        if self.weights is None:
            return functional.mse_loss(observed, y)
        return (self.weights * (observed - y).square()).mean()

    @torch.no_grad()
    def _follow(self, output: Tensor) -> None:
        """Moves `average` towards `output`; its decay rises to `ema`, so that the first outputs are soon forgotten."""
        if self.average is None:
            self.average = output.clone()
        else:
            decay = min(self.ema, self.step / (self.step + 9))
            # A checkpoint is read before Lightning moves the module: its average may lie on the host.
            self.average = self.average.to(output.device).lerp_(output, 1 - decay)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Of every weight of the networks; z stays fixed."""
        return optimizers.make(self.optimizer, self.nets.parameters(), self.lr)

    def history(self) -> dict[str, Tensor]:
        """What a fit carries from step to step beside its weights; {} before the first step."""
        if self.average is None:
            return {}
        return {"average": self.average, "output": self.output, "observed": self.observed}

    def go_back(self, history: dict[str, Tensor]) -> None:
        """Takes up a former `history`, not an empty one; the steps are counted on."""
        device = next(self.nets.parameters()).device  # it may come from a checkpoint, on the host
        self.average, self.output, self.observed = (
            history[name].to(device) for name in ("average", "output", "observed")
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what is not a weight."""
        checkpoint["dip"] = {"step": self.step, "average": self.average, "output": self.output}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        state = checkpoint["dip"]
        self.step, self.average, self.output = state["step"], state["average"], state["output"]


def _mean(several: Sequence[Tensor]) -> Tensor:
    return several[0] if len(several) == 1 else torch.stack(list(several)).mean(0)


def total_variation(image: Tensor) -> Tensor:
    """Rudin, Osher and Fatemi's: the lengths of the gradients of `image` (1, C, H, W), summed over pixels and channels.

    The last row and column have no gradient. Where it is 0, its length has the subgradient 0.
    """
    here = image[..., :-1, :-1]
    gradient = torch.stack(
        [image[..., 1:, :-1] - here, image[..., :-1, 1:] - here]
    )  # (2, 1, C, H - 1, W - 1)
    lengths: Tensor = torch.linalg.vector_norm(gradient, dim=0)
    return lengths.sum()
