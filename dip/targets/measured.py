"""Measurements of an image by an operator that the user gives, as a Python file or from a Python program."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import DipError
from dip.options import flag, option, text
from dip.targets.target import IMAGE_SHAPE, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALLABLE = "operator"
"""What a file calls its operator."""


@dataclasses.dataclass
class Measured(Target):
    """The file of image= holds measurements y of any shape, and target.operator computes them from an image."""

    name: str = "measured"
    prefix = ""  # the short words are the names that users know, see `dip.configuration.aliases`
    operator: str | None = option(
        None,
        "a Python file that you trust, which defines operator: a function of an image tensor (1, C, H, W) in torch, or an "
        "object with such a method A. It is run only if the command line names it; operator=FILE is short",
        text("the path of a Python file", none=True),
        "my_operator.py",
    )
    shape: Any = option(
        None, "channels, height and width of the image; shape=[C,H,W] is short", IMAGE_SHAPE, "[1,256,256]"
    )
    complex: bool = option(False, "the image is complex; complex=true is short", flag(), "true")

    ignores: ClassVar[tuple[str, ...]] = ("size", "axes")
    paths = ("operator",)
    required: ClassVar[tuple[str, ...]] = ("operator", "shape")

    cut = False

    @property
    def raw(self) -> bool:
        return True

    def measured_by(self, values: NDArray[Any], given: Mapping[str, Any]) -> tuple[Any, Sequence[int], bool, str]:
        """See `Target.measured_by`. An `operator` in `given` takes the place of the file."""
        assert self.operator is not None, "checked by check_complete"
        if "operator" in given:
            return given["operator"], self.shape, self.complex, "operator"
        return read_operator(self.operator), self.shape, self.complex, f"operator={self.operator}"


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
