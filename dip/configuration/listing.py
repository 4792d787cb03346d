"""Every option by its full name, from the dataclasses of the schema."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from dip.configuration.schema import GROUPS, Config
from dip.options import default_of


def classes() -> list[tuple[str, type[Any]]]:
    """(prefix, dataclass) of everything that has options: ("", Config), ("z.", Z), ("target.", Noisy), ..."""
    choices = [(f"{group}.", kind) for group, kinds in GROUPS.items() for kind in dict.fromkeys(kinds.values())]
    return [found for prefix, kind in [("", Config), *choices] for found in with_nested(prefix, kind)]


def with_nested(prefix: str, kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """(prefix, dataclass) of `kind` and of the dataclasses among its fields, such as `z`; groups are left out."""
    yield prefix, kind
    for field in dataclasses.fields(kind):
        value = default_of(field)
        if dataclasses.is_dataclass(value) and field.name not in GROUPS:
            yield from with_nested(f"{prefix}{field.name}.", type(value))


def option_names() -> list[str]:
    """Every option by its full name, such as `target.sigma`."""
    return [f"{prefix}{field.name}" for prefix, kind in classes() for field in dataclasses.fields(kind)]
