"""A network that is given from Python: a module, or a function that builds one."""

import contextlib
import copy
import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from dip.configuration.schema import Config
from dip.errors import DipError, OptionError
from dip.fitting.network_input import networks
from dip.fitting.own_classes import Plugin
from dip.hardware.out_of_memory import out_of_memory
from dip.methods import Variant
from dip.nets import Net, Size, Skips
from dip.options import log
from dip.targets import Observation

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""The input of a network that is given is padded to multiples of the first of these numbers with which it works."""


@dataclass
class OwnNet(Plugin, Net):
    """A network that was given: a module, or a function (in_channels, out_channels[, size]) that returns one."""

    digest: str = ""

    ignores = ("skips",)
    multiple = 1  # of it are the sides of the input; set by `tried`

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """See `Net.build`. A module that was given is copied, with its weights."""
        if isinstance(self.given, nn.Module):
            return copy.deepcopy(self.given)
        found = arguments(self.given)
        needed = [one for one in found.values() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
        if "size" in found:
            net = self.given(in_channels, out_channels, size=size)
        else:
            net = self.given(in_channels, out_channels, *([size] if len(needed) >= 3 else []))
        if not isinstance(net, nn.Module):
            raise DipError(f"net={self.name}: returned {kind(net)}; must return a torch.nn.Module")
        return net

    def padded(self, height: int, width: int) -> Size:
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple

    def tried(self, config: Config, seen: Observation, device: torch.device, dtype: torch.dtype) -> Self:
        """A copy with the first `multiple` with which the network works on the image.

        Raises:
            DipError: it works with none, or what it returns is no image; the message is one line.
        """
        if config.ensemble > 1 and isinstance(self.given, nn.Module):
            legal = "1 where net= is a module, since all networks would start from the same weights; give a function"
            raise OptionError("ensemble", config.ensemble, legal, "net=lambda inputs, outputs: MyNet(inputs, outputs)")
        why = ""
        bound, sizes = copy.copy(self), set[Size]()
        for bound.multiple in MULTIPLES:
            size = bound.padded(*seen.size)
            if size in sizes:
                continue
            sizes.add(size)
            (net,), z = networks(dataclasses.replace(config, net=bound), seen, size, [config.seed], device)
            if not any(parameter.requires_grad for parameter in net.parameters()):
                raise DipError(f"net={self.name}: has no parameters to fit")
            if isinstance(config.method, Variant):
                config.method.extras(net, z, seen.y, config.seed)  # some methods need certain layers
            wanted = (1, seen.shape[0], *size)
            with torch.enable_grad():
                try:
                    image: Any = net.to(device, dtype)(z.to(device, dtype))
                except Exception as error:
                    if out_of_memory(error):
                        raise
                    why = why or f"fails for z of {tuple(z.shape)} (channels: z.channels): {reason(error)}"
                    continue
            if not isinstance(image, Tensor):
                raise DipError(f"net={self.name}: its module returned {kind(image)}; must return an image tensor")
            if tuple(image.shape) != wanted:
                why = why or f"returned {tuple(image.shape)} for z of {tuple(z.shape)}; must return {wanted}"
                continue
            self._check(image, seen.bounded)
            if bound.multiple > 1:
                log.info("net=%s: z is padded to %d x %d, multiples of %d", self.name, *size, bound.multiple)
            return bound
        raise DipError(f"net={self.name}: {why}")

    def _check(self, image: Tensor, bounded: bool) -> None:
        if not image.requires_grad:
            raise DipError(f"net={self.name}: its output has no gradient; leave out detach() and no_grad()")
        low, high = image.detach().float().aminmax()
        if not (low.isfinite() and high.isfinite()):
            raise DipError(f"net={self.name}: returned values that are NaN or infinite before the first step")
        if bounded and (low < 0 or high > 1):
            log.info(
                "net=%s: values from %.3g to %.3g before the first step; the image is limited to [0, 1], so a sigmoid as "
                "the last layer may help", self.name, low, high,
            )  # fmt: skip


def arguments(function: Any) -> Mapping[str, inspect.Parameter]:
    """The arguments of a function or a class by name; {} if it does not tell."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions of C have none
        return {}


def takes(function: Any, *counts: int, **named: Any) -> bool:
    """Whether `function` can be called with one of these numbers of arguments, and `named`; True if it does not tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return callable(function)
    for count in counts:
        with contextlib.suppress(TypeError):
            signature.bind(*range(count), **named)
            return True
    return False


def kind(value: object) -> str:
    """What `value` is, as text."""
    return f"a {type(value).__name__}"


def reason(error: Exception) -> str:
    """The error in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
