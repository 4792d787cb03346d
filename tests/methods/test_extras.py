"""Each variant, step by step, against the same loop in plain PyTorch."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dip.errors import OptionError
from dip.methods import RandomProjector, SelfGuided, Sequential, SparseNoise, Variant, WeightNoise
from dip.model.data import FixedPair
from dip.model.module import DeepImagePrior
from dip.model.muon import BatchedMuon
from dip.model.optimizers import Muon
from dip.nets import Hourglass
from dip.seeds import Perturbation, generator
from tests.model.test_module import fit

LR, EMA, STEPS, SEED = 0.02, 0.9, 7, 5


def problem() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return (torch.rand(1, 3, 16, 16, generator=random, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def network() -> nn.Module:
    torch.manual_seed(0)
    return Hourglass(depth=2, channels=6, skip_channels=2).build(3, 3, [1]).double()


def fitted(method: Variant, z: Tensor, y: Tensor, **options: object) -> DeepImagePrior:
    net = network()
    extras = method.extras(net, z, y, SEED)
    module = DeepImagePrior([net], (16, 16), lr=LR, ema=EMA, seeds=[SEED], extras=[extras], **options)  # type: ignore[arg-type]
    fit(module, FixedPair(z, y), STEPS)
    return module


def loop(
    net: nn.Module, optimizer: torch.optim.Optimizer, step: Callable[[int], tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """Minimise the loss that `step(number)` returns with an output. Returns the outputs."""
    outputs = []
    for number in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss, output = step(number)
        loss.backward()
        optimizer.step()
        outputs.append(output.detach())
    return outputs


def same_weights(module: DeepImagePrior, net: nn.Module) -> None:
    for ours, theirs in zip(module.nets[0].parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-10)


def test_weight_noise_perturbs_the_convolutions_after_adam_and_averages_after_the_burn_in():
    z, y = problem()
    module = fitted(WeightNoise(noise=3, burn_in=4), z, y)
    net, perturb = network(), Perturbation(1 / 30, SEED)
    optimizer, outputs = torch.optim.Adam(net.parameters(), lr=LR), []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        output = net(perturb(z, step))
        functional.mse_loss(output, y).backward()
        optimizer.step()
        outputs.append(output.detach())
        convolutions = [part.weight for part in net.modules() if isinstance(part, nn.Conv2d)]
        numbers = torch.randn(sum(w.numel() for w in convolutions), generator=generator(SEED, "weight noise", step))
        numbers = numbers.double()
        for weight in convolutions:
            weight.data += 3 * LR * numbers[: weight.numel()].view(weight.shape)
            numbers = numbers[weight.numel() :]
    same_weights(module, net)
    early = outputs[0]
    for step in (2, 3, 4):
        decay = min(EMA, step / (step + 9))
        early = decay * early + (1 - decay) * outputs[step - 1]
    # The moving average counts as many outputs as its decay at the burn-in says.
    count = 1 / (1 - min(EMA, 4 / 13))
    torch.testing.assert_close(module.average, (count * early + sum(outputs[4:])) / (count + STEPS - 4))


def test_the_noise_of_a_step_depends_on_the_seed_and_the_step_alone():
    z, y = problem()

    def noise(seed: int, step: int) -> Tensor:
        net = network()
        before = copy.deepcopy(net)
        WeightNoise().extras(net, z, y, seed).update(net, y, step, lr=0.5)
        changes = [(a - b).detach() for a, b in zip(net.parameters(), before.parameters(), strict=True)]
        assert all(not change.any() for change in changes if change.dim() == 1), "normalisations stay"
        return torch.cat([change.flatten() for change in changes if change.dim() == 4])

    one = noise(0, 3)
    assert torch.equal(one, noise(0, 3))
    assert not torch.equal(one, noise(0, 4))
    assert not torch.equal(one, noise(1, 3))
    assert float(one.std()) == pytest.approx(2 * 0.5, rel=0.05)


@pytest.mark.parametrize("muon", [False, True])
def test_self_guided_trains_z_at_its_own_rate_and_denoises_it(muon: bool):
    z, y = problem()
    method = SelfGuided(alpha=0.7, noise=0.3, z_lr=0.05)
    module = fitted(method, z, y, optimizer=Muon() if muon else None)
    net, own = network(), nn.Parameter(z.clone())
    of_net = (BatchedMuon if muon else torch.optim.Adam)(net.parameters(), lr=LR)
    of_z = torch.optim.Adam([own], lr=0.05)
    draw = Perturbation(1.0, SEED)
    for step in range(1, STEPS + 1):
        noise = draw(torch.zeros_like(z), step) * 0.3 * own.detach().abs().max()
        output = net(own + noise)
        loss = functional.mse_loss(output, y) + 0.7 * (output - own).square().mean()
        of_net.zero_grad()
        of_z.zero_grad()
        loss.backward()
        of_net.step()
        of_z.step()
    same_weights(module, net)
    torch.testing.assert_close(module.extras[0].z, own, rtol=1e-7, atol=1e-10)
    assert module.loss.item() == pytest.approx(loss.item(), rel=1e-9)


def test_sequential_feeds_the_output_back_every_third_step():
    z, y = problem()
    module = fitted(Sequential(weight=0.6, every=3), z, y)
    net, current = network(), z

    def step(number: int) -> tuple[Tensor, Tensor]:
        nonlocal current
        output = net(current)
        loss = functional.mse_loss(output, y) + 0.6 * functional.mse_loss(output, current)
        if number % 3 == 0:
            current = output.detach()
        return loss, output

    outputs = loop(net, torch.optim.Adam(net.parameters(), lr=LR), step)
    same_weights(module, net)
    torch.testing.assert_close(module.extras[0].z, outputs[5])
    torch.testing.assert_close(module.output, outputs[-1])


def test_a_random_projector_trains_z_and_the_normalisations_alone():
    z, y = problem()
    module = fitted(RandomProjector(tv=0.2), z, y)
    net, perturb = network(), Perturbation(1 / 30, SEED)
    first = copy.deepcopy(net)
    own, scale, shift = (
        nn.Parameter(z.clone()),
        nn.Parameter(torch.ones(3).double()),
        nn.Parameter(torch.zeros(3).double()),
    )
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    trained = [p for norm in norms for p in norm.parameters()]

    def step(number: int) -> tuple[Tensor, Tensor]:
        centred = own - own.mean((2, 3), keepdim=True)
        normal = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
        output = net(perturb(normal * scale.view(1, 3, 1, 1) + shift.view(1, 3, 1, 1), number))
        down, right = output.diff(dim=2).abs().sum(), output.diff(dim=3).abs().sum()
        return functional.mse_loss(output, y).sqrt() + 0.2 * (down + right) / (3 * 16 * 16), output

    loop(net, torch.optim.Adam([*trained, own, scale, shift], lr=LR), step)
    same_weights(module, net)
    torch.testing.assert_close(module.extras[0].z, own, rtol=1e-6, atol=1e-8)
    names = [name for name, _ in net.named_parameters()]
    for name, ours, before in zip(names, module.nets[0].parameters(), first.parameters(), strict=True):
        assert torch.equal(ours, before) != ("norm" in name), name


def test_a_random_projector_needs_normalisations():
    z, y = problem()
    with pytest.raises(OptionError, match="without normalisations"):
        RandomProjector().extras(nn.Conv2d(3, 3, 1), z, y, SEED)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.0, 2.0]).repeat(8).expand(1, 1, 16, 16)])
def test_sparse_noise_descends_along_the_gradient_of_the_sum(weights: Tensor | None):
    z, y = problem()
    module = fitted(SparseNoise(rate=0.3), z, y, weights=weights)
    net, perturb = network(), Perturbation(1 / 30, SEED)
    g, h = (torch.full((1, 3, 16, 16), 1e-5, dtype=torch.float64) for _ in range(2))

    def step(number: int) -> tuple[Tensor, Tensor]:
        nonlocal g, h
        output = net(perturb(z, number))
        entries = (output + g * g - h * h - y).square()
        entries = entries if weights is None else weights * entries
        residual = 2 * (output.detach() + g * g - h * h - y) * (1 if weights is None else weights)
        g, h = g - 0.3 * residual * 2 * g, h + 0.3 * residual * 2 * h
        return entries.mean(), output

    outputs = loop(net, torch.optim.Adam(net.parameters(), lr=LR), step)
    same_weights(module, net)
    torch.testing.assert_close(module.extras[0].g, g)
    torch.testing.assert_close(module.extras[0].h, h)
    torch.testing.assert_close(module.output, outputs[-1])
    assert not torch.equal(module.extras[0].g, module.extras[0].h)
    if weights is not None:  # a pixel without weight has no outlier
        assert torch.all(module.extras[0].g[..., ::2] == 1e-5)
