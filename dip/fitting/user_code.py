"""The code of a user's classes and functions, as values that can be hashed."""

from __future__ import annotations

import inspect
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

INSTALLED = [Path(folder) for name, folder in sysconfig.get_paths().items() if name.endswith("lib")]
"""The folders of Python's own modules and of installed packages."""


def installed(module: str) -> bool:
    """Whether `module` is part of Python, of an installed package or of this program, and not a file of the user's."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    return module.partition(".")[0] == "dip" or any(Path(file).is_relative_to(folder) for folder in INSTALLED)


def _followed(name: str, module: str) -> bool:
    return name == module or (name in sys.modules and not installed(name))


def code(thing: Any) -> Any:
    """The code of a class or a function as nested tuples, with what it names in files of the user's; no line numbers."""
    return _code(thing, thing.__module__, set())


def _code(thing: Any, module: str, visited: set[int]) -> Any:
    if id(thing) in visited:
        return None
    visited.add(id(thing))
    if isinstance(thing, (staticmethod, classmethod)):
        return _code(thing.__func__, module, visited)
    if isinstance(thing, property):
        return [_code(part, module, visited) for part in (thing.fget, thing.fset) if part]
    if inspect.isclass(thing) and _followed(thing.__module__, module):
        parts = sorted((name, value) for name, value in vars(thing).items() if name not in _CHANGING)
        bases = [_code(base, module, visited) for base in thing.__bases__]
        return [(name, _code(value, module, visited)) for name, value in parts], bases
    if isinstance(thing, types.FunctionType) and _followed(thing.__module__, module):
        named = {name: thing.__globals__[name] for name in names(thing.__code__) if name in thing.__globals__}
        cells = [content(cell) for cell in thing.__closure__ or ()]
        values = [*sorted(named.items()), *enumerate(cells), ("defaults", thing.__defaults__)]
        return _instructions(thing.__code__), [(name, _code(value, module, visited)) for name, value in values]
    if isinstance(thing, (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))):
        visited.discard(id(thing))  # equal constants are one object
        return _constant(thing)
    return getattr(thing, "__qualname__", type(thing).__qualname__)


_CHANGING = {"__doc__", "__dict__", "__weakref__", "__module__", "__firstlineno__", "__annotations__", "_abc_impl"}
"""Attributes of a class that are not code, or that differ between two processes."""


def names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a function's code, with those of functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(names, inner))


def _instructions(code: types.CodeType) -> tuple[Any, ...]:
    return code.co_code, code.co_names, code.co_varnames, tuple(map(_constant, code.co_consts))


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _instructions(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    # The order of a set of strings differs between processes.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def content(cell: types.CellType) -> Any:
    """What a function captures in `cell`; None if nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None
