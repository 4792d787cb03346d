"""What a run relies on: no waiting for the device, bounded memory, broken steps have no influence."""

import math

import pytest
import torch
from torch import Tensor

from dip.stopping import WMV, Stop
from dip.stopping.rule import SAMPLES, Rule
from tests.stopping.sequences import ALL, SHAPE, begin, feed, outputs


@pytest.mark.fault(8)
@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_update_reads_no_value(options: Stop) -> None:
    """Meta tensors have shapes but no values: reading one raises."""
    rule = begin(options)
    image = torch.empty(SHAPE, device="meta")
    for step in (*range(1, 30), 100, 110):  # 100: the first reading of covariance
        rule.update(step, image, image, image, torch.empty((), device="meta"))
    assert rule.candidate.is_meta


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
    # The image, its mask, the positions, and the samples of a window (the largest part).
    assert sizes[-1] <= 4 * 3 * 100 * 100 + 4 * SAMPLES * (8 + 8)


@pytest.mark.parametrize("options", ALL, ids=lambda options: options.name)
def test_broken_steps_have_no_influence(options: Stop) -> None:
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


def test_the_state_is_detached_from_the_graph() -> None:
    rule = begin(WMV(window=2))
    image = torch.rand(SHAPE, requires_grad=True)
    for step in range(1, 5):
        rule.update(step, image, image, image, image.mean())
    assert not rule.image().requires_grad
    assert not any(v.requires_grad for v in rule.state_dict().values() if isinstance(v, Tensor))
