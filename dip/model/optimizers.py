"""How the weights follow their gradients: Adam, as in the paper, or Muon for the kernels of convolutions.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) takes a kernel as a matrix, of
(maps out) x (maps in x k x k), and moves it by its momentum with every singular value brought close to 1: what the image
needs least of moves as far as what it needs most. Its steps are as long as Adam's usually are, so that both have one
learning rate (Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# Each turn maps a singular value s to a s + b s^3 + c s^5; five of them bring all from 0.002 to 1 into [0.68, 1.21].
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
TURNS = 5
LENGTH = 0.2  # root mean square of Adam's usual update, in learning rates
EPS = 1e-7


def make(name: str, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Adam:
    """The optimiser called `name`, one of `dip.configuration.schema.OPTIMIZERS`, of all `parameters`."""
    parameters = list(parameters)
    # One kernel for all parameters. On a CPU too; not where parameters lie on a device without the kernel.
    fused = parameters[0].device.type in ("cpu", "cuda")
    return (Muon if name == "muon" else torch.optim.Adam)(parameters, lr=lr, fused=fused)


class Muon(torch.optim.Adam):
    """Muon for what has four dimensions, (out, in, k, k), and Adam for the rest.

    `torch.optim.Muon` does the same to one matrix after the other, and to matrices only. Here all kernels of one shape go
    together: a step of 20 kernels of 32 maps takes 1.4 ms on a CPU, instead of 5.7.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # A scaler of fp16 must unscale, and leave a step out, itself: fused Adam would do both, for its own part alone.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients, which those of kernels have lost afterwards."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.ndim == 4 and parameter.grad is not None:
                    alike.setdefault(tuple(parameter.shape), []).append(parameter)
            for kernels in alike.values():
                self._move(kernels, group["lr"])
        super().step()  # passes over what has no gradient
        return loss

    def _move(self, kernels: list[nn.Parameter], lr: float) -> None:
        updates = []
        for kernel in kernels:
            assert kernel.grad is not None
            state = self.state[kernel]
            if not state:
                state["momentum"] = torch.zeros_like(kernel)
                # Adam asks for it where it loads a state, and makes it this format, whatever the default is.
                state["step"] = torch.zeros((), dtype=torch.float32)
            momentum = state["momentum"].lerp_(kernel.grad, 1 - MOMENTUM)
            updates.append(kernel.grad.lerp(momentum, MOMENTUM))  # Nesterov's
            kernel.grad = None
        update = torch.stack(updates)  # (kernels, out, in, k, k)
        last = update.permute(0, 1, 3, 4, 2)  # (kernels, out, k, k, in): as channels_last lies in memory
        matrices = last.flatten(2)  # (kernels, out, k x k x in)
        length = LENGTH * lr * max(matrices.shape[1:]) ** 0.5
        moves = orthogonalized(matrices).view(last.shape).permute(0, 1, 4, 2, 3)
        for kernel, move in zip(kernels, moves, strict=True):
            kernel.add_(move, alpha=-length)


def orthogonalized(matrices: Tensor) -> Tensor:
    """(n, rows, columns), each with its singular values brought close to 1; in the number format of autocast, if that is on.

    The Newton-Schulz iteration of Muon, whose products need no decomposition.
    """
    device = matrices.device.type
    x = matrices.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=EPS)  # all singular values are at most 1
    a, b, c = POLYNOMIAL
    for _ in range(TURNS):
        gram = x @ x.mT  # (n, rows, rows)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
