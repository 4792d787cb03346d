"""What the denoisers that learn share: their network, and the loop that trains it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dip.seeds import Draws, generator

Progress = Callable[[int, Tensor, Callable[[], Tensor]], bool]
"""Called after each step: the step (from 1), its loss on the device, and a function that returns the present image
(1, C, H, W). Returns True to end."""


class Stack(nn.Module):
    """3 x 3 convolutions, each followed by LeakyReLU(0.2), and one of 1 x 1: (B, C, H, W) -> the same shape.

    Args:
        y: the observation (1, C, H, W), whose channels, type and device it has.
        width: channels of the layers.
        layers: number of convolutions of 3 x 3.
        seed: of the weights.
        half: the type of the arithmetic; None: that of `y`.
        start: initialises the weight of a layer; default: PyTorch's own initialisation.
    """

    def __init__(
        self, y: Tensor, width: int, layers: int, seed: int, half: torch.dtype | None,
        start: Callable[[Tensor], object] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kind, channels = half, y.shape[1]
        with Draws(generator(seed, "weights")):
            parts: list[nn.Module] = []
            for layer in range(layers):
                inputs = width if layer else channels
                parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            parts.append(nn.Conv2d(width, channels, 1))
            for part in parts:
                if start is not None and isinstance(part, nn.Conv2d):
                    start(part.weight)
                    nn.init.zeros_(part.bias)  # type: ignore[arg-type]
        self.parts = nn.Sequential(*parts)
        self.to(y.device, y.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """The output in the type of `x`."""
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, self.kind or torch.bfloat16, enabled=self.kind is not None):
            found: Tensor = self.parts(x)
        return found.to(x.dtype)


@dataclass
class Training:
    """A network and how it is trained."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    halved: list[int]
    """Steps after which the learning rate is halved."""
    loss: Callable[[int], Tensor]
    """What step 1, 2, ... minimises, ()."""
    image: Callable[[], Tensor]
    """The present image, (1, C, H, W)."""

    def run(self, steps: int, progress: Progress) -> Tensor:
        """Train for `steps` steps, and return the image, not clipped."""

        def present() -> Tensor:
            with torch.no_grad():
                return self.image()

        scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, self.halved, gamma=0.5)
        for step in range(1, steps + 1):
            value = self.loss(step)
            self.optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            scheduler.step()
            if progress(step, value.detach(), present):
                break
        return present()
