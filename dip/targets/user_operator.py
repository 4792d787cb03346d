"""Any differentiable operator between an image in the user's units and measurements of any shape, as an `Operator`.

Inside a run everything is real and has four axes: the image is (1, C, H, W), and a complex one has 2 C channels, the
real parts before the imaginary parts. Measurements (M,) become (1, 1, 1, M), (h, w) become (1, 1, h, w), more leading
axes are flattened into channels, and complex values become channels in the same way. They are divided by a constant
that makes their root mean square `LEVEL`, as that of an image in [0, 1].
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dip.errors import DipError
from dip.options import log
from dip.targets.observation import Observation
from dip.targets.operator_checks import checked, scale_of
from dip.targets.operators import Operator, no_autocast

LEVEL = 0.5
"""Root mean square of the scaled measurements, and of the image where its scale is estimated."""


class UserOperator(Operator):
    """`call` between the network's image (1, C, H, W) and measurements in four real axes, in the same units as y.

    Args:
        call: a callable, or an object with a method `A`; from an image in the user's units, complex if `complex`.
            Modules are copied, their parameters are constants, and they move to the device of the image.
        unit: of the measurements, by which they are divided.
        complex: whether the image is complex.
        dtype: of the image that `call` gets, float32 or float64 (complex64 or complex128).
    """

    def __init__(self, call: Any, unit: float, complex: bool, dtype: torch.dtype) -> None:
        super().__init__()
        function, owner = separated(call)
        # In a tuple, so that Lightning neither moves nor converts them, and no checkpoint holds them.
        self._held = (function, owner)
        self.unit, self.complex, self.dtype = unit, complex, dtype
        self.scale = (0.0, 1.0)  # the user's values that are 0 and 1 in the network's image
        self.known: Tensor | None = None  # 1 where y was measured, of the shape of y in four axes; 0: the result is 0
        self._device: torch.device | None = None

    def raw(self, x: Tensor) -> Any:
        """What `call` returns for the network's image (1, C, H, W); not checked."""
        function, owner = self._held
        if owner is not None and x.device != self._device:
            owner.to(x.device)
            owner._apply(self._typed)  # type: ignore[no-untyped-call]
            self._device = x.device
        low, high = self.scale
        with no_autocast(x):
            image = x.to(self.dtype) * (high - low) + low  # never `x` itself, which `call` could change
            return function(torch.complex(*image.chunk(2, 1)) if self.complex else image)

    def _typed(self, tensor: Tensor) -> Tensor:
        """A parameter or buffer in the precision of the image; `owner.to(dtype)` would make complex ones real."""
        if tensor.is_complex():
            return tensor.to(self.dtype.to_complex())
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.raw(x)
        made = (four_axes(result) / self.unit).to(x.dtype)
        return made if self.known is None else made * self.known.to(made)


def observation(
    call: Any,
    values: NDArray[Any],
    shape: Sequence[int],
    span: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    complex: bool = False,
    name: str = "operator",
) -> Observation:
    """The observation that measurements make, without a reference.

    Args:
        call: see `UserOperator`.
        values: the measurements, of any shape, real or complex. NaN: missing; then they do not contribute to the loss.
        shape: (C, H, W) of the image.
        span: the bounds of the image in the user's units; None: its values are not bounded, and their scale is
            estimated.
        device: of the fit, on which `call` is tried.
        dtype: of the fit, float32 or float64.
        complex: whether the image is complex. `span` then bounds its real and its imaginary parts.
        name: of the operator in messages.

    Raises:
        DipError: the measurements are not numbers, or the operator does not fit them; the message is one line.
    """
    given = torch.from_numpy(np.array(values, order="C"))  # a copy: a picture's array cannot be written
    given = given if given.is_complex() or given.is_floating_point() else given.to(torch.float64)
    y = four_axes(given.to(torch.complex128 if given.is_complex() else torch.float64))
    known = ~four_axes(given.isnan())
    known = torch.cat([known, known], 1) if given.is_complex() else known  # (1, C, h, w)
    if not known.any() or y.isinf().any():
        what = "infinite values" if known.any() else "no values"
        raise DipError(f"image: the measurements have {what}; NaN marks missing ones, for example y[y == 0] = np.nan")
    missing = int(given.isnan().sum())
    unit = float((y[known] if missing else y).square().mean().sqrt()) / LEVEL
    if unit == 0:
        raise DipError("image: all measurements are 0; give measurements of an image that is not black")
    y = (y / unit).nan_to_num(nan=0.0).float()
    channels, height, width = shape
    inner = (1, channels * (2 if complex else 1), height, width)
    operator: UserOperator = checked(
        lambda kind: UserOperator(call, unit, complex, kind), given, inner, torch.device(device), dtype, name
    )
    if missing:
        log.info("image: %d of %d measurements are NaN, and count as missing", missing, given.numel())
        operator.known = known.to(device, torch.float32)
    if span is None:
        high = scale_of(operator, y.to(device), inner, LEVEL)
        log.info(
            "image: values are not bounded, and %.4g is 1 inside the fit, estimated from y; results have the units of %s; "
            "range=[low,high] bounds them", high, name,
        )  # fmt: skip
        operator.scale = (0.0, high)
    else:
        operator.scale = (float(span[0]), float(span[1]))
    if given.is_complex() and not complex:
        log.info("image: real values, although y is complex; complex=true fits a complex image")
    return Observation(
        y, operator, None, (height, width), bounded=span is not None, scale=operator.scale, complex=complex,
        channels=inner[1], measurements=values, known=known.any(1, keepdim=True).float() if missing else None,
    )  # fmt: skip


def separated(call: Any) -> tuple[Callable[[Tensor], Any], nn.Module | None]:
    """The function that computes A x, and the module that it belongs to, as a copy without trainable parameters.

    Raises:
        DipError: `call` is neither callable nor an object with a method `A`.
    """
    method = "A" if callable(getattr(call, "A", None)) else "__call__"
    owner = call
    if inspect.ismethod(call) and isinstance(call.__self__, nn.Module):
        owner, method = call.__self__, call.__name__
    if isinstance(owner, nn.Module):
        try:
            owner = copy.deepcopy(owner)
        except Exception:  # some modules cannot be copied, such as those that hold results of a computation
            return getattr(owner, method), None
        owner.requires_grad_(False)
        return getattr(owner, method), owner
    if not callable(getattr(call, method, None)):
        raise DipError(
            f"operator: {type(call).__name__} cannot be called; give a function of an image tensor (1, C, H, W), or an "
            "object with a method A, for example operator=lambda x: x[..., ::2, ::2]"
        )
    return (call.A if method == "A" else call), None


def four_axes(values: Tensor) -> Tensor:
    """Measurements of any shape as (1, C, h, w), complex ones with their real before their imaginary parts in C."""
    axes = values.ndim
    shape = (1,) * (4 - axes) + tuple(values.shape) if axes < 4 else (1, -1, *values.shape[-2:])
    values = values.reshape(shape) if values.numel() else values.new_zeros(1, 1, 0, 0)
    return torch.cat([values.real, values.imag], 1) if values.is_complex() else values
