"""Options as dataclass fields that carry their own help text, legal values and example.

`option` makes the field, and the base class `Options` checks its value. Help texts, checks and error messages are made
from these fields, so that each number and each description has one place.
"""

import copy
import dataclasses
import itertools
import logging
import math
import operator
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

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
    words = f"a number {limits}" if limits[0] == ">" else f"a number in {limits}"
    if limits[0] == ">":
        limits = f"{'[' if '=' in limits else '('}{limits.lstrip('>= ')}, inf]"
    low, high = map(float, limits[1:-1].split(","))
    above, below = operator.ge if limits[0] == "[" else operator.gt, operator.le if limits[-1] == "]" else operator.lt
    return _legal(words, lambda value: _is_number(value) and above(value, low) and below(value, high), float, none)


def integer(low: int, high: int | None = None, *, none: bool = False) -> Legal:
    """An integer from `low` to `high`; 1e4 becomes 10000; with `none` also None."""

    def suits(value: Any) -> bool:
        whole = is_integer(value) or (isinstance(value, float) and value.is_integer())
        return whole and low <= value and (high is None or value <= high)

    return _legal(f"an integer >= {low}" if high is None else f"an integer from {low} to {high}", suits, int, none)


def integers(least: int, most: int, *, none: bool = False) -> Legal:
    """A list of `least` to `most` integers >= 1; with `none` also None."""

    def suits(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and least <= len(value) <= most and all(map(_is_count, value))

    count = f"{least} to {most}" if least < most else f"{least}"
    return _legal(f"a list of {count} integers >= 1", suits, list, none)


def choice(names: Iterable[str], *, none: bool = False) -> Legal:
    """One of `names`; with `none` also None."""
    names = tuple(names)
    words = " or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}"
    return _legal(words, names.__contains__, str, none)


def flag(*, none: bool = False) -> Legal:
    """True or False; with `none` also None."""
    return _legal("true or false", lambda value: isinstance(value, bool), bool, none)


def interval() -> Legal:
    """None, or two finite numbers, the lower first."""

    def suits(value: Any) -> bool:
        pair = isinstance(value, (list, tuple)) and len(value) == 2
        return pair and all(map(_is_number, value)) and value[0] < value[1]

    return _legal("[low,high] with low < high", suits, lambda ends: [float(end) for end in ends], True)


def sides() -> Legal:
    """None, a side in pixels, or a list of height and width."""

    def suits(value: Any) -> bool:
        return all(map(_is_count, value if isinstance(value, (list, tuple)) and len(value) == 2 else [value]))

    return _legal("an integer >= 1 or two of them", suits, lambda value: value, True)


def text(words: str, *, none: bool = False) -> Legal:
    """A string that is not empty, described by `words`; with `none` also None."""
    found = _legal(words, lambda value: isinstance(value, str) and value != "", lambda value: value, none)
    return dataclasses.replace(found, words=words)


def _legal(words: str, suits: Callable[[Any], bool], canonical: Callable[[Any], Any], none: bool) -> Legal:
    """The values for which `suits` is true, in the type that `canonical` gives them; with `none` also None."""

    def convert(value: Any) -> Any:
        if none and value is None:
            return None
        if not suits(value):
            raise ValueError
        return canonical(value)

    return Legal(f"null or {words}" if none else words, convert)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: object) -> TypeGuard[int]:
    """True for an integer, except True and False."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return is_integer(value) and value >= 1


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
