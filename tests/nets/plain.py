"""A second construction of the networks, from the framework's own layers alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets import Hourglass

ACTIVATIONS = {"leaky_relu": lambda: nn.LeakyReLU(0.2), "relu": nn.ReLU, "elu": nn.ELU, "swish": nn.SiLU}


class PlainHourglass(nn.Module):
    """What `HourglassModule` computes, with every bias and every tensor that the paper has."""

    def __init__(self, net: Hourglass, in_channels: int, out_channels: int, skips: list[int]) -> None:
        super().__init__()
        self.upsampling = net.upsampling
        mode = {"reflection": "reflect", "zeros": "zeros"}[net.padding]
        channels, skip_channels = net.channels_per_level(), net.skip_channels_per_level()

        def block(entering: int, leaving: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            convolution = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, padding_mode=mode)
            return [convolution, nn.BatchNorm2d(leaving), ACTIVATIONS[net.activation]()]

        self.down, self.skip, self.up = nn.ModuleList(), nn.ModuleDict(), nn.ModuleList()
        for i in range(net.depth):
            entering, leaving = [in_channels, *channels][i], channels[i]
            self.down.append(
                nn.Sequential(
                    *block(entering, leaving, net.kernel_down, 2), *block(leaving, leaving, net.kernel_down)
                )
            )
            joined = [*channels, channels[-1]][i + 1]
            if i + 1 in skips:
                self.skip[str(i)] = nn.Sequential(*block(entering, skip_channels[i], net.kernel_skip))
                joined += skip_channels[i]
            mixing = block(leaving, leaving, 1) if net.use_1x1 else []
            self.up.append(
                nn.Sequential(nn.BatchNorm2d(joined), *block(joined, leaving, net.kernel_up), *mixing)
            )
        self.head = nn.Conv2d(channels[0], out_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.level(z, 0)))

    def level(self, x: Tensor, i: int) -> Tensor:
        if i == len(self.down):
            return x
        corners = {"align_corners": False} if self.upsampling == "bilinear" else {}
        up = F.interpolate(
            self.level(self.down[i](x), i + 1), scale_factor=2, mode=self.upsampling, **corners
        )
        return self.up[i](torch.cat([self.skip[str(i)](x), up], 1) if str(i) in self.skip else up)

    def disturb(self) -> PlainHourglass:
        """Moves every parameter off its initial value, so that scales and shifts are no longer 1 and 0."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        return self


def pairs(net: nn.Module, plain: PlainHourglass) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Every parameter of `net` beside the same parameter of `plain`."""
    found = [(net.head.weight, plain.head.weight), (net.head.bias, plain.head.bias)]

    def add(convolution: nn.Module, norm: nn.Module, theirs: nn.Sequential, at: int) -> None:
        found.append((convolution.weight, theirs[at].weight))
        found.extend([(norm.weight, theirs[at + 1].weight), (norm.bias, theirs[at + 1].bias)])

    for i, (encoder, decoder) in enumerate(zip(net.encoder, net.decoder, strict=True)):
        add(encoder.halve, encoder.halved, plain.down[i], 0)
        add(encoder.refine, encoder.refined, plain.down[i], 3)
        if decoder.skip is not None:
            add(*decoder.skip, plain.skip[str(i)], 0)
        up = plain.up[i]
        if hasattr(decoder.join, "gamma"):
            found += [(decoder.join.gamma, up[0].weight), (decoder.join.weight, up[1].weight)]
        else:
            norm, convolution = decoder.join.norm, decoder.join.convolution
            found += [
                (norm.weight, up[0].weight),
                (norm.bias, up[0].bias),
                (convolution.weight, up[1].weight),
            ]
        found += [(decoder.joined.weight, up[2].weight), (decoder.joined.bias, up[2].bias)]
        if len(decoder.mix):
            add(*decoder.mix, up, 4)
    assert {id(ours) for ours, _ in found} == {id(parameter) for parameter in net.parameters()}
    return found


def copy_weights(net: nn.Module, plain: PlainHourglass) -> None:
    """Gives `net` the parameters of `plain`."""
    with torch.no_grad():
        for ours, theirs in pairs(net, plain):
            ours.copy_(theirs)
