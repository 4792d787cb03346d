"""A small Swin transformer: attention in windows of 8 x 8 tokens, shifted by half a window in every second block.

Liu et al. 2021 (arXiv 2103.14030), section 3.2, at one level and with twice as many hidden as other units, as in SwinIR
(Liang et al. 2021, arXiv 2108.10257). A token is a square of pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.unet import Conv3x3

WINDOW = 8


class SwinModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W), H and W multiples of 8 `patch`; see `dip.nets.Swin`."""

    def __init__(
        self, in_channels: int, out_channels: int, channels: int, blocks: int, heads: int, patch: int,
        size: tuple[int, int],
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch = patch
        self.embed = nn.Conv2d(in_channels, channels, patch, stride=patch)
        tokens = size[0] // patch, size[1] // patch
        self.blocks = nn.Sequential(*(Block(channels, heads, number % 2 == 1, tokens) for number in range(blocks)))
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Conv2d(channels, channels * patch**2, 1)
        self.smooth = Conv3x3(channels, channels, bias=True)
        self.head = nn.Conv2d(channels, out_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.embed(z).permute(0, 2, 3, 1)  # (1, h, w, C)
        x = self.norm(self.blocks(x)).permute(0, 3, 1, 2)  # (1, C, h, w)
        x = F.pixel_shuffle(self.expand(x), self.patch)  # (1, C, H, W)
        image: Tensor = self.head(F.gelu(self.smooth(x)))
        return image


class Block(nn.Module):
    """Attention in windows, then a perceptron of each token, each added to its input: (1, h, w, C) -> (1, h, w, C).

    Args:
        channels: C.
        heads: of the attention.
        shifted: whether the windows are shifted by half their side. A mask then keeps tokens of opposite borders apart.
        size: (h, w), multiples of 8.
    """

    def __init__(self, channels: int, heads: int, shifted: bool, size: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.shift = heads, WINDOW // 2 if shifted else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv, self.project = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros(heads, (2 * WINDOW - 1) ** 2))  # of relative positions
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))
        y, x = torch.arange(WINDOW).repeat_interleave(WINDOW), torch.arange(WINDOW).repeat(WINDOW)
        down, right = (line[:, None] - line + WINDOW - 1 for line in (y, x))
        self.register_buffer("relative", down * (2 * WINDOW - 1) + right, persistent=False)  # (64, 64)
        self.register_buffer("mask", self._mask(size) if shifted else None, persistent=False)
        self.relative: Tensor
        self.mask: Tensor | None

    def _mask(self, size: tuple[int, int]) -> Tensor:
        """(windows, 1, 64, 64): -100 for two tokens of different borders, else 0."""
        wrapped = [(torch.arange(side) >= side - self.shift).float() for side in size]  # after the roll
        border = 2 * wrapped[0][:, None] + wrapped[1]  # (h, w)
        border = windows(border[None, :, :, None])[..., 0]  # (windows, 64)
        return -100.0 * (border[:, None, None, :] != border[:, None, :, None])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        changed: Tensor = self.mlp(self.norm2(x))
        return x + changed

    def _attend(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        x = windows(x.roll((-self.shift, -self.shift), (1, 2)))  # (windows, 64, C)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (windows, heads, 64, C')
        bias = self.bias[:, self.relative]  # (heads, 64, 64)
        bias = bias[None] if self.mask is None else bias + self.mask
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = self.project(attended.transpose(1, 2).flatten(2))  # (windows, 64, C)
        x = x.view(height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels).transpose(1, 2)
        return x.reshape(1, height, width, channels).roll((self.shift, self.shift), (1, 2))


def windows(x: Tensor) -> Tensor:
    """The windows of 8 x 8 tokens, row by row: (1, h, w, C) -> (h w / 64, 64, C)."""
    _, height, width, channels = x.shape
    x = x.reshape(height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels).transpose(1, 2)
    return x.reshape(-1, WINDOW**2, channels)
