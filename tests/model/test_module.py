"""The fit, step by step, against the same loop in plain PyTorch."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.nn import functional

from dip.fitting.lightning_alone import alone
from dip.hardware import threads
from dip.model.data import FixedPair, draw
from dip.model.losses import L1, MSE
from dip.model.module import DeepImagePrior
from dip.nets import Hourglass, fast_hourglass
from dip.seeds import Perturbation
from dip.targets.operators import Downsample, Mask, Operator
from dip.z import Z


def small_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return Hourglass(depth=2, channels=6, skip_channels=2).build(4, 3, [1])


def fit(module: DeepImagePrior, pair: FixedPair, steps: int, precision: str = "64-true") -> None:
    with alone(), warnings.catch_warnings():
        Trainer(
            accelerator="cpu", max_steps=steps, max_epochs=-1, logger=False, enable_checkpointing=False,
            enable_model_summary=False, enable_progress_bar=False, precision=precision,
        ).fit(module, pair)  # fmt: skip


def problem(height: int = 16, width: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return draw(Z(channels=4), (16, 16), seed=0).double(), y


class PlainLoop:
    """The fit of an ensemble in plain PyTorch: network i has weights of seed i and the perturbation of seed 5 + i."""

    def __init__(self, z: torch.Tensor, lr: float) -> None:
        self.z = z
        self.nets = [small_net(i).double() for i in range(len(z))]
        self.perturb = [Perturbation(1 / 30, seed=5 + i) for i in range(len(z))]
        self.optimizers = [torch.optim.Adam(net.parameters(), lr=lr) for net in self.nets]
        self.average = torch.zeros(())

    def run(self, steps: int, loss: Callable[[torch.Tensor], torch.Tensor], ema: float) -> None:
        for step in range(1, steps + 1):
            parts = zip(self.nets, self.perturb, self.z.split(1), strict=True)
            images = [net(perturb(z, step)) for net, perturb, z in parts]
            self.losses = [loss(image) for image in images]
            for value, optimizer in zip(self.losses, self.optimizers, strict=True):
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
            self.output = sum(images).detach() / len(images)
            decay = 0 if step == 1 else min(ema, step / (step + 9))
            self.average = decay * self.average + (1 - decay) * self.output


def assert_equal(module: DeepImagePrior, plain: PlainLoop) -> None:
    assert module.losses.tolist() == pytest.approx([loss.item() for loss in plain.losses], rel=1e-9)
    assert module.loss.item() == pytest.approx(module.losses.mean().item(), rel=1e-12)
    assert torch.allclose(module.output, plain.output, rtol=1e-8)
    assert torch.allclose(module.average, plain.average, rtol=1e-8)


@pytest.mark.parametrize("loss", [MSE(), L1(), MSE(tv=1e-3)], ids=["mse", "l1", "tv"])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.0, 2.0]).repeat(8)[None, None, None].expand(1, 1, 16, 16)])
def test_equals_a_plain_loop(weights, loss):
    z, y = problem()
    mask = (torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(2)) < 0.5).double()
    options = {"loss": loss, "lr": 0.02, "ema": 0.9, "seeds": [5], "weights": weights}
    module = DeepImagePrior([small_net()], (16, 16), Mask(mask), **options)
    fit(module, FixedPair(z, y), steps=12)

    def expected(image: torch.Tensor) -> torch.Tensor:
        difference = image * mask - y
        entries = difference.abs() if isinstance(loss, L1) else difference.square()
        down, right = image.diff(dim=2)[..., :-1], image.diff(dim=3)[..., :-1, :]
        variation = (down.square() + right.square()).sqrt().sum()
        return (entries if weights is None else weights * entries).mean() + loss.tv * variation

    plain = PlainLoop(z, lr=0.02)
    plain.run(12, expected, ema=0.9)
    assert module.step == 12
    assert_equal(module, plain)


def test_the_output_is_cropped_to_the_image():
    z, y = problem(13, 7)
    module = DeepImagePrior([small_net()], (13, 7))
    fit(module, FixedPair(z, y), steps=2)
    assert module.output.shape == module.average.shape == (1, 3, 13, 7)


# The losses of the first 20 steps, float64, on a CPU: a refactoring keeps them. They depend on every part of a step:
# weights, z, perturbation, network, loss, Adam. This test prints the new values when it fails.
GOLDEN: list[float] = [
    0.05746763428869236, 0.051701287825874916, 0.040291790346857724, 0.03566458553747636, 0.028660126330227288,
    0.024682646099152744, 0.021275607448884293, 0.018172097275265045, 0.01556976190754084, 0.013294754405232334,
    0.011344112965176343, 0.00965813734258803, 0.008057665393896, 0.006820645464688549, 0.00570161391800876,
    0.004742000601307447, 0.004014366724465296, 0.003364853168933072, 0.002873915785590755, 0.0024617602505490996,
]  # fmt: skip


@pytest.mark.parametrize("folded_from", [0, 2**62])
def test_golden_losses(monkeypatch, folded_from):
    monkeypatch.setattr(fast_hourglass, "FOLDED_FROM", folded_from)
    net = Hourglass(depth=3, channels=[8, 12, 16], skip_channels=4)
    torch.manual_seed(0)
    built = net.build(8, 3, [1, 3])
    y = torch.linspace(0, 1, 3 * 32 * 32, dtype=torch.float64).view(1, 3, 32, 32)
    z = draw(Z(channels=8), net.padded(32, 32), seed=0).double()
    module = DeepImagePrior([built], (32, 32))
    losses: list[float] = []
    module.on_train_batch_end = lambda *_: losses.append(module.loss.item())
    fit(module, FixedPair(z, y), steps=20)
    assert losses == pytest.approx(GOLDEN, rel=1e-9), repr(losses)


@pytest.mark.parametrize("parallel", [False, True])
def test_an_ensemble_equals_plain_loops(parallel: bool):
    _, y = problem()
    z = torch.cat([draw(Z(channels=4), (16, 16), seed).double() for seed in (0, 1)])
    module = DeepImagePrior([small_net(0), small_net(1)], (16, 16), ema=0.9, seeds=[5, 6])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads.side_by_side(2 if parallel else 1, torch.device("cpu")) as module.each:
            fit(module, FixedPair(z, y), steps=8)
    finally:
        torch.set_num_threads(before)

    plain = PlainLoop(z, lr=0.01)
    plain.run(8, lambda image: functional.mse_loss(image, y), ema=0.9)
    assert_equal(module, plain)


class Watched(Operator):
    """Downsampling that keeps the gradient of its input, and the flags with which its backward pass runs."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = Downsample(2, (32, 32))
        self.gradient = torch.zeros(())
        self.autocast: set[bool] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.register_hook(self.keep)
        return self.shrink(x)

    def keep(self, gradient: torch.Tensor) -> None:
        self.gradient = gradient.clone()
        self.autocast.add(torch.is_autocast_enabled("cpu"))


def test_the_gradient_of_the_operator_is_not_rounded_to_bf16():
    watched = Watched()
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    module = DeepImagePrior([small_net()], (32, 32), watched)
    fit(module, FixedPair(draw(Z(channels=4), (32, 32), seed=0), y), steps=1, precision="bf16-mixed")
    image = module.output.double().requires_grad_()
    exact_operator = Downsample(2, (32, 32)).double()
    expected = torch.autograd.grad((exact_operator(image) - y.double()).square().mean(), image)[0]
    assert float((watched.gradient - expected).norm() / expected.norm()) < 1e-6  # 4e-3 in bf16
    assert watched.autocast == {False}


def test_a_resume_on_a_device_with_other_noise_warns(caplog: pytest.LogCaptureFixture):
    module = DeepImagePrior([small_net()], (16, 16))
    fit(module, FixedPair(*(part.float() for part in problem())), steps=1, precision="32-true")
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    module.on_load_checkpoint(checkpoint)
    module.on_train_start()
    assert not caplog.messages
    checkpoint["dip"]["noise"] = "cuda (NVIDIA H100, 132 multiprocessors)"
    module.on_load_checkpoint(checkpoint)
    module.on_train_start()
    assert "resumed on cpu, the checkpoint was written on cuda (NVIDIA H100, 132 multi" in caplog.text
