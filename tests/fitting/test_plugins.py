"""Networks, rules, losses and optimisers from Python compute what the built-in ones do, and are refused in one line."""

import logging
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dip
from dip.model.module import DeepImagePrior
from dip.nets import Hourglass
from dip.stopping.variance import WindowedVariance
from tests.disturbed import killed

pytestmark = pytest.mark.usefixtures("undrawn")

NET = {"channels": 6, "depth": 2, "skip_channels": 2}
OPTIONS = {
    "steps": 12, "z": {"channels": 4}, "precision": "fp32", "progress": False, "stop": "heldout", "record_every": 4,
}  # fmt: skip
IMAGE = np.random.default_rng(0).random((16, 20, 3))


def built(inputs: int, outputs: int) -> nn.Module:
    return Hourglass(**NET).build(inputs, outputs, [1])


def absolute(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x - y).abs()


def restored(**options: Any) -> dip.Restoration:
    own = {} if "net" in options else {"net": NET, "skips": [1]}
    return dip.restore(IMAGE, **{**OPTIONS, **own, **options})


@pytest.mark.parametrize(
    ("own", "same"),
    [
        ({"net": built}, {}),
        ({"loss": absolute}, {"loss": "l1"}),
        ({"optimizer": lambda p, lr: torch.optim.Adam(p, lr=lr, fused=True)}, {"optimizer": "adam"}),
        (
            {"stop": WindowedVariance(3, 4, 0), "steps": 40},
            {"stop": {"name": "wmv", "window": 3, "patience": 4}, "steps": 40},
        ),
    ],
)
def test_to_the_bit_what_the_built_in_part_computes(own, same):
    mine, theirs = restored(**own), restored(**same)
    assert np.array_equal(mine.image, theirs.image)
    for name in ("loss", "restored_step", "steps"):
        assert mine.metrics[name] == theirs.metrics[name]


def test_a_mean_leaves_held_out_values_out():
    mine, theirs = restored(loss=nn.MSELoss()), restored(loss="mse")
    assert np.allclose(mine.image, theirs.image, atol=1e-3)
    assert mine.metrics["loss"] == pytest.approx(theirs.metrics["loss"], rel=1e-3)


def test_a_module_is_the_start_and_is_not_changed():
    net = built(4, 3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    first, again = restored(net=net), restored(net=net)
    assert np.array_equal(first.image, again.image)
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())


@pytest.mark.fault(1)
def test_a_run_with_own_parts_resumes_to_the_bit(monkeypatch, tmp_path):
    own = {"net": built, "loss": absolute, "stop": WindowedVariance(3, 4, 0), "checkpoint_every": 0, "name": "mine"}
    whole = restored(**own, out=tmp_path / "whole")
    killed(monkeypatch, lambda: restored(**own, out=tmp_path), DeepImagePrior, "training_step", 8)
    resumed = restored(**own, out=tmp_path)
    assert np.array_equal(resumed.image, whole.image)
    assert resumed.history["loss"] == whole.history["loss"]
    assert resumed.folder.name == whole.folder.name
    assert resumed.folder.name.startswith("mine-built-degraded-")
    other = restored(**{**own, "loss": lambda x, y: (x - y).abs() * 2}, out=tmp_path)
    assert other.folder != resumed.folder


class Counter:
    step = 0

    def update(self, step: int, *given: torch.Tensor) -> None:
        self.step = step

    def read(self) -> tuple[float, float, int, bool]:
        return 1.0, 1.0, min(self.step, 8), self.step >= 10


def test_a_rule_without_state_ends_the_fit_and_cannot_resume(monkeypatch, tmp_path):
    found = restored(stop=Counter(), steps=40)
    assert (found.metrics["status"], found.metrics["steps"], found.metrics["restored_step"]) == ("stopped", 12, 8)
    until = restored(stop="never", steps=8)
    assert np.array_equal(found.image, until.image)
    own = {"stop": Counter(), "checkpoint_every": 0, "out": tmp_path}
    killed(monkeypatch, lambda: restored(**own), DeepImagePrior, "training_step", 6)
    with pytest.raises(dip.DipError, match=r"stop=Counter: has no state_dict\(\) and load_state_dict\(state\)"):
        restored(**own)


class Halves(nn.Module):
    """Works at multiples of 8 only."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(inputs, 4, 8, 8), nn.ConvTranspose2d(4, outputs, 8, 8)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(z))


def test_z_is_padded_to_the_sizes_of_the_network(caplog):
    caplog.set_level(logging.INFO)
    assert restored(net=Halves).image.shape == (16, 20, 3)
    lines = [record.getMessage() for record in caplog.records]
    assert "net=Halves: z is padded to 16 x 24, multiples of 8" in lines
    assert sum(line.startswith("net=Halves: values from -") for line in lines) == 1


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        ({"method": "sequential"}, 3), ({"method": "self_guided"}, 3), ({"z": {"guide": IMAGE}}, 3 + 4),
        ({"z": {"guide": IMAGE, "channels": 0}}, 3), ({"method": "guided", "target": "noisy"}, 4),
    ],
)  # fmt: skip
def test_a_module_is_tried_with_the_input_that_it_gets(options, channels):
    """A module for another number of channels is refused, before the first step."""
    z = {"channels": 4, **options.pop("z", {})}
    assert restored(net=nn.Conv2d(channels, 3, 1), z=z, **options).image.shape == (16, 20, 3)
    with pytest.raises(dip.DipError, match=rf"net=Conv2d: fails for z of \(1, {channels}, 16, 20\)"):
        restored(net=nn.Conv2d(channels + 1, 3, 1), z=z, **options)


class Needy(Counter):
    """Its `update` has one argument, not five."""

    def update(self, step: int) -> None:  # type: ignore[override]
        self.step = step


class NaN(nn.Conv2d):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return super().forward(z) * float("nan")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"net": nn.Conv2d(5, 3, 1)}, "net=Conv2d: fails for z of (1, 4, 16, 20)"),
        ({"net": lambda i, o: nn.Conv2d(i, 1, 1)}, "net=own_net: returned (1, 1, 16, 20) for z of (1, 4, 16, 20)"),
        ({"net": lambda i, o: NaN(i, o, 1)}, "net=own_net: returned values that are NaN"),
        ({"net": lambda i, o: 3}, "net=own_net: returned a int"),
        ({"net": nn.Conv2d(4, 3, 1), "ensemble": 2}, "ensemble=2: must be 1 where net= is a module"),
        ({"loss": lambda x, y: (x - y).mean(1)}, "loss=own_loss: returned (1, 16, 20)"),
        ({"loss": lambda x, y: (x - y).detach()}, "loss=own_loss: its result has no gradient"),
        ({"optimizer": torch.optim.LBFGS}, "optimizer=LBFGS: LBFGS.step must have an argument closure=None"),
        ({"optimizer": lambda p, lr: None}, "optimizer=own_optimizer: returned a NoneType"),
        ({"stop": Counter}, "stop=<class"),
        ({"stop": Needy()}, "stop=<"),
        ({"net": lambda i: nn.Conv2d(i, 3, 1)}, "net=<function"),
        ({"loss": abs}, "loss=<built-in function abs>: must be one of"),
        ({"optimizer": lambda p: torch.optim.Adam(p)}, "optimizer=<function"),
        ({"name": "a/b"}, "name=a/b: must be null or at most 60 letters"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(dip.DipError) as caught:
        restored(**options, out=tmp_path / "outputs")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "outputs").exists()


def test_what_cannot_be_told_apart_has_no_folder(tmp_path):
    lock = threading.Lock()

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with lock:
            return absolute(x, y)

    assert restored(loss=loss).metrics["status"] == "finished"
    with pytest.raises(dip.DipError, match=r"^loss: holds an object of _thread.lock, .*; leave out=FOLDER away$"):
        restored(loss=loss, out=tmp_path / "outputs")
