"""The optimisers: Muon against torch's own, which accepts matrices only, and against a singular value decomposition."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dip.model.muon import ITERATIONS, POLYNOMIAL, orthogonalized
from dip.model.optimizers import OPTIMIZERS, Muon
from dip.nets import Hourglass


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 4, 27), (2, 27, 4), (2, 1, 9)])
def test_orthogonalisation_maps_singular_values_and_keeps_singular_vectors(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    s = s / s.square().sum(-1, keepdim=True).sqrt()
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        s = a * s + b * s**3 + c * s**5
    torch.testing.assert_close(orthogonalized(matrices), u @ torch.diag_embed(s) @ vh, rtol=0, atol=1e-9)
    assert torch.equal(orthogonalized(torch.zeros(shape)), torch.zeros(shape))


def net() -> nn.Module:
    torch.manual_seed(0)
    return Hourglass(depth=3, channels=[8, 8, 6], skip_channels=4).build(5, 3, [1, 3])


def gradients(net: nn.Module, steps: int) -> list[list[Tensor]]:
    torch.manual_seed(1)
    return [[torch.randn_like(parameter) for parameter in net.parameters()] for _ in range(steps)]


def run(parameters: Iterable[nn.Parameter], steps: list[list[Tensor]], *optimizers: torch.optim.Optimizer) -> None:
    parameters = list(parameters)
    for step in steps:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone().reshape(parameter.shape)
        for optimizer in optimizers:
            optimizer.step()


def test_updates_are_those_of_torch_s_muon_and_adam() -> None:
    """Up to the rounding of torch's Muon, which iterates in bfloat16."""
    ours = list(net().parameters())
    # torch's accepts matrices, in any order of columns.
    theirs = [nn.Parameter(p.detach().flatten(1) if p.ndim == 4 else p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in theirs]
    muon = torch.optim.Muon([p for p in theirs if p.ndim == 2], lr=0.01, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.Adam([p for p in theirs if p.ndim == 1], lr=0.01)
    steps = gradients(net(), 5)
    run(ours, steps, Muon().build(ours, lr=0.01))
    run(theirs, steps, muon, adam)
    for got, want, before in zip(ours, theirs, start, strict=True):
        moved, expected = got.detach().reshape(before.shape) - before, want.detach() - before
        assert float((moved - expected).norm() / expected.norm()) < (0.03 if want.ndim == 2 else 1e-5)


def test_muon_resumes_from_its_state() -> None:
    one = net()
    optimizer = Muon().build(one.parameters(), lr=0.01)
    steps = gradients(one, 4)
    run(one.parameters(), steps[:2], optimizer)
    other = copy.deepcopy(one)
    resumed = Muon().build(other.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(one.parameters(), steps[2:], optimizer)
    run(other.parameters(), steps[2:], resumed)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


class NoReading(TorchDispatchMode):
    """Refuses to read a value, which on a GPU waits for it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert "_local_scalar_dense" not in str(func), "a value is read"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_with_a_gradient_scaler_is_that_without_and_reads_no_value(name: str) -> None:
    plain, scaled = net(), net()
    one, other = (OPTIMIZERS[name]().build(n.parameters(), 0.01) for n in (plain, scaled))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    x = torch.randn(1, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    for step in range(4):
        if step in (0, 2):  # an overflow changes neither the weights nor the momenta, if there are any
            other.zero_grad()
            scaler.scale(scaled(x).sum() * float("inf")).backward()
            scaler.step(other)
            scaler.update(2.0**10)
        for n, optimizer in ((plain, one), (scaled, other)):
            optimizer.zero_grad()
            loss = n(x).square().mean()
            (scaler.scale(loss) if n is scaled else loss).backward()
        one.step()
        with NoReading():
            scaler.step(other)
        scaler.update(2.0**10)
    for a, b in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
