"""What tells apart callables and arrays that are given from Python, for the name of the run.

A function is told apart by its code, its defaults and what it captures, an object by its class and its attributes, a
module of torch also by its parameters and buffers. What can hide anything else is refused.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import types
from collections.abc import Iterator, Mapping
from typing import Any

from dip.errors import DipError
from dip.fitting import user_code


class _Hidden(Exception):
    """An object whose content is not visible from Python."""


def digest(thing: Any, option: str) -> str:
    """SHA-256 of the content of a callable or an array, the same in every process.

    Raises:
        DipError: it holds an object whose content cannot be told; the message is one line.
    """
    found = hashlib.sha256()
    try:
        for part in _parts(thing, set()):
            found.update(part + b"\0")
    except _Hidden as error:
        advice = ", or give a Python file by its path" if option == "operator" else ""
        raise DipError(
            f"{option}: holds {error}, whose content cannot be told apart from another one's, so no run folder can be named; "
            f"leave out=FOLDER away{advice}"
        ) from None
    return found.hexdigest()


def _parts(thing: Any, visited: set[int]) -> Iterator[bytes]:
    """The content of `thing` as a sequence of bytes."""
    if isinstance(thing, (bool, int, float, complex, str, bytes, type(None), slice, range)):
        yield repr(thing).encode()
        return
    if type(thing).__module__.partition(".")[0] in ("torch", "numpy") and (found := _plain(thing)) is not None:
        yield from found
        return
    if id(thing) in visited:
        yield b"seen"
        return
    library = isinstance(thing, (types.FunctionType, type)) and user_code.installed(str(thing.__module__))
    if library and not getattr(thing, "__closure__", None):
        yield f"{thing.__module__}.{thing.__qualname__}".encode()
        return
    visited.add(id(thing))
    yield type(thing).__qualname__.encode()
    if isinstance(thing, (list, tuple)):
        for item in thing:
            yield from _parts(item, visited)
    elif isinstance(thing, (set, frozenset)):
        yield from sorted(b"".join(_parts(item, visited)) for item in thing)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _parts(key, visited)
            yield from _parts(value, visited)
    elif isinstance(thing, functools.partial):
        yield from _parts((thing.func, thing.args, thing.keywords), visited)
    elif inspect.ismethod(thing):
        yield from _parts((thing.__func__, thing.__self__), visited)
    elif inspect.isfunction(thing):
        yield from _function(thing, visited)
    elif isinstance(thing, (types.ModuleType, types.BuiltinFunctionType, type)):
        yield str(getattr(thing, "__qualname__", thing.__name__)).encode()
        if isinstance(thing, type):
            yield repr(user_code.code(thing)).encode()
    elif hasattr(thing, "__dict__") and not isinstance(thing, (io.IOBase, Iterator)):
        yield from _parts(type(thing), visited)
        yield from _parts(vars(thing), visited)
    else:
        raise _Hidden(f"an object of {type(thing).__module__}.{type(thing).__qualname__}")


def _function(thing: types.FunctionType, visited: set[int]) -> Iterator[bytes]:
    """The code of a function and the objects that it names, without the modules and functions of other files."""
    yield repr(user_code.code(thing)).encode()
    yield from _parts((thing.__defaults__, thing.__kwdefaults__), visited)
    for cell in thing.__closure__ or ():
        yield from _parts(user_code.content(cell), visited)
    for name in sorted(user_code.names(thing.__code__) & thing.__globals__.keys()):
        yield name.encode()
        value = thing.__globals__[name]
        home = getattr(value, "__module__", None) or thing.__module__
        if home == thing.__module__ or not callable(value) or not user_code.installed(home):
            yield from _parts(value, visited)


def _plain(thing: Any) -> list[bytes] | None:
    """The content of an array, a tensor, a generator or a type of torch and NumPy; None for other objects of theirs."""
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
