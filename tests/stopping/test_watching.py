"""What a run relies on: exact resume, no waiting for the device, bounded memory."""

from __future__ import annotations

import io
import math
from typing import Any
from unittest import mock

import pytest
import torch
from sequences import ALL, FINE, SHAPE, begin, feed, outputs
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dip.runs import flat
from dip.stopping import WMV, Stop
from dip.stopping.rule import SAMPLES, Rule


@pytest.mark.fault(8)
@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
@pytest.mark.parametrize("pause", [0, 3, 21, 60])
def test_resumed_rule_decides_the_same_to_the_bit(options: Stop, pause: int) -> None:
    target = outputs(60)[-1] + 0.1
    images = outputs(90)
    whole, before, after = (begin(options, target) for _ in range(3))
    feed(whole, images)
    feed(before, images[:pause])
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after.load_state_dict(torch.load(file, weights_only=True))
    feed(before, outputs(5, seed=9))  # the saved state is a copy
    feed(after, images[pause:], first=pause + 1)
    others = flat(after.state_dict())
    for name, value in flat(whole.state_dict()).items():
        other = others[name]
        same = (
            torch.equal(value.nan_to_num(-1), other.nan_to_num(-1))
            if isinstance(value, Tensor)
            else value == other
        )
        assert same, name
    assert after.read() == whole.read()
    assert torch.equal(after.image(), whole.image())


class NoReading(TorchFunctionMode):
    """Fails on everything that brings a tensor's value to Python, or makes its shape depend on values."""

    FORBIDDEN = frozenset(
        [
            "item",
            "tolist",
            "numpy",
            "cpu",
            "__bool__",
            "__int__",
            "__float__",
            "__index__",
            "nonzero",
            "equal",
        ]
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert getattr(func, "__name__", "") not in self.FORBIDDEN, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_update_reads_no_value(options: Stop) -> None:
    rule, images = begin(options), outputs(40)
    feed(rule, images[:1])
    with NoReading():
        with pytest.raises(AssertionError):
            bool(FINE > 0)
        feed(rule, images[1:], first=2)
    with mock.patch.object(Tensor, "item", side_effect=AssertionError):
        feed(rule, images, first=41)


@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_update_runs_on_tensors_without_values(options: Stop) -> None:
    """Meta tensors have shapes only: whatever branches on a value raises."""
    rule = begin(options)
    image = torch.empty(SHAPE, device="meta")
    for step in range(1, 30):
        rule.update(step, image, image, image, torch.empty((), device="meta"))
    assert rule.image().is_meta


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_update_does_not_wait_for_the_gpu(options: Stop) -> None:
    on_gpu, on_cpu = begin(options), begin(options)
    images = outputs(60)
    feed(on_cpu, images)
    moved, loss = [image.cuda() for image in images], FINE.cuda()
    averages = [torch.full(SHAPE, float(step), device="cuda") for step in range(1, 61)]
    on_gpu.update(1, moved[0], moved[0], averages[0], loss)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(2, 61):
            on_gpu.update(step, moved[step - 1], moved[step - 1], averages[step - 1], loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert on_gpu.read()[1:] == pytest.approx(on_cpu.read()[1:], rel=1e-4)
    assert torch.equal(on_gpu.image().cpu(), on_cpu.image())


@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_memory_is_bounded(options: Stop) -> None:
    def size(rule: Rule) -> int:
        return sum(value.nbytes for value in vars(rule).values() if isinstance(value, Tensor))

    rule = begin(options, torch.rand(1, 3, 100, 100))
    images = outputs(20, (1, 3, 100, 100))
    sizes = []
    for part in range(4):
        feed(rule, images, first=1 + 20 * part)
        sizes.append(size(rule))
    assert len(set(sizes[1:])) == 1
    # The image, its mask, positions, and for the window (the largest) its samples.
    assert sizes[-1] <= 4 * 3 * 100 * 100 + 4 * SAMPLES * (8 + 8)


@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_broken_steps_leave_no_trace_in_the_answer(options: Stop) -> None:
    rule, images = begin(options), outputs(120)
    for step, image in enumerate(images, 1):
        broken = step in (10, 50)
        shown = torch.full(SHAPE, math.nan) if broken else image
        average = torch.full(SHAPE, math.nan if broken else float(step))
        rule.update(step, shown, shown, average, torch.tensor(math.nan if broken else 1.0))
    reading = rule.read()
    assert math.isfinite(reading.watched)
    assert reading.best_step not in (10, 50)
    assert bool(rule.image().isfinite().all())


def test_watching_leaves_the_gradient_graph_alone() -> None:
    rule = begin(WMV(window=2))
    image = torch.rand(SHAPE, requires_grad=True)
    for step in range(1, 5):
        rule.update(step, image, image, image, image.mean())
    assert not rule.image().requires_grad
    assert not any(v.requires_grad for v in rule.state_dict().values() if isinstance(v, Tensor))
