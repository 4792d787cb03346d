"""Synthetic outputs of a fit, and how a rule processes them."""

import math

import torch
from torch import Tensor

from dip.stopping import EMV, WMV, Combined, Covariance, Discrepancy, HeldOut, Stop
from dip.stopping.rule import Rule

ALL = [
    WMV(window=8, patience=30),
    EMV(patience=30, start_step=5),
    HeldOut(patience=30),
    Discrepancy(sigma=0.1),
    Covariance(patience=30),
    Combined(patience=30),
]
SHAPE = (1, 3, 24, 20)
FINE = torch.tensor(1.0)


def begin(options: Stop, target: Tensor | None = None, seed: int = 0, warm_up: int = 0) -> Rule:
    rule = options.start(torch.full(SHAPE, 0.5) if target is None else target, seed, warm_up=warm_up)
    assert rule is not None
    return rule


def outputs(steps: int, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> list[Tensor]:
    """A simulated fit: a flat start, convergence, then increasing scatter."""
    draw = torch.Generator().manual_seed(seed)
    clean = 0.2 + 0.6 * torch.rand(shape, generator=draw)
    return [
        clean + (0.5 - clean) * math.exp(-t / 10) + 0.002 * (1 + t / 20) * torch.randn(shape, generator=draw)
        for t in range(steps)
    ]


def feed(rule: Rule, images: list[Tensor], first: int = 1) -> None:
    for step, image in enumerate(images, first):
        rule.update(step, image, image, torch.full(SHAPE, float(step)), FINE)
