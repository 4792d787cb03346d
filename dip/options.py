"""What an option is: a dataclass field that carries its own meaning, legal values and example.

`option` makes the field, the `check_*` functions judge a value. Help texts, error messages and the dataclasses
themselves all come from these fields, so a number or a sentence about an option stands in one place only.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dip.errors import OptionError

log = logging.getLogger("dip")


def option(default: Any, help: str, legal: str, example: str) -> Any:
    """A dataclass field that documents itself.

    Args:
        default: the value when nothing is said; lists are copied for every instance.
        help: what the option does, with its unit.
        legal: the values it can take, to stand behind "must be".
        example: a value, as typed behind `name=`.
    """
    metadata = {"help": help, "legal": legal, "example": example}
    if isinstance(default, list) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: _copied(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _copied(default: Any) -> Any:
    return list(default) if isinstance(default, list) else dataclasses.replace(default)


def reject(owner: object, name: str, prefix: str = "") -> OptionError:
    """The error for the present value of field `name` of dataclass `owner`, in the field's own words."""
    field = next(f for f in dataclasses.fields(owner) if f.name == name)  # type: ignore[arg-type]
    full = f"{prefix}{name}"
    return OptionError(
        full, getattr(owner, name), field.metadata["legal"], f"{full}={field.metadata['example']}"
    )


def pass_over(
    owner: object, *names: str, beside: str, prefix: str = "", instead: Mapping[str, Any] | None = None
) -> None:
    """Gives fields that have no effect `beside` another option one value: one result, one run folder.

    That value is the one in `instead`, else the default. What was asked for in vain is warned of.
    """
    for field in dataclasses.fields(owner):  # type: ignore[arg-type]
        if field.name not in names:
            continue
        usual = field.default_factory() if callable(field.default_factory) else field.default
        neutral = (instead or {}).get(field.name, usual)
        if getattr(owner, field.name) not in (usual, neutral):
            log.warning("%s%s: has no effect with %s", prefix, field.name, beside)
        setattr(owner, field.name, neutral)


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
    """Raises `OptionError` unless field `name` is a finite number in [low, high] (bounds excluded where open).

    It becomes a float: 1 and 1.0 would be two run folders.
    """
    value = getattr(owner, name)
    if value is None and none:
        return
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not fine
        or value < low
        or value > high
        or (open_low and value == low)
        or (open_high and value == high)
    ):
        raise reject(owner, name, prefix)
    setattr(owner, name, float(value))


def check_integer(
    owner: object,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    none: bool = False,
    prefix: str = "",
) -> None:
    """Raises `OptionError` unless field `name` is an integer in [low, high] (or None where `none`)."""
    value = getattr(owner, name)
    if value is None and none:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise reject(owner, name, prefix)


def check_choice(owner: object, name: str, choices: Collection[str], *, prefix: str = "") -> None:
    """Raises `OptionError` unless field `name` is one of `choices`."""
    if getattr(owner, name) not in choices:
        raise reject(owner, name, prefix)


def check_flag(owner: object, name: str, *, prefix: str = "") -> None:
    """Raises `OptionError` unless field `name` is true or false."""
    if not isinstance(getattr(owner, name), bool):
        raise reject(owner, name, prefix)


def check_size(owner: object, name: str) -> None:
    """Raises `OptionError` unless field `name` is None, a side in pixels, or a list of height and width."""
    value = getattr(owner, name)
    pair = isinstance(value, (list, tuple))
    sides = value if pair else [] if value is None else [value]
    legal = all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in sides)
    if not legal or (pair and len(sides) != 2):
        raise reject(owner, name)


def head_comment(path: Path) -> list[str]:
    """The lines of the comment at the head of a file of options, without what only Hydra reads; [] without one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # no such file, or not one of ours
        return []
    comment = [line.strip("# \t") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    return [line for line in comment if line and not line.startswith("@package")]
