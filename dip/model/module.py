"""Deep Image Prior as a LightningModule: perturb, forward, observe, loss, optimiser.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior" (arXiv 1711.10925): theta* = argmin || A f(z + noise) - y ||^2.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from dip.hardware.devices import exact, noise_source
from dip.methods.extras import Extras
from dip.model.losses import MSE, Loss
from dip.model.optimizers import Adam, Optimizer
from dip.model.speedups import speed_up
from dip.options import log
from dip.seeds import Perturbation
from dip.targets.jpeg_intervals import Intervals
from dip.targets.operators import Identity, Operator


class DeepImagePrior(LightningModule):
    """One network fitted to one image, or an ensemble of networks with different random initialisations.

    Errors that depend on the initialisation average out over the ensemble: the mean of the outputs is closer to the
    image than any of them. The original paper averages two runs for denoising (30.43 dB -> 31.00 over nine images).

    After each step `output`, `observed` (A of it), `average` and `loss` hold that step's results as device tensors,
    the mean over the ensemble, and `losses` (networks,) the loss of each network. A step never reads their values, so
    it never waits for the device.

    Args:
        nets: each (1, C_z, H', W') -> (1, C, H', W'), with H' >= H and W' >= W.
        size: (H, W) of the image; the networks' outputs are cropped to it.
        operator: A, from an image (1, C, H, W) to the space of the observation.
        loss: of A f(z) and y.
        optimizer: builds the optimiser.
        lr: learning rate.
        perturbation: standard deviation of the noise that is added to z, fresh at each step.
        warm_up: steps over which it grows to that value.
        half_life: steps in which it then halves; 0 for never.
        distribution: of the noise, gaussian or uniform.
        ema: decay of the moving average of the output (0.99 in the original's denoising).
        seeds: of the perturbation, one for each network.
        weights: of the pixels in the loss, (1, 1, h, w) with mean 1; None for equal weights.
        kernel: filter of the residual in the loss, (k, k) with k odd; None for no filter.
        extras: what the method adds to each network; None for Deep Image Prior.
        intervals: of the coefficients of a JPEG file; y in the loss is replaced by `intervals(image)`.
        speedups: names out of `dip.model.speedups.SPEEDUPS`, applied at the first step.

    Attributes:
        each: the `map` that runs the networks, in turn or in parallel.
    """

    average: Tensor | None
    """The exponential moving average of the output, (1, C, H, W) float32: the restored image."""
    variance: Tensor | None
    """The moving average of the variance of the outputs over the networks, (1, C, H, W); None for a single network. It
    ranks the error better than the variance of the averages."""
    faster: dict[str, bool] | None
    """Which of `speedups` worked; None before the first step."""

    def __init__(
        self,
        nets: Sequence[nn.Module],
        size: tuple[int, int],
        operator: Operator | None = None,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        lr: float = 0.01,
        perturbation: float = 1 / 30,
        warm_up: int = 0,
        half_life: int = 0,
        distribution: str = "gaussian",
        ema: float = 0.99,
        seeds: Sequence[int] = (0,),
        weights: Tensor | None = None,
        kernel: Tensor | None = None,
        extras: Sequence[Extras] | None = None,
        intervals: Intervals | None = None,
        speedups: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # it would add about 1 ms a step, more than a step of a tiny network
        assert len(seeds) == len(nets), "one seed for each network"
        self.nets = nn.ModuleList(nets)
        self.extras: Sequence[Extras] = nn.ModuleList(extras or [Extras() for _ in nets])  # type: ignore[assignment]
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dim() == 4:  # torch refuses this layout for those of a network in three dimensions
                tensor.data = tensor.data.to(memory_format=torch.channels_last)
        self.operator, self.intervals = operator or Identity(), intervals
        self.size = size
        self.criterion, self.optimizer = loss or MSE(), optimizer or Adam()
        self.lr, self.ema = lr, ema
        self.perturb = [Perturbation(perturbation, seed, warm_up, half_life, distribution) for seed in seeds]
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)
        self.kernel: Tensor | None
        self.register_buffer("kernel", kernel, persistent=False)
        self.speedups, self.faster = speedups, None
        self.each: Callable[..., Iterable[Any]] = map
        self.step = 0
        self._written_on: str | None = None
        self.average = self.variance = None
        self.output: Tensor
        self.observed: Tensor
        self.loss: Tensor
        self.losses: Tensor

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int = 0) -> None:
        """One step of the optimiser on the loss of A f(z + noise) and y, for each network."""
        z, y = batch  # (networks, C_z, H', W'), (1, C, h, w)
        assert len(z) == len(self.nets), "one input for each network"
        self.step += 1
        if self.faster is None:
            self.faster = self._sped_up(z[:1])
        optimizer = self.optimizers()
        optimizer.zero_grad()  # type: ignore[union-attr]
        inputs = torch.split(z, 1)  # each (1, C_z, H', W')
        results = list(self.each(self._backward, self.nets, self.extras, self.perturb, inputs, itertools.repeat(y)))
        optimizer.step()  # type: ignore[union-attr]
        made, observed, losses = zip(*results, strict=True)
        for net, extras, whole in zip(self.nets, self.extras, made, strict=True):
            extras.update(net, whole, self.step, optimizer.param_groups[0]["lr"])  # type: ignore[union-attr]
        height, width = self.size
        outputs = [whole[..., :height, :width] for whole in made]
        self.output, self.observed = _mean(outputs), _mean(observed)
        self.losses = torch.stack(losses)  # (networks,)
        self.loss = self.losses.mean()
        self.average = self._averaged(self.average, self.output)
        if len(outputs) > 1:
            self.variance = self._averaged(self.variance, torch.cat(outputs).var(0, keepdim=True))

    def _sped_up(self, z: Tensor) -> dict[str, bool]:
        """`speed_up`, in a function of its own so that the example is freed before the step."""
        example = self.extras[0].input(z, self.perturb[0], self.step)
        return speed_up(self.nets, example.detach().requires_grad_(example.requires_grad), self.speedups)

    def _backward(
        self, net: nn.Module, extras: Extras, perturb: Perturbation, z: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add the gradients of one network; return its output before it is cropped, A of the image, and its loss."""
        height, width = self.size
        whole: Tensor = net(extras.input(z, perturb, self.step))
        whole = whole.to(torch.promote_types(whole.dtype, torch.float32))  # (1, C, H', W')
        image = whole[..., :height, :width]  # (1, C, H, W)
        seen = image.detach().requires_grad_()  # divides the backward pass into that of the operator and the network's
        with exact(image.device):
            observed, predicted, loss = self._compared(seen, y, extras)
            extras.descend(loss, predicted)
            loss = extras.objective(loss, seen)
            self.manual_backward(loss)
        # Here, so that of networks that run in turn only one has its activations in memory.
        with torch.autocast(image.device.type, enabled=False):  # each operator runs in the number format of its forward
            image.backward(seen.grad)  # type: ignore[no-untyped-call]
        return whole.detach(), observed.detach(), loss.detach()

    def _compared(self, image: Tensor, y: Tensor, extras: Extras) -> tuple[Tensor, Tensor, Tensor]:
        """A of `image` (1, C, H, W), what is compared with y, both (1, C, h, w), and the loss, ()."""
        observed = self.operator(image)
        predicted = extras.predicted(observed)
        if self.intervals is not None:
            y = self.intervals(predicted.detach())
        return observed, predicted, self.criterion(predicted, y, image, self.weights, self.kernel)

    @torch.no_grad()
    def objective(self, image: Tensor, y: Tensor) -> Tensor:
        """What the fit minimises, (), for any `image` (1, C, H, W) in place of the first network's."""
        with exact(image.device):
            *_, loss = self._compared(image, y, self.extras[0])
        return self.extras[0].objective(loss, image)

    @torch.no_grad()
    def least_loss(self, y: Tensor) -> Tensor:
        """The loss of a perfect agreement with y (1, C, h, w), (): 0 for the losses of this package."""
        return self.criterion(y, y, torch.zeros_like(self.output), self.weights, self.kernel)

    @torch.no_grad()
    def _averaged(self, average: Tensor | None, output: Tensor) -> Tensor:
        """Update `average` in place."""
        if average is None:
            return output.clone()
        decay = self.extras[0].decay(self.step, self.ema)
        # A checkpoint is loaded before Lightning moves the module, so its average may be on the CPU.
        return average.to(output.device).lerp_(output, 1 - decay)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser of the networks' weights that are trained, and of the method's parameters."""
        optimizer = self.optimizer.build([weight for weight in self.nets.parameters() if weight.requires_grad], self.lr)
        for extras in self.extras:
            for group in extras.groups():
                optimizer.add_param_group(group)
        return optimizer

    def history(self) -> dict[str, Tensor]:
        """The state of a fit besides weights and optimiser, for a rollback; {} before the first step."""
        if self.average is None:
            return {}
        history = {"average": self.average, "output": self.output, "observed": self.observed}
        return history if self.variance is None else {**history, "variance": self.variance}

    def go_back(self, history: dict[str, Tensor]) -> None:
        """Restore an earlier `history`, which must not be empty; the step count stays."""
        device = next(self.nets.parameters()).device
        for name, value in history.items():
            setattr(self, name, value.to(device))  # it may come from a checkpoint, on the CPU

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state that is not a weight."""
        names = ("step", "average", "output", *(("variance",) if self.variance is not None else ()))
        state = {name: getattr(self, name) for name in names}
        checkpoint["dip"] = {**state, "noise": noise_source(self.output.device)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state that is not a weight."""
        state = checkpoint["dip"]
        self.step, self.average, self.output = state["step"], state["average"], state["output"]
        self.variance, self._written_on = state.get("variance"), state.get("noise")

    def on_train_start(self) -> None:
        """Warn if a resumed run draws other noise than it would have drawn without the interruption."""
        here, there = noise_source(self.device), self._written_on
        draws = [*(perturb.draws for perturb in self.perturb), *(extras.draws for extras in self.extras)]
        if there not in (None, here) and any(draws):
            log.warning(
                "resumed on %s, the checkpoint was written on %s: the random numbers of the next steps are others, so the "
                "result is not the same to the bit", here, there,
            )  # fmt: skip


def _mean(several: Sequence[Tensor]) -> Tensor:
    return several[0] if len(several) == 1 else torch.stack(list(several)).mean(0)
