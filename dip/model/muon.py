"""Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) for convolutions.

Muon treats a convolution's weight as a matrix, (channels out) x (channels in x k x k), and updates it by its momentum
with all singular values brought close to 1. An update is as long as Adam's usually is, so both use the same learning
rates (Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dip.nets.convolution import number_format

MOMENTUM = 0.95
# One iteration maps a singular value s to a s + b s^3 + c s^5; five bring all from 0.002 to 1 into [0.68, 1.21].
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
UPDATE_RMS = 0.2  # root mean square of Adam's usual update, in learning rates
EPS = 1e-7


class BatchedMuon(torch.optim.Adam):
    """Muon for parameters with four dimensions, (out, in, k, k), and Adam for the rest.

    `torch.optim.Muon` accepts matrices only and updates them one by one. Here all weights of one shape are updated
    together: 20 weights of 32 channels take 1.4 ms on a CPU instead of 5.7 ms.

    With fp16, an optimiser whose Adam is fused divides the gradients itself and skips a step that has overflowed. The
    gradient scaler sets `grad_scale` and `found_inf`, () tensors, so that the step does not wait for the device.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the gradients of convolutions are None afterwards."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            if not group.get("muon", True):
                continue
            by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.ndim == 4 and parameter.grad is not None:
                    by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for weights in by_shape.values():
                self._update(weights, group["lr"])
        super().step()  # skips parameters without a gradient
        return loss

    def _update(self, weights: list[nn.Parameter], lr: float) -> None:
        scale, found = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        valid = None if found is None else found == 0  # () bool
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
                # Adam requires it when it loads a state, and converts it to float32 whatever the default is.
                self.state[weight]["step"] = torch.zeros((), dtype=torch.float32)
        momenta = [self.state[weight]["momentum"] for weight in weights]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        if valid is not None:  # the momentum as gradient leaves the momentum as it is
            gradients = [torch.where(valid, g, momentum) for g, momentum in zip(gradients, momenta, strict=True)]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)  # one kernel for all weights
        update = torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM))  # Nesterov's, (n, out, in, k, k)
        last = update.permute(0, 1, 3, 4, 2)  # (n, out, k, k, in): the order in memory of channels_last
        matrices = last.flatten(2)  # (n, out, k x k x in)
        length = UPDATE_RMS * lr * max(matrices.shape[1:]) ** 0.5
        updates = orthogonalized(matrices).view(last.shape).permute(0, 1, 4, 2, 3)  # (n, out, in, k, k)
        if valid is not None:
            updates = torch.where(valid, updates, 0.0)
        torch._foreach_add_(list[Tensor](weights), updates.unbind(), alpha=-length)
        for weight in weights:
            weight.grad = None


def orthogonalized(matrices: Tensor) -> Tensor:
    """Bring the singular values of each of (n, rows, columns) close to 1, in the number format of autocast if it is on.

    The Newton-Schulz iteration of Muon, which needs matrix products only.
    """
    x = matrices.to(number_format(matrices))
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=EPS)  # all singular values are at most 1
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        gram = x @ x.mT  # (n, rows, rows)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
