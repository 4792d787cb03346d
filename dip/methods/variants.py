"""The variants of Deep Image Prior: their options and sources. What they compute is in `dip.methods.extras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.methods.method import Variant
from dip.options import integer, number, option

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dip.methods.extras import Extras


@dataclass
class Guided(Variant):
    """Deep Image Prior on top of BM3D: where the noise is white, BM3D of the observation is the network's input.

    Where its level depends on the brightness, BM3D restores the image after a transform that stabilises it. The restored
    image is a weighted mean of both, corrected for clipped noise (not of speckle); the stronger the noise, the larger the
    weight of BM3D. The perturbation of z is at least the level of the noise, else the network reproduces strong noise at
    once. Where the noise is not white, or the task is not denoising, it is the same as dip.
    """

    name: str = "guided"


@dataclass
class WeightNoise(Variant):
    """Stochastic gradient Langevin dynamics: noise on the weights, and the mean of the outputs after a burn-in.

    Cheng, Gadelha, Maji, Sheldon, "A Bayesian Perspective on the Deep Image Prior", CVPR 2019 (arXiv 1904.07457),
    section 5: after each step of Adam, N(0, (2 lr)^2) is added to the weights of the convolutions. The authors average
    every 50th output, without a moving average before; here every output counts, which is a better mean.
    """

    name: str = "weight_noise"
    noise: float = option(
        2.0, "standard deviation of the noise that each step adds to a weight, in learning rates", number(">= 0"), "1"
    )
    burn_in: int = option(
        7000,
        "steps before the outputs are averaged; until then the moving average with ema is the restored image",
        integer(0),
        "2000",
    )

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        from dip.methods.extras import WeightNoise

        return WeightNoise(seed, self.noise, self.burn_in)

    def warnings_for(self, steps: int) -> list[str]:
        if self.burn_in < steps:
            return []
        return [
            f"method.burn_in={self.burn_in}: a run of {steps} steps ends before the outputs are averaged, so the result is their "
            f"moving average; lower it, for example method.burn_in={steps // 3}"
        ]


@dataclass
class Autoencoding(Variant):
    """Base of the variants whose input z is an image that the network is trained to reproduce."""

    name: str = "autoencoding"

    ignores = ("z", "perturbation")
    input_is_image = True


@dataclass
class SelfGuided(Autoencoding):
    """Self-guided DIP: the input z is trained too, and the network denoises it: alpha |E f(z + eta) - z|^2.

    Liang, Bell, Qu, Wang, Ravishankar, "Analysis of Deep Image Prior and Exploiting Self-Guidance for Image
    Reconstruction", IEEE TCI 2025 (arXiv 2402.04097). z starts as U(0, 1). The expectation is over one eta per step.
    """

    name: str = "self_guided"
    alpha: float = option(2.0, "weight of the mean squared difference between the output and z", number(">= 0"), "1")
    noise: float = option(
        0.5, "standard deviation of the noise that is added to z in each step, in maxima of |z|", number(">= 0"), "0.1"
    )
    z_lr: float = option(0.1, "learning rate of z", number("> 0"), "0.01")

    def first_input(self, start: Tensor, seed: int) -> Tensor:
        import torch

        from dip.seeds import generator

        return torch.rand(start.shape, generator=generator(seed, "z"))

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        from dip.methods.extras import SelfGuided

        return SelfGuided(z, self.alpha, seed, self.noise, self.z_lr)


@dataclass
class Sequential(Autoencoding):
    """Autoencoding sequential DIP: the output replaces the input every few steps, and lambda |f(z) - z|^2 is added.

    Alkhouri, Liang, Bell, Qu, Wang, Ravishankar, "Image Reconstruction via Autoencoding Sequential Deep Image Prior",
    NeurIPS 2024. The first input is A'y, here scaled so that A of it is closest to y.
    """

    name: str = "sequential"
    weight: float = option(
        1.0, "lambda, the weight of the mean squared difference between the output and the input", number(">= 0"), "0.5"
    )
    every: int = option(2, "steps after which the output replaces the input", integer(1), "5")

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        from dip.methods.extras import Sequential

        return Sequential(z, self.weight, self.every)


@dataclass
class RandomProjector(Variant):
    """Deep random projector: z and the normalisations' parameters are trained, the convolutions stay random.

    Li, Wang, Zhuang, Sun, "Deep Random Projector: Accelerated Deep Image Prior", CVPR 2023. The loss is the root of the
    mean squared error plus a total variation; z is normalised by a trained batch normalisation of its own.
    """

    name: str = "random_projector"
    tv: float = option(
        0.45, "weight of the anisotropic total variation, divided by the number of values", number(">= 0"), "0.2"
    )

    trains_z = True

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        from dip.methods.extras import RandomProjector

        return RandomProjector(net, z, self.tv)


@dataclass
class SparseNoise(Variant):
    """Double over-parameterisation: y = A f(z) + g^2 - h^2, where g and h find sparse outliers by gradient descent.

    You, Zhu, Qu, Ma, "Robust Recovery via Implicit Bias of Discrepant Learning Rates for Double
    Over-parameterization", NeurIPS 2020 (arXiv 2006.08857), section 4. For salt-and-pepper noise. The learning rate
    of the network relative to `rate` decides what counts as an outlier.
    """

    name: str = "sparse_noise"
    rate: float = option(
        0.02, "learning rate of g and h, for the loss summed over pixels and channels", number("> 0"), "0.01"
    )

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        from dip.methods.extras import SparseNoise

        return SparseNoise(y, self.rate)
