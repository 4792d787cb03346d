"""Files that hold arrays rather than pictures, recognised by their first bytes. One module reads one kind of file.

Each module has `read(file, file_bytes, key)`, which returns `Contents` and checks the declared size before it reads
values. Exceptions of the libraries pass through: `dip.images.decoding` turns them into one line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from dip.images.containers import npy, npz
from dip.images.stored import Contents, Unreadable

HEAD = 64
"""The number of bytes by which a kind of file is recognised."""

Reader = Callable[[BinaryIO, int, str | None], Contents]


def reader(head: bytes) -> Reader | None:
    """What reads a file that begins with `head`; None if it is of another kind."""
    if head.startswith(npy.MAGIC):
        return npy.read
    if head.startswith(npz.MAGIC):
        return npz.read
    return None


def read(file: BinaryIO, file_bytes: int, key: str | None) -> Contents | None:
    """The array in `file`, or the one called `key`; None if the file is of another kind.

    Raises:
        Unreadable: there is no such array, or several; the values are not numbers; or the file is damaged.
        Exception: of any type, if the file is damaged.
    """
    file.seek(0)
    found = reader(file.read(HEAD))
    if found is None:
        return None
    contents = found(file, file_bytes, key)
    if contents.values.dtype.kind not in "buifc":
        raise Unreadable(f"holds values of type {contents.values.dtype}", "an array of numbers")
    return contents
