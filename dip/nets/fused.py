"""Enable the Triton kernels in a network, after comparing them with the plain layers on the device."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.reflection import reflect
from dip.nets.upsampled import combined

TOLERANCES = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-5, torch.float64: 1e-9}
"""Greatest difference of a result or gradient to that of the plain layers in float64, in its greatest values."""


def fuse(nets: nn.Module, device: torch.device, dtype: torch.dtype) -> bool:
    """Let the layers of `nets` that have a flag `fused` use the kernels; return whether there are any.

    Raises:
        ImportError: Triton is not installed.
        RuntimeError: a kernel computes something else than the plain layers.
    """
    layers = fusible(nets.modules())
    if layers:
        check(device, dtype, {activation_of(module) for module in nets.modules()} - {None})
    for layer in layers:
        layer.fused = True  # type: ignore[assignment]
    return bool(layers)


def fusible(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Those of `modules` for which there are kernels."""
    return [module for module in modules if hasattr(module, "fused")]


def activation_of(module: nn.Module) -> tuple[str, float] | None:
    """The kind and the slope of an activation for `normalization_kernels.activated`; None for other modules."""
    if isinstance(module, nn.LeakyReLU):
        return "leaky", module.negative_slope
    return {nn.ReLU: ("leaky", 0.0), nn.ELU: ("elu", 0.0), nn.SiLU: ("silu", 0.0)}.get(type(module))


def normalised(x: Tensor, norm: nn.BatchNorm2d | nn.BatchNorm3d, activation: nn.Module) -> Tensor:
    """`activation(norm(x))` by the kernels."""
    from dip.nets.normalization_kernels import activated

    kind = activation_of(activation)
    assert kind is not None, "an activation without a kernel"
    return activated(x, norm.weight, norm.bias, norm.eps, *kind)


def check(device: torch.device, dtype: torch.dtype, activations: set[tuple[str, float] | None]) -> None:
    """Compare results and gradients of all kernels with those of the plain layers, on small tensors; see `fuse`."""
    from dip.nets.line_kernels import doubled, reflected
    from dip.nets.normalization_kernels import activated

    plain: dict[str, Callable[[Tensor, float], Tensor]] = {
        "leaky": F.leaky_relu,
        "elu": lambda z, _: F.elu(z),
        "silu": lambda z, _: F.silu(z),
    }
    for channels in (4, 16):  # loads and stores differ
        image, larger, scales = [(1, channels, 4, 5)], [(1, channels, 9, 13)], [(channels,)] * 2
        for kind, slope in filter(None, activations):

            def normalised(x: Tensor, weight: Tensor, bias: Tensor, kind: str = kind, slope: float = slope) -> Tensor:
                return plain[kind](F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-5), slope)

            def kernel(x: Tensor, weight: Tensor, bias: Tensor, kind: str = kind, slope: float = slope) -> Tensor:
                return activated(x, weight, bias, 1e-5, kind, slope)

            _compare(f"normalisation with {kind}", kernel, normalised, device, dtype, larger, scales)
        for pixels, symmetric in ((1, False), (1, True), (2, True)):
            ours, theirs = (partial(way, pixels=pixels, symmetric=symmetric) for way in (reflected, reflect))
            _compare("reflection", ours, theirs, device, dtype, image)
        parts = [(1, channels, 2 + rows, 3 + columns) for rows in (4, 3) for columns in (4, 3)]
        _compare("upsampling", doubled, lambda *parts: combined(parts, bilinear=True), device, dtype, parts)


def _compare(
    name: str, kernel: Callable[..., Tensor], plain: Callable[..., Tensor], device: torch.device, dtype: torch.dtype,
    images: Sequence[tuple[int, ...]], scales: Sequence[tuple[int, ...]] = (),
) -> None:  # fmt: skip
    draw, tolerance = torch.Generator().manual_seed(0), TOLERANCES[dtype]
    precise = torch.promote_types(dtype, torch.float32)
    drawn = [torch.randn(shape, dtype=precise, generator=draw) for shape in (*images, *scales)]
    inputs = [x.to(device, dtype).contiguous(memory_format=torch.channels_last) for x in drawn[: len(images)]]
    inputs += [x.to(device) for x in drawn[len(images) :]]
    with torch.autocast(device.type, enabled=False), torch.enable_grad():
        ours = [x.detach().requires_grad_() for x in inputs]
        theirs = [x.double().requires_grad_() for x in inputs]
        out, expected = kernel(*ours), plain(*theirs)
        probe = torch.randn(out.shape, generator=draw).to(device, dtype)
        found = [out, *torch.autograd.grad((out * probe).sum(), ours)]
        wanted = [expected, *torch.autograd.grad((expected * probe).sum(), theirs)]
    for a, b in zip(found, wanted, strict=True):
        difference = ((a - b).abs().max() / b.abs().max()).item()
        if not difference <= tolerance:
            raise RuntimeError(
                f"the kernel of {name} differs from the plain layers by {difference:.1g} of the greatest value"
            )
