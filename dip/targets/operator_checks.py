"""Checks of a user's operator before the first step, and the scale of an image that its measurements suggest."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dip.errors import DipError
from dip.targets.operators import Operator, adjoint

DIFFERENTIABLE = (
    "must be written with torch functions, without numpy, detach or no_grad, so that it is differentiable, for example "
    "torch.fft.fft2(x) in place of numpy.fft.fft2(x)"
)
"""What is required of an operator, for messages."""

Shape = tuple[int, int, int, int]

LINEAR = 1e-3
"""Largest relative difference of A(u + v) and A(u) + A(v) of an operator that is treated as linear."""

CLOSE = 0.01
"""Relative error of the scale that is found for the image of a nonlinear operator."""


def checked(
    make: Callable[[torch.dtype], Any], y: Tensor, shape: Shape, device: torch.device, dtype: torch.dtype, name: str
) -> Any:
    """The operator for images of `dtype`, or of the other of float32 and float64 if it only accepts that.

    Args:
        make: makes the `dip.targets.user_operator.UserOperator` for a type.
        y: the measurements as they were given.
        shape: of the network's image.
        device: where the operator is tried, on a random image.
        dtype: float32 or float64.
        name: of the operator in messages.

    Raises:
        DipError: the operator raises an exception, its result does not have the shape or kind of `y`, is not finite or
            not on `device`, or does not depend on the image in a differentiable way. The message is one line.
    """
    other = torch.float32 if dtype == torch.float64 else torch.float64
    kinds = (dtype,) if device.type == "mps" else (dtype, other)
    image = smooth(shape, 0, device).requires_grad_()
    first: Exception | None = None
    for kind in kinds:
        operator = make(kind)
        try:
            with torch.enable_grad():
                result = operator.raw(image)
        except DipError:
            raise
        except Exception as error:  # of any type: it is the user's code
            first = first or error
            continue
        _check_result(result, y, image.device, name)  # cuda:0 where `device` is cuda
        _check_gradient(result, image, name)
        return operator
    assert first is not None
    if "numpy" in str(first):  # torch refuses to convert a tensor with a gradient, and advises detach
        raise DipError(f"{name}: {DIFFERENTIABLE}; it uses numpy or scipy on the image") from first
    moved = "" if device.type == "cpu" else f"; its tensors must be on {device}, or set device=cpu"
    shown = f"(1, {shape[1] // 2 if make(dtype).complex else shape[1]}, {shape[2]}, {shape[3]})"
    raise DipError(
        f"{name}: raised {type(first).__name__} for an image {shown} on {device}: {_line(first)}; shape=[C,H,W] sets the "
        f"shape of the image{moved}"
    ) from first


def _check_result(result: Any, y: Tensor, device: torch.device, name: str) -> None:
    if not isinstance(result, Tensor):
        raise DipError(f"{name}: returned {type(result).__name__}, not one tensor; it {DIFFERENTIABLE}")
    if _core(result) != _core(y):
        raise DipError(
            f"{name}: returned the shape {tuple(result.shape)}, y has {tuple(y.shape)}; both must be equal, apart from "
            "leading axes of length 1; shape=[C,H,W] sets the shape of the image"
        )
    if result.device != device:
        raise DipError(
            f"{name}: returned a tensor on {result.device} for an image on {device}; leave it there, or set device=cpu"
        )
    if not (result.is_complex() or result.is_floating_point()):
        raise DipError(f"{name}: returned {result.dtype}, which has no gradient; it must return floating-point numbers")
    if result.is_complex() != y.is_complex():
        kinds = ["complex" if tensor.is_complex() else "real" for tensor in (result, y)]
        raise DipError(
            f"{name}: returned {kinds[0]} numbers, y has {kinds[1]} ones; both must be of one kind, for example by "
            "torch.view_as_real or torch.view_as_complex"
        )
    if not result.isfinite().all():
        raise DipError(f"{name}: returned values that are NaN or infinite for an image in [0, 1]")


def _check_gradient(result: Tensor, image: Tensor, name: str) -> None:
    if not result.requires_grad:
        raise DipError(f"{name}: {DIFFERENTIABLE}; its result has no gradient with respect to the image")
    try:
        (gradient,) = torch.autograd.grad(_norm(result).square(), image, allow_unused=True)
    except Exception as error:
        raise DipError(
            f"{name}: its backward pass raised {type(error).__name__}: {_line(error)}; it {DIFFERENTIABLE}"
        ) from error
    if gradient is None or not gradient.any():
        raise DipError(f"{name}: its result does not depend on the image (the gradient is 0); it {DIFFERENTIABLE}")
    if not gradient.isfinite().all():
        raise DipError(f"{name}: its gradient is NaN or infinite for an image in [0, 1]")


def scale_of(operator: Operator, y: Tensor, shape: Shape, level: float) -> float:
    """The value, in units of the operator's image, whose `level`-fold is about the root mean square of the image.

    For a linear operator this is the root mean square of the first step of least squares from 0, x = t A^T y with the t
    that minimises |A x - y|; A^T y is a gradient. For another one, it is that of the multiple of a random smooth image
    whose observation has the norm of y.

    Args:
        operator: with scale (0, 1).
        y: the scaled measurements, (1, C, h, w), on the device of the fit.
        shape: of the network's image.
    """
    one, two = (smooth(shape, seed, y.device) for seed in (0, 1))
    with torch.no_grad():
        separate, together = operator(one) + operator(two), operator(one + two)
        linear = _norm(together - separate) <= LINEAR * _norm(separate)
    if linear:
        image = adjoint(operator, y, one)
        with torch.no_grad():
            seen = _norm(operator(image))
        step = float(_norm(image) ** 2 / seen**2) * float(_norm(image)) if seen > 0 else 0.0
        if math.isfinite(step) and step > 0:
            return step / math.sqrt(image.numel()) / level
    return _matched(operator, y, two, level)


def _matched(operator: Operator, y: Tensor, image: Tensor, level: float) -> float:
    """The root mean square of c `image`, divided by `level`, where A(c image) has the norm of y; else c = 1."""
    from scipy.optimize import root_scalar

    def excess(logarithm: float) -> float:
        """The logarithm of |A(c image)| / |y|, for the logarithm of c. It is a line for a homogeneous operator."""
        with torch.no_grad():
            return float((_norm(operator(math.exp(min(logarithm, 99)) * image)) / _norm(y)).log())

    with warnings.catch_warnings():  # of SciPy, where the norm of A(c image) does not depend on c
        warnings.simplefilter("ignore", RuntimeWarning)
        found = root_scalar(excess, method="secant", x0=0.0, x1=math.log(2), xtol=CLOSE, maxiter=20)
    factor = math.exp(found.root) if found.converged else 1.0
    return factor * float(image.square().mean().sqrt()) / level


def smooth(shape: Shape, seed: int, device: torch.device) -> Tensor:
    """A random image with smooth variations, values in [0, 1], as photographs have them."""
    draws = torch.Generator().manual_seed(seed)
    height, width = shape[2:]
    found = torch.zeros(shape)
    for side in (2, 8, 32):
        part = torch.rand(*shape[:2], min(side, height), min(side, width), generator=draws)
        found += F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False) / 3
    return found.to(device)


def _core(tensor: Tensor) -> tuple[int, ...]:
    """The shape without leading axes of length 1."""
    return tuple(itertools.dropwhile(lambda length: length == 1, tensor.shape))


def _norm(tensor: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tensor)
    return norm


def _line(error: BaseException) -> str:
    """The message of `error` in one line of at most 160 characters."""
    text = " ".join(str(error).split()) or "no message"
    return text if len(text) <= 160 else text[:157] + "..."
