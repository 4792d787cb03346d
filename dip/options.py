"""Options as dataclass fields that carry their own help text, legal values and example.

`option` makes the field, and the base class `Options` checks its value. Help texts, checks and error messages are made
from these fields, so that each number and each description has one place.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from dip.errors import OptionError

log = logging.getLogger("dip")


@dataclasses.dataclass(frozen=True)
class Legal:
    """The legal values of an option."""

    words: str
    """As in "must be <words>"."""
    convert: Callable[[Any], Any]
    """The value in its canonical type, so that 1 and 1.0 share a run folder. Raises ValueError for an illegal value."""


def number(limits: str, *, none: bool = False) -> Legal:
    """A finite number in `limits`, such as ">= 0", "> 0", "[0, 1]" or "(0, 0.5]"; with `none` also None."""
    if limits[0] == ">":
        low, high, ends = float(limits.lstrip(">= ")), math.inf, ("[" if "=" in limits else "(", "]")
    else:
        low, high = map(float, limits[1:-1].split(","))
        ends = (limits[0], limits[-1])

    def convert(value: Any) -> float:
        if not _is_number(value) or not low <= value <= high:
            raise ValueError
        if (ends[0] == "(" and value == low) or (ends[1] == ")" and value == high):
            raise ValueError
        return float(value)

    return _or_null(Legal(f"a number {limits}" if limits[0] == ">" else f"a number in {limits}", convert), none)


def integer(low: int, high: int | None = None, *, none: bool = False) -> Legal:
    """An integer from `low` to `high`; 1e4 becomes 10000; with `none` also None."""

    def convert(value: Any) -> int:
        value = int(value) if isinstance(value, float) and value.is_integer() else value
        if not is_integer(value) or value < low or (high is not None and value > high):
            raise ValueError
        return int(value)

    return _or_null(
        Legal(f"an integer >= {low}" if high is None else f"an integer from {low} to {high}", convert), none
    )


def integers(least: int, most: int, *, none: bool = False) -> Legal:
    """A list of `least` to `most` integers >= 1; with `none` also None."""

    def convert(value: Any) -> list[int]:
        listed = list(value) if isinstance(value, (list, tuple)) else []
        if not least <= len(listed) <= most or not all(is_integer(number) and number >= 1 for number in listed):
            raise ValueError
        return listed

    count = f"{least} to {most}" if least < most else f"{least}"
    return _or_null(Legal(f"a list of {count} integers >= 1", convert), none)


def choice(names: Iterable[str], *, none: bool = False) -> Legal:
    """One of `names`; with `none` also None."""
    names = tuple(names)

    def convert(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return _or_null(Legal(" or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}", convert), none)


def flag(*, none: bool = False) -> Legal:
    """True or False; with `none` also None."""

    def convert(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return _or_null(Legal("true or false", convert), none)


def interval() -> Legal:
    """None, or two finite numbers, the lower first."""

    def convert(value: Any) -> list[float]:
        ends = list(value) if isinstance(value, (list, tuple)) else []
        if len(ends) != 2 or not all(map(_is_number, ends)) or not ends[0] < ends[1]:
            raise ValueError
        return [float(end) for end in ends]

    return _or_null(Legal("[low,high] with low < high", convert), True)


def sides() -> Legal:
    """None, a side in pixels, or a list of height and width."""

    def convert(value: Any) -> Any:
        sides = value if isinstance(value, (list, tuple)) and len(value) == 2 else [value]
        if not all(is_integer(side) and side >= 1 for side in sides):
            raise ValueError
        return value

    return _or_null(Legal("an integer >= 1 or two of them", convert), True)


def text(words: str, *, none: bool = False) -> Legal:
    """A string that is not empty, described by `words`; with `none` also None."""

    def convert(value: Any) -> str | None:
        if not (isinstance(value, str) and value) and not (none and value is None):
            raise ValueError
        return value

    return Legal(words, convert)


def _or_null(legal: Legal, none: bool) -> Legal:
    if not none:
        return legal
    return Legal(f"null or {legal.words}", lambda value: None if value is None else legal.convert(value))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: object) -> bool:
    """True for an integer, except True and False."""
    return isinstance(value, int) and not isinstance(value, bool)


def option(default: Any, help: str, legal: str | Legal, example: str) -> Any:
    """A dataclass field that documents itself, and that `Options` checks.

    Args:
        default: the default value; lists and dataclass objects are copied for every instance.
        help: what the option does, with its unit.
        legal: the legal values; as words that follow "must be", if the class checks them itself.
        example: a value, as typed after `name=`.
    """
    words, convert = (legal, None) if isinstance(legal, str) else (legal.words, legal.convert)
    metadata = {"help": help, "legal": words, "convert": convert, "example": example}
    if isinstance(default, list) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Options:
    """Base of the dataclasses of options: raises `OptionError` for an illegal value, see `option`."""

    prefix: ClassVar[str] = ""
    """What stands before the names of the fields on the command line, such as "net."."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if convert := field.metadata.get("convert"):
                try:
                    setattr(self, field.name, convert(getattr(self, field.name)))
                except ValueError:
                    raise reject(self, field.name) from None


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default value of `field`."""
    return field.default_factory() if callable(field.default_factory) else field.default


def reject(owner: Options, name: str) -> OptionError:
    """The error for the present value of field `name` of `owner`, with the field's legal values."""
    metadata = type(owner).__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    full = f"{owner.prefix}{name}"
    return OptionError(full, getattr(owner, name), metadata["legal"], f"{full}={metadata['example']}")


def head_comment(path: Path) -> list[str]:
    """The lines of the comment at the head of a YAML file, without `@package` lines; [] if there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # the file does not exist or is no text
        return []
    comment = [line.strip("# \t") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    return [line for line in comment if line and not line.startswith("@package")]
