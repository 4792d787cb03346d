"""The hourglass network as runs compute it: parameters and function of `HourglassModule`, in less time and memory.

The differences, each tested against the plain network, outputs and gradients:

- Everything is channels_last, and activations are computed in place.
- Reflection padding by slices where these are faster or where the framework's is not deterministic (`reflection`).
- Normalisation of the concatenation folded into the weights, convolution before upsampling (`upsampled`).
- 16-bit activations stay 16-bit under autocast; the output is float32.
- With `precision.kernels`, Triton kernels for normalisation and activation, padding, and upsampling (`fused`).
- Activations can be recomputed in the backward pass (`net.checkpoint_activations`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.convolution import convolve, number_format, rounded_together
from dip.nets.fused import normalised
from dip.nets.hourglass import BatchNorm, Block, HourglassModule, Level
from dip.nets.hourglass_options import HourglassOptions
from dip.nets.reflection import reflect
from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels, scaled_parts

FOLDED_FROM = 2**21
"""C_below x C_out x H x W from which folding is faster on a CPU. Its small operations take 0.5 to 2 ms at any size; the
arithmetic that it saves grows with the size (measured for 32 to 128 channels, one and two threads)."""


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

    inplace = True
    fused = False

    def __init__(
        self, net: HourglassOptions, in_channels: int, out_channels: int, kernel: int, stride: int = 1
    ) -> None:
        super().__init__(net, in_channels, out_channels, kernel, stride)
        if net.padding == "reflection":
            self.conv.__class__ = ReflectedConv2d

    def forward(self, x: Tensor) -> Tensor:
        return self.finished(self.conv(x))

    def finished(self, x: Tensor) -> Tensor:
        """The normalisation and the activation: (1, C, H, W) -> (1, C, H, W)."""
        done: Tensor = normalised(x, self.norm, self.activation) if self.fused else self.activation(self.norm(x))
        return done


class FastLevel(Level):
    """A level that convolves before upsampling where that is faster."""

    block = FastBlock

    def join(self, below: Tensor, beside: Tensor) -> Tensor:
        up = self.up
        foldable = isinstance(up.conv, ReflectedConv2d) and up.conv.kernel_size == (3, 3)
        if not foldable or (below.device.type == "cpu" and below.numel() * up.conv.out_channels < FOLDED_FROM):
            return super().join(below, beside)
        assert isinstance(up, FastBlock)
        skipped = None if self.skip is None else self.skip(beside)  # (1, C_skip, H, W)
        bilinear = self.upsampling == "bilinear"
        return up.finished(folded(below, skipped, self.norm, up.conv.weight, bilinear, up.fused))

    def enlarged(self, below: Tensor, beside: Tensor) -> Tensor:
        return upsampled(below, self.upsampling == "bilinear")


class FastHourglass(HourglassModule):
    """(1, in_channels, H, W) -> (1, out_channels, H, W), float32 under autocast. See `HourglassModule`."""

    level = FastLevel
    layout = torch.channels_last

    def forward(self, z: Tensor) -> Tensor:
        device = z.device.type
        together = device != "cpu" and torch.is_autocast_enabled(device) and not self.checkpoint_activations
        if not together or torch.compiler.is_compiling():
            return super().forward(z)  # autocast rounds each weight where it is used
        later = {id(level.up.conv) for level in self.levels}  # these are scaled first
        convs = [one for one in self.modules() if isinstance(one, ReflectedConv2d) and id(one) not in later]
        if not convs:  # net.padding=zeros
            return super().forward(z)
        weights = rounded_together(number_format(z), *(conv.weight for conv in convs))
        try:
            for conv, rounded in zip(convs, weights, strict=True):
                conv.rounded = rounded
            return super().forward(z)
        finally:
            for conv in convs:
                conv.rounded = None


def upsampled(x: Tensor, bilinear: bool) -> Tensor:
    """`x` at twice its resolution, bilinear or nearest: (1, C, H, W) -> (1, C, 2H, 2W)."""
    native = bilinear and x.device.type == "cpu"  # its backward pass is not deterministic on CUDA
    x = F.interpolate(x, scale_factor=2, mode="bilinear" if native else "nearest")
    return filter_channels(reflect(x, 1, symmetric=True), BLUR) if bilinear and not native else x


def folded(
    below: Tensor, skipped: Tensor | None, norm: BatchNorm, weight: Tensor, bilinear: bool, fused: bool = False
) -> Tensor:
    """`conv(norm(cat(skipped, upsampled(below))))` up to a constant per channel, without making the tensors between.

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
