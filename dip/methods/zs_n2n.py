"""Zero-Shot Noise2Noise: Mansour and Heckel, CVPR 2023, arXiv 2303.11253. The noise is independent between pixels.

The image is downsampled to two images with the same content and independent noise, and a network of 22 thousand
parameters learns to predict the noise of one from the other.
"""

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from dip.methods.training import Stack, Training

WIDTH, LAYERS = 48, 2

LR, HALVED = 1e-3, [1500]
"""Adam's learning rate, and the step after which it is halved, as in the authors' notebook."""


def training(y: Tensor, seed: int, half: torch.dtype | None) -> Training:
    """Train on `y` (1, C, H, W) and subtract the predicted noise. See `dip.methods.method.Learned.training`."""
    net = Stack(y, WIDTH, LAYERS, seed, half)
    inputs = torch.cat(pair(y))  # (2, C, H // 2, W // 2)
    targets = inputs.flip(0)

    def loss(step: int) -> Tensor:
        """The residual loss (equation 3) plus the consistency loss (4). A mean over both images is half a sum."""
        denoised = inputs - net(inputs)
        consistent = torch.cat(pair(y - net(y)))
        return mse_loss(denoised, targets) + mse_loss(denoised, consistent)

    optimizer = torch.optim.Adam(net.parameters(), LR)
    return Training(net, optimizer, HALVED, loss, lambda: y - net(y))


def pair(image: Tensor) -> tuple[Tensor, Tensor]:
    """(1, C, H, W) -> two (1, C, H // 2, W // 2): the means of the two diagonals of each block of 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in image.shape[-2:])
    corner = [[image[..., row:height:2, column:width:2] for column in (0, 1)] for row in (0, 1)]
    return (corner[0][1] + corner[1][0]) / 2, (corner[0][0] + corner[1][1]) / 2
