"""Options as dataclass fields that carry their own help text, legal values and example.

`option` makes the field; the `check_*` functions validate a value. Help texts and error messages are made from these
fields, so that each number and each description has one place.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import logging
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dip.errors import OptionError

log = logging.getLogger("dip")


def option(default: Any, help: str, legal: str, example: str) -> Any:
    """A dataclass field that documents itself.

    Args:
        default: the default value; lists and dataclass objects are copied for every instance.
        help: what the option does, with its unit.
        legal: the legal values, in words that follow "must be".
        example: a value, as typed after `name=`.
    """
    metadata = {"help": help, "legal": legal, "example": example}
    if isinstance(default, list) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default value of `field`."""
    return field.default_factory() if callable(field.default_factory) else field.default


def reject(owner: object, name: str, prefix: str = "") -> OptionError:
    """The error for the present value of field `name` of dataclass `owner`, with the field's legal values."""
    metadata = type(owner).__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    full = f"{prefix}{name}"
    return OptionError(full, getattr(owner, name), metadata["legal"], f"{full}={metadata['example']}")


def check_number(
    owner: object,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    none: bool = False,
    prefix: str = "",
) -> None:
    """Raise `OptionError` unless field `name` is a finite number in [low, high], or None where `none`.

    `open_low` and `open_high` exclude the bounds. The value becomes a float, so that 1 and 1.0 share a run folder.
    """
    value = getattr(owner, name)
    if value is None and none:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    excluded = (open_low and value == low) or (open_high and value == high)
    if not number or not low <= value <= high or excluded:
        raise reject(owner, name, prefix)
    setattr(owner, name, float(value))


def is_integer(value: object) -> bool:
    """True for an integer, except True and False."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_integer(
    owner: object, name: str, *, low: float, high: float = math.inf, none: bool = False, prefix: str = ""
) -> None:
    """Raise `OptionError` unless field `name` is an integer in [low, high], or None where `none`."""
    value = getattr(owner, name)
    if not (is_integer(value) and low <= value <= high) and not (value is None and none):
        raise reject(owner, name, prefix)


def check_choice(owner: object, name: str, choices: Collection[str], *, prefix: str = "") -> None:
    """Raise `OptionError` unless field `name` is one of `choices`."""
    if getattr(owner, name) not in choices:
        raise reject(owner, name, prefix)


def check_flag(owner: object, name: str, *, prefix: str = "") -> None:
    """Raise `OptionError` unless field `name` is true or false."""
    if not isinstance(getattr(owner, name), bool):
        raise reject(owner, name, prefix)


def check_size(owner: object, name: str) -> None:
    """Raise `OptionError` unless field `name` is None, a side in pixels, or a list of height and width."""
    value = getattr(owner, name)
    sides = value if isinstance(value, (list, tuple)) and len(value) == 2 else [value]
    if value is not None and not all(is_integer(side) and side >= 1 for side in sides):
        raise reject(owner, name)


def check_interval(owner: object, name: str) -> None:
    """Raise `OptionError` unless field `name` is None or two finite numbers, the lower first. They become floats."""
    value = getattr(owner, name)
    if value is None:
        return
    ends = list(value) if isinstance(value, (list, tuple)) else []
    if not all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends) or ends != sorted(set(ends))[:2]:
        raise reject(owner, name)
    setattr(owner, name, [float(end) for end in ends])


def head_comment(path: Path) -> list[str]:
    """The lines of the comment at the head of a YAML file, without `@package` lines; [] if there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # the file does not exist or is no text
        return []
    comment = [line.strip("# \t") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    return [line for line in comment if line and not line.startswith("@package")]
