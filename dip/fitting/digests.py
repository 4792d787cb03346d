"""SHA-256 of functions, objects, arrays and classes that are given from Python, for the name of the run.

A function counts by its code, its defaults and what it captures, an object by its class and its attributes, a module of
torch also by its parameters and buffers, a class by its own code and that of its bases. What installed packages define
counts by its name.
"""

import functools
import hashlib
import inspect
import io
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dip.errors import DipError

INSTALLED = [Path(folder) for name, folder in sysconfig.get_paths().items() if name.endswith("lib")]
"""The folders of Python's own modules and of installed packages."""

_ATOMS = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)
_CHANGING = {"__doc__", "__dict__", "__weakref__", "__module__", "__firstlineno__", "__static_attributes__", "__annotations__",
             "_abc_impl"}  # fmt: skip
"""Attributes of a class that are not code, or that differ between two processes."""


class _HiddenError(Exception):
    """An object whose content is not visible from Python."""


def digest(thing: Any, option: str) -> str:
    """SHA-256 of the content of a callable, an array or a class, the same in every process.

    Raises:
        DipError: it holds an object whose content cannot be hashed; the message is one line.
    """
    try:
        parts = [part + b"\0" for part in _Walk().parts(thing, deep=True)]
    except _HiddenError as error:
        advice = ", or give a Python file by its path" if option == "operator" else ""
        raise DipError(
            f"{option}: holds {error}, whose content cannot be hashed, so that the run folder has no name; leave "
            f"out=FOLDER away{advice}"
        ) from None
    return hashlib.sha256(b"".join(parts)).hexdigest()


class _Walk:
    """The content of objects as bytes."""

    def __init__(self) -> None:
        self.visited: dict[tuple[int, bool], Any] = {}  # with the objects, so that no address is used twice

    def parts(self, thing: Any, deep: bool) -> Iterator[bytes]:
        """`deep`: the content of all objects; otherwise code and constants, and of other objects the type."""
        if isinstance(thing, _ATOMS):
            yield repr(thing).encode()
        elif isinstance(thing, types.CodeType):
            yield repr((thing.co_code, thing.co_names, thing.co_varnames)).encode()
            yield from self.parts(thing.co_consts, deep)
        elif deep and (found := _of_libraries(thing)) is not None:
            yield from found
        elif isinstance(thing, (tuple, frozenset)):  # equal constants may be one object, so it is not noted as visited
            items = [b"\0".join(self.parts(item, deep)) for item in thing]
            yield f"{type(thing).__qualname__} {len(items)}".encode()
            yield from sorted(items) if isinstance(thing, frozenset) else items  # the order of a set differs
        elif (id(thing), deep) in self.visited:
            yield b"visited"
        else:
            self.visited[id(thing), deep] = thing
            yield type(thing).__qualname__.encode()
            yield from self._content(thing, deep)

    def _content(self, thing: Any, deep: bool) -> Iterator[bytes]:
        captures = getattr(thing, "__closure__", None)
        if isinstance(thing, (types.FunctionType, type)) and _from_library(thing.__module__) and not captures:
            yield f"{thing.__module__}.{thing.__qualname__}".encode()
        elif isinstance(thing, types.FunctionType):
            yield from self._function(thing, deep)
        elif isinstance(thing, type):
            for name, value in sorted(vars(thing).items()):
                if name not in _CHANGING:
                    yield from self.parts((name, value), deep=False)
            yield from self.parts(thing.__bases__, deep=False)
        elif isinstance(thing, (staticmethod, classmethod)):
            yield from self.parts(thing.__func__, deep)
        elif isinstance(thing, property):
            yield from self.parts((thing.fget, thing.fset), deep)
        elif not deep or isinstance(thing, (types.ModuleType, types.BuiltinFunctionType)):
            yield str(getattr(thing, "__qualname__", getattr(thing, "__name__", ""))).encode()
        elif isinstance(thing, list):
            yield from self.parts(tuple(thing), deep)
        elif isinstance(thing, set):
            yield from self.parts(frozenset(thing), deep)
        elif isinstance(thing, Mapping):
            yield from self.parts(tuple(thing.items()), deep)
        elif isinstance(thing, functools.partial):
            yield from self.parts((thing.func, thing.args, thing.keywords), deep)
        elif inspect.ismethod(thing):
            yield from self.parts((thing.__func__, thing.__self__), deep)
        elif hasattr(thing, "__dict__") and not isinstance(thing, (io.IOBase, Iterator)):
            yield from self.parts((type(thing), vars(thing)), deep)
        else:
            raise _HiddenError(f"an object of {type(thing).__module__}.{type(thing).__qualname__}")

    def _function(self, thing: types.FunctionType, deep: bool) -> Iterator[bytes]:
        """The code of a function, what it captures, and the globals that it names; callables of libraries by name."""
        cells = tuple(map(_captured, thing.__closure__ or ()))
        keywords = tuple((thing.__kwdefaults__ or {}).items())
        yield from self.parts((thing.__code__, thing.__defaults__, keywords, cells), deep)
        for name in sorted(_names(thing.__code__) & thing.__globals__.keys()):
            value = thing.__globals__[name]
            library = callable(value) and _from_library(getattr(value, "__module__", None) or thing.__module__)
            yield from self.parts((name, value), deep and not library)


def _from_library(module: str) -> bool:
    """Whether `module` is part of Python, of an installed package or of this program, and not a file of the user's."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    return module.partition(".")[0] == "dip" or any(Path(file).is_relative_to(folder) for folder in INSTALLED)


def _names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a function's code, with those of functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _captured(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _of_libraries(thing: Any) -> list[bytes] | None:
    """The content of an array, a tensor, a generator or a type of torch and NumPy; None for other objects."""
    if type(thing).__module__.partition(".")[0] not in ("torch", "numpy"):
        return None
    import numpy as np
    import torch

    if isinstance(thing, torch.nn.Parameter) or type(thing) is torch.Tensor:
        tensor = thing.detach().cpu()
        array = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        array = array.to_dense() if array.layout != torch.strided else array
        array = array.float() if array.dtype in (torch.bfloat16, torch.float16) else array
        return [str((thing.dtype, tuple(thing.shape))).encode(), array.contiguous().numpy().tobytes()]
    if isinstance(thing, (np.ndarray, np.generic)) and not thing.dtype.hasobject:
        return [str((thing.dtype.str, thing.shape)).encode(), np.ascontiguousarray(thing).tobytes()]
    if isinstance(thing, torch.Generator):
        return [thing.get_state().numpy().tobytes()]
    if isinstance(thing, (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, np.dtype)):
        return [str(thing).encode()]
    return None
