"""The hourglass network as runs compute it: parameters and function of `HourglassModule`, in less time and memory.

The differences, each tested against the plain network, outputs and gradients:

- Everything is channels_last, and activations are computed in place.
- Reflection padding by slices where these are faster or where the framework's is not deterministic (`reflection`).
- Normalisation of the concatenation folded into the weights, convolution before upsampling (`upsampled`).
- 16-bit activations stay 16-bit under autocast; the output is float32.
- With `precision.kernels`, Triton kernels for normalisation and activation, padding, and upsampling (`fused`).
- Activations can be recomputed in the backward pass (`net.checkpoint_activations`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dip.nets.convolution import convolve, rounded_together
from dip.nets.fused import normalised
from dip.nets.hourglass import Architecture, Block, HourglassModule, Level
from dip.nets.reflection import reflect
from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels, scaled_parts

FOLDED_FROM = 2**21
"""C_below x C_out x H x W from which folding is faster on a CPU. Its small operations take 0.5 to 2 ms at any size; the
arithmetic that it saves grows with the size (measured for 32 to 128 channels, one and two threads)."""


class FastHourglass(HourglassModule):
    """(1, in_channels, H, W) -> (1, out_channels, H, W), float32 under autocast. See `HourglassModule`."""

    def __init__(self, net: Architecture, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        super().__init__(net, in_channels, out_channels, skips)
        self.checkpoint_activations = net.checkpoint_activations
        for module in self.modules():
            if isinstance(module, (nn.LeakyReLU, nn.ReLU, nn.ELU)):
                module.inplace = True  # their backward pass needs the result only
            if isinstance(module, nn.Conv2d) and module.padding_mode == "reflect":
                module.__class__ = ReflectedConv2d
            if isinstance(module, Block):
                module.__class__ = FastBlock
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        device = z.device.type
        if not torch.is_autocast_enabled(device):
            return self._image(z)
        z = z.to(torch.get_autocast_dtype(device))  # once, instead of once for each convolution of z
        if device == "cpu" or self.checkpoint_activations or torch.compiler.is_compiling():
            return self._image(z)  # autocast rounds each weight where it is used
        later = {id(level.up.conv) for level in self.levels}  # these are scaled first
        convs = [one for one in self.modules() if isinstance(one, ReflectedConv2d) and id(one) not in later]
        if not convs:  # net.padding=zeros
            return self._image(z)
        try:
            for conv, rounded in zip(convs, rounded_together(z.dtype, *(conv.weight for conv in convs)), strict=True):
                conv.rounded = rounded
            return self._image(z)
        finally:
            for conv in convs:
                conv.rounded = None

    def _image(self, z: Tensor) -> Tensor:
        x = z.contiguous(memory_format=torch.channels_last)  # (1, in_channels, H, W)
        run, entering = functools.partial(run_part, self.checkpoint_activations), []
        for level in self.levels:
            entering.append(x)
            x = run(level.encode, x)  # (1, C, H / 2, W / 2)
        for level, beside in zip(reversed(self.levels), reversed(entering), strict=True):
            x = run(join, level, x, beside)  # (1, C, 2H, 2W)
            if level.mix is not None:
                x = run(level.mix, x)
        image: Tensor = self.output(self.head(x))
        return image


def run_part(recompute: bool, part: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """`part(*inputs)`; with `recompute` its activations are not kept but computed again in the backward pass."""
    if not (recompute and torch.is_grad_enabled()):
        return part(*inputs)
    output: Tensor = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    return output


class ReflectedConv2d(nn.Conv2d):
    """A convolution without bias that pads by `reflect`."""

    rounded: Tensor | None = None
    """The weight in the number format of autocast."""
    fused = False
    """Whether it uses the kernels; see `dip.nets.fused`."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.rounded is None else self.rounded
        return convolve(reflect(x, self.kernel_size[0] // 2, fused=self.fused), weight, self.stride[0])


class FastBlock(Block):
    """A block whose normalisation and activation can be one kernel."""

    fused = False

    def forward(self, x: Tensor) -> Tensor:
        return self.finished(self.conv(x))

    def finished(self, x: Tensor) -> Tensor:
        """The normalisation and the activation: (1, C, H, W) -> (1, C, H, W)."""
        done: Tensor = normalised(x, self.norm, self.activation) if self.fused else self.activation(self.norm(x))
        return done


def join(level: Level, below: Tensor, beside: Tensor) -> Tensor:
    """`Level.decode` without `mix`: (1, C_below, H / 2, W / 2) and (1, C_in, H, W) -> (1, C, H, W)."""
    skipped = None if level.skip is None else level.skip(beside)  # (1, C_skip, H, W)
    up, bilinear = level.up, level.upsampling == "bilinear"
    foldable = isinstance(up.conv, ReflectedConv2d) and up.conv.kernel_size == (3, 3)
    if foldable and (below.device.type != "cpu" or below.numel() * up.conv.out_channels >= FOLDED_FROM):
        assert isinstance(up, FastBlock)
        return up.finished(folded(below, skipped, level.norm, up.conv.weight, bilinear, up.fused))
    joined: Tensor = up(level.norm(concatenated(below, skipped, bilinear)))
    return joined


def concatenated(below: Tensor, skipped: Tensor | None, bilinear: bool) -> Tensor:
    """The skip connection, then `below` at twice its resolution: (1, C_skip + C_below, 2H, 2W)."""
    native = bilinear and below.device.type == "cpu"  # its backward pass is not deterministic on CUDA
    x = F.interpolate(below, scale_factor=2, mode="bilinear" if native else "nearest")  # (1, C_below, 2H, 2W)
    if bilinear and not native:
        x = filter_channels(reflect(x, 1, symmetric=True), BLUR)
    return x if skipped is None else torch.cat([skipped, x], dim=1)


def folded(
    below: Tensor, skipped: Tensor | None, norm: nn.BatchNorm2d, weight: Tensor, bilinear: bool, fused: bool = False
) -> Tensor:
    """`conv(norm(concatenated(...)))` up to a constant per channel, without making the tensors between.

    The normalisation becomes one scale per channel of the weights, gamma / sqrt(variance + eps). Its mean shifts the
    result by a constant, because reflection continues constants, and the next normalisation subtracts it. The
    convolution of the concatenation is the sum of one convolution of each part, and that of the upsampled part is done
    before upsampling.
    """
    # Subtracting the mean changes nothing else, but leaves 16-bit numbers more resolution.
    below, variance = centred(below, bilinear, fused)
    if skipped is not None:
        skipped, skip_variance = centred(skipped, False)
        variance = torch.cat([skip_variance, variance])  # (C_skip + C_below,)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    parts = scaled_parts(weight, scale, 0 if skipped is None else skipped.shape[1], below.dtype)
    x = convolve_upsampled(below, parts[-4:], bilinear, fused)
    return x if skipped is None else x.add_(convolve(reflect(skipped, 1, fused=fused), parts[0]))
