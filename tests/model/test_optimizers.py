"""The optimisers: Muon against torch's own, which accepts matrices only, and against a singular value decomposition."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from dip.model.muon import ITERATIONS, POLYNOMIAL, BatchedMuon, orthogonalized
from dip.model.optimizers import OPTIMIZERS, Adam, Muon
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_overflow_of_fp16_does_not_change_the_weights(name: str) -> None:
    weight = nn.Parameter(torch.ones(4, 2, 3, 3))
    optimizer = OPTIMIZERS[name]().build([weight], 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(weight.sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weight, torch.ones_like(weight))
    optimizer.zero_grad()
    scaler.scale(weight.square().sum()).backward()
    scaler.step(optimizer)
    assert torch.isfinite(weight).all()
    assert not torch.equal(weight, torch.ones_like(weight))


def test_a_zero_gradient_gives_a_zero_update() -> None:
    assert torch.equal(orthogonalized(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def net() -> nn.Module:
    torch.manual_seed(0)
    return Hourglass(depth=3, channels=[8, 8, 6], skip_channels=4).build(5, 3, [1, 3])


def gradients(net: nn.Module, steps: int) -> list[list[Tensor]]:
    torch.manual_seed(1)
    return [[torch.randn_like(parameter) for parameter in net.parameters()] for _ in range(steps)]


def test_updates_are_those_of_torch_s_muon_and_adam() -> None:
    """Up to the rounding of torch's Muon, which iterates in bfloat16."""
    ours, theirs = net(), net()
    optimizer = Muon().build(ours.parameters(), lr=0.01)
    # torch's accepts matrices, in any order of columns.
    matrices = [nn.Parameter(p.detach().flatten(1)) for p in theirs.parameters() if p.ndim == 4]
    vectors = [p for p in theirs.parameters() if p.ndim < 4]
    muon = torch.optim.Muon(matrices, lr=0.01, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.Adam(vectors, lr=0.01)
    start = [matrix.detach().clone() for matrix in matrices]
    for step in gradients(ours, 5):
        for parameter, gradient in zip(ours.parameters(), step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
        four = iter([gradient for gradient in step if gradient.ndim == 4])
        for matrix in matrices:
            matrix.grad = next(four).flatten(1)
        rest = iter([gradient for gradient in step if gradient.ndim < 4])
        for vector in vectors:
            vector.grad = next(rest).clone()
        muon.step()
        adam.step()
    kernels = [p for p in ours.parameters() if p.ndim == 4]
    for kernel, matrix, before in zip(kernels, matrices, start, strict=True):
        moved, expected = kernel.detach().flatten(1) - before, matrix.detach() - before
        assert float((moved - expected).norm() / expected.norm()) < 0.03
    for got, want in zip([p for p in ours.parameters() if p.ndim < 4], vectors, strict=True):
        torch.testing.assert_close(got, want)


def test_muon_without_convolutions_is_adam() -> None:
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    for weight, kind in zip(weights, (Muon, Adam), strict=True):
        optimizer = kind().build([weight], lr=0.1)
        weight.grad = torch.tensor([1.0, -2.0, 0.0])
        optimizer.step()
    assert torch.equal(*weights)


def test_muon_resumes_from_its_state() -> None:
    one = net()
    optimizer = Muon().build(one.parameters(), lr=0.01)
    steps = gradients(one, 4)

    def run(net: nn.Module, optimizer: torch.optim.Optimizer, steps: list[list[Tensor]]) -> None:
        for step in steps:
            for parameter, gradient in zip(net.parameters(), step, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()

    run(one, optimizer, steps[:2])
    other = copy.deepcopy(one)
    resumed = Muon().build(other.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(one, optimizer, steps[2:])
    run(other, resumed, steps[2:])
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_closure_returns_the_loss() -> None:
    weight = nn.Parameter(torch.ones(1, 1, 1, 1))
    optimizer = BatchedMuon([weight], lr=0.1)

    def closure() -> Tensor:
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1
    assert float(weight.detach()) < 1
