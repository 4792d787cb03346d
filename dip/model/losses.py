"""The losses: each is a dataclass of its options that compares A f(z) with the observation y.

Importing this module does not import torch, so options can be listed and checked at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.options import Options, number, option

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Loss(Options):
    """A function of each entry of A f(z) and y, averaged over the entries, plus a total variation term."""

    name: str = "loss"
    tv: float = option(
        0.0,
        "weight of the image's total variation, summed over pixels and channels: favours flat areas",
        number(">= 0"),
        "1e-7",
    )
    tv_coupling: float = option(
        0.0,
        "weight of the coupling in half-quadratic splitting of the total variation: differences below tv / tv_coupling are "
        "penalised by their square, as noise; 0: none",
        number(">= 0"),
        "1e-5",
    )

    filtered: ClassVar[bool] = True
    """Whether the loss depends on x - y alone, so that a filter of the residual applies."""

    prefix = "loss."

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each entry: `x` = A f(z) and `y`, both (1, C, h, w) -> (1, C, h, w)."""
        raise NotImplementedError

    def __call__(
        self, x: Tensor, y: Tensor, image: Tensor, weights: Tensor | None = None, kernel: Tensor | None = None
    ) -> Tensor:
        """The loss, (): the mean of `entries` plus `tv` times the total variation of `image`, whose observation is `x`.

        Args:
            x: A f(z), (1, C, h, w).
            y: the observation, (1, C, h, w).
            image: f(z), (1, C, H, W).
            weights: of the pixels, (1, 1, h, w) with mean 1, such as a mask of known pixels; None for equal weights.
            kernel: (k, k) with k odd, a filter of the residual x - y; None for no filter.
        """
        if kernel is not None and self.filtered:
            x = y + filtered(x - y, kernel)
        entries = self.entries(x, y)
        loss = (entries if weights is None else weights * entries).mean()
        if not self.tv:
            return loss
        return loss + self.tv * total_variation(image, self.tv / self.tv_coupling if self.tv_coupling else 0.0)

    def unused(self) -> dict[str, str]:
        """Options without effect: the coupling without a total variation."""
        return {} if self.tv else {"tv_coupling": "loss.tv=0"}


@dataclass
class MSE(Loss):
    """Mean squared error, (x - y)^2: the paper's loss, the likelihood of Gaussian noise."""

    name: str = "mse"

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.mse_loss(x, y, reduction="none")


@dataclass
class L1(Loss):
    """Mean absolute error, |x - y|: robust to outliers, the likelihood of Laplacian noise."""

    name: str = "l1"

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs()


@dataclass
class SmoothL1(Loss):
    """Smooth L1: d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2.

    It is beta times smaller than the Huber loss (Huber 1964; this form: Girshick, "Fast R-CNN", 2015).
    """

    name: str = "smooth_l1"
    beta: float = option(
        0.1, "error below which the loss is quadratic, in units of the image's range [0, 1]", number("> 0"), "0.05"
    )

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.smooth_l1_loss(x, y, reduction="none", beta=self.beta)


@dataclass
class Poisson(Loss):
    """Negative log-likelihood of photon counts with mean x + b: r - s + s log(s / r), with r = x + b and s = y + b.

    Constants are added so that its minimum is 0, at x = y (the Kullback-Leibler divergence of Csiszar 1991). The number
    of photons at value 1 would be a factor of the loss, on which the updates of Adam and Muon do not depend. Negative
    x, which some operators give, continue the loss along its tangent at 0. Negative y count as 0.
    """

    name: str = "poisson"
    filtered = False
    background: float = option(
        0.01,
        "b, the background that is added to x and y: bounds the gradient of dark pixels; 1 is white",
        number("> 0"),
        "0.001",
    )

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        y, bounded = y.clamp(min=0), x.clamp(min=0)
        rate, count = bounded + self.background, y + self.background
        tangent = (x - bounded) * (-y / self.background)  # 0 where x >= 0
        return rate - count + count * (count / rate).log() + tangent


LOSSES: dict[str, type[Loss]] = {"mse": MSE, "l1": L1, "smooth_l1": SmoothL1, "poisson": Poisson}


def total_variation(image: Tensor, below: float = 0.0) -> Tensor:
    """Isotropic total variation (Rudin, Osher, Fatemi 1992) of `image` (1, C, H, W), summed over pixels and channels.

    It is the sum of the lengths of the forward differences; the last row and column have none. The subgradient at
    length 0 is 0.

    Half-quadratic splitting (Geman and Yang 1995; for the total variation Wang, Yang, Yin, Zhang 2008) introduces u for
    the differences D x and minimises tv sum |u| + coupling / 2 sum |D x - u|^2 over u too. The minimum over u is known
    (shrinkage), and tv times the result with `below` = tv / coupling is the value there: a length d below that counts
    d^2 / (2 below), a longer one d - below / 2. Its gradient in x is that of the split problem after each exact
    minimisation in u, so that u need not be stored.
    """
    import torch
    from torch.nn import functional

    here = image[..., :-1, :-1]
    gradient = torch.stack([image[..., 1:, :-1] - here, image[..., :-1, 1:] - here])  # (2, 1, C, H - 1, W - 1)
    lengths: Tensor = torch.linalg.vector_norm(gradient, dim=0)
    if below:
        return functional.huber_loss(lengths, torch.zeros_like(lengths), reduction="sum", delta=below) / below
    return lengths.sum()


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Correlate each channel of `image` (1, C, h, w) with `kernel` (k, k), k odd; 0 beyond the border."""
    import torch
    from torch.nn import functional

    planes = image.transpose(0, 1)  # (C, 1, h, w)
    with torch.autocast(image.device.type, enabled=False):
        return functional.conv2d(planes, kernel.to(image)[None, None], padding=len(kernel) // 2).transpose(0, 1)
