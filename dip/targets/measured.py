"""Measurements of an image by an operator that the user gives, as a Python file or from a Python program."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import DipError
from dip.options import flag, is_integer, option, reject, text
from dip.targets.target import Target

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from dip.targets.observation import Observation

CALLABLE = "operator"
"""What a file calls its operator."""


@dataclasses.dataclass
class Measured(Target):
    """The file of image= holds measurements y of any shape, and target.operator computes them from an image."""

    name: str = "measured"
    operator: str | None = option(
        None,
        "a Python file that you trust, which defines operator: a function of an image tensor (1, C, H, W) in torch, or an "
        "object with such a method A. It is run only if the command line names it; operator=FILE is short",
        text("the path of a Python file", none=True),
        "my_operator.py",
    )
    shape: Any = option(
        None, "channels, height and width of the image; shape=[C,H,W] is short", "three integers >= 1", "[1,256,256]"
    )
    complex: bool = option(False, "the image is complex; complex=true is short", flag(), "true")

    ignores: ClassVar[tuple[str, ...]] = ("size", "axes")

    def __post_init__(self) -> None:
        if self.shape is not None:
            if not _legal(self.shape):
                raise reject(self, "shape")
            self.shape = [int(length) for length in self.shape]
        super().__post_init__()

    @property
    def raw(self) -> bool:
        return True

    def check_complete(self) -> None:
        """See `Target.check_complete`."""
        for name in ("operator", "shape"):
            if getattr(self, name) is None:
                raise reject(self, name)

    def files(self) -> dict[str, str]:
        """The operator's file."""
        return {} if self.operator is None else {"operator": self.operator}

    def observe_raw(
        self,
        values: NDArray[Any],
        span: Sequence[float] | None,
        device: torch.device,
        dtype: torch.dtype,
        given: Mapping[str, Any],
    ) -> Observation:
        """See `Target.observe_raw`. An `operator` in `given` takes the place of the file."""
        from dip.targets.user_operator import observation

        assert self.operator is not None, "checked by check_complete"
        name = "operator" if "operator" in given else f"operator={self.operator}"
        call = given["operator"] if "operator" in given else read_operator(self.operator)
        return observation(call, values, self.shape, span, device, dtype, self.complex, name)


def read_operator(path: str) -> Any:
    """Run a Python file and return what it calls `operator`. Modules beside the file can be imported in it.

    Raises:
        DipError: the file is not Python, raises an exception, or defines no callable `operator`.
    """
    file = Path(path)
    example = "for example def operator(x): return x[..., ::2, ::2]"
    spec = importlib.util.spec_from_file_location(f"_dip_operator_{file.stem}", file)
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise DipError(f"operator={path}: must be a Python file (.py) that defines {CALLABLE}, {example}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.absolute().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # of any type: it is the user's code
        lines = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        text = " ".join(str(error).split())
        raise DipError(f"operator={path}: cannot be run: {type(error).__name__}: {text}{lines}") from error
    finally:
        sys.path.remove(str(file.absolute().parent))
    found = getattr(module, CALLABLE, None)
    if not callable(found) and not callable(getattr(found, "A", None)):
        raise DipError(f"operator={path}: defines no callable named {CALLABLE}, {example}")
    return found


def _legal(shape: object) -> bool:
    sides = list(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else []
    return len(sides) == 3 and all(is_integer(side) and side >= 1 for side in sides)
