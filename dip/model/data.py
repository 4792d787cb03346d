"""The whole data set: one fixed pair (z, y), moved to the device once and repeated without end."""

import itertools
from collections.abc import Iterable

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from dip.seeds import generator
from dip.z import Z


class FixedPair(LightningDataModule):
    """Yields the same (z, y) at every step, in one endless epoch.

    For a small network, an epoch of one batch would cost Lightning more time than the step itself.

    Args:
        z: the networks' inputs, (networks, C_z, H', W').
        y: the observation, (1, C, h, w) in [0, 1].
        device: where both are kept.
    """

    def __init__(self, z: Tensor, y: Tensor, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.pair = (z.to(device, memory_format=torch.channels_last), y.to(device))

    def train_dataloader(self) -> Iterable[tuple[Tensor, Tensor]]:
        """An endless iterable of the pair."""
        return itertools.repeat(self.pair)


def draw(z: Z, size: tuple[int, int], seed: int, slices: int = 1) -> Tensor:
    """The fixed input (1, z.planes(slices), *size) float32: gaussian, uniform, or coordinates.

    `meshgrid` is the original paper's input for large holes: channel 0 holds x, channel 1 holds y, from 0 to scale. In
    a volume a third channel holds the position of the slice. Channels of a volume are channels x slices.
    """
    height, width = size
    if z.distribution == "meshgrid":
        lines = [torch.linspace(0, 1, length) for length in (slices, height, width)]
        depth, y, x = torch.meshgrid(*lines, indexing="ij")  # each (slices, H, W)
        return z.scale * torch.cat([x, y] if slices == 1 else [x, y, depth])[None]
    fill = torch.randn if z.distribution == "gaussian" else torch.rand
    channels = z.planes(slices)
    return z.scale * fill(1, channels, height, width, generator=generator(seed, "z"))  # (1, channels, H, W)


def extend(z: Tensor, size: tuple[int, int]) -> Tensor:
    """Extend the input (1, C, H, W) below and to the right to `size` by symmetric reflection, repeated if needed."""
    margins = [(0, 0), (0, 0), *((0, wanted - length) for wanted, length in zip(size, z.shape[2:], strict=True))]
    return torch.from_numpy(np.pad(z.numpy(), margins, mode="symmetric"))
