"""Options without effect: they are reset, so that equal results share one run folder, and the user is warned.

A dataclass of options names them in a method `unused() -> dict[str, str]`: field name -> the setting that makes it
so, as typed, such as `{"peak": "target.noise.kind=gaussian"}`.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from dip.options import default_of
from dip.z import Z

Options = TypeVar("Options")
log = logging.getLogger("dip")

CHEAPEST: dict[str, Any] = {"skips": [], "perturbation": 0.0, "z": Z(channels=1)}
"""Options that are not reset to their default, because another value costs less time or memory."""


def reset_unused(options: Options, warn: Callable[[str], object] = log.warning, prefix: str = "") -> Options:
    """A copy of dataclass object `options` in which options without effect have their default (or are in `CHEAPEST`).

    `warn` is called with one line for each option that was set without effect, and with each line that a method
    `warnings()` returns. Nested dataclasses are treated as well; `prefix` stands before the names of the fields, such as
    `target.`.
    """
    options = copy.copy(options)
    unused: dict[str, str] = getattr(options, "unused", dict)()
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        name, value = f"{prefix}{field.name}", getattr(options, field.name)
        if field.name in unused:
            default = default_of(field)
            neutral = copy.deepcopy(CHEAPEST.get(name, default))
            if value not in (default, neutral):
                warn(f"{name}: has no effect with {unused[field.name]}")
            setattr(options, field.name, neutral)
        elif dataclasses.is_dataclass(value):
            setattr(options, field.name, reset_unused(value, warn, f"{name}."))
    for line in getattr(options, "warnings", list)():
        warn(line)
    return options
