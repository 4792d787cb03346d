"""Deep Image Prior: one untrained network is fitted to one image; early stopping restores the image.

>>> import dip
>>> result = dip.restore("astronaut", target="noisy", size=32, steps=20)
>>> result.image.shape
(32, 32, 3)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dip.errors import DipError, DivergedError, ImageError, OptionError, RunError

if TYPE_CHECKING:
    from dip.api import restore as restore
    from dip.api.comparison import compare as compare
    from dip.api.comparison import curves as curves
    from dip.api.restoration import Restoration as Restoration

__all__ = [
    "DipError", "DivergedError", "ImageError", "OptionError", "Restoration", "RunError", "compare", "curves", "restore",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import `restore`, `compare`, `curves`, `Restoration` and `deepinv`, and torch with them, at their first use."""
    if name == "deepinv":
        return importlib.import_module("dip.deepinv")
    if name not in __all__:
        raise AttributeError(f"module 'dip' has no attribute {name!r}")
    from dip.api import restore
    from dip.api.comparison import compare, curves
    from dip.api.restoration import Restoration

    globals().update(restore=restore, compare=compare, curves=curves, Restoration=Restoration)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
