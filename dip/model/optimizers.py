"""The optimisers: each is a dataclass that builds the torch optimiser of all weights.

Importing this module does not import torch, so options can be listed and checked at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class Optimizer:
    """The rule that updates the weights from their gradients."""

    name: str = "optimizer"

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """The optimiser of all `parameters`, which lie on one device, with learning rate `lr`."""
        raise NotImplementedError


@dataclass
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), as in the paper."""

    name: str = "adam"

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        import torch

        return _fused(torch.optim.Adam, parameters, lr)


@dataclass
class Muon(Optimizer):
    """Muon for the convolutions, Adam for the rest: converges in fewer steps and overfits earlier."""

    name: str = "muon"

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        from dip.model.muon import BatchedMuon

        return _fused(BatchedMuon, parameters, lr)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "muon": Muon}


def _fused(kind: type[torch.optim.Adam], parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """The optimiser, with one kernel that updates all parameters where the device has one."""
    parameters = list(parameters)
    return kind(parameters, lr=lr, fused=parameters[0].device.type in ("cpu", "cuda"))
