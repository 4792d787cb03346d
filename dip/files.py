"""Files that are written whole or not at all, and read back without trust. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dip.errors import RunError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def digest(source: str | Path | bytes | memoryview) -> str:
    """SHA-256 (64 hex digits) of bytes or the file at a path. Raises OSError when it cannot be read."""
    if isinstance(source, (bytes, memoryview)):
        return hashlib.sha256(source).hexdigest()
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: str | Path, data: bytes | memoryview) -> Iterator[None]:
    """Puts `data` into the file at `path` so that a crash at any instant leaves the old content or the new.

    The body of the `with` runs when the data lie safely on the disk, just before they get their name. The
    temporary file lies beside its target, since a rename is atomic within one file system only; it is removed
    when anything fails. Raises `RunError` when the disk is full (saying how much was needed) or the folder
    cannot be written; any other exception, the body's too, surfaces as it is.
    """
    path, data = Path(path), memoryview(data)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        _write_new(temporary, data)
        yield
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in _FULL:
            room = f"{len(data)} bytes needed, {_free(path.parent)}"
            raise RunError(f"{path}: cannot be written, {room} ({error.strerror})") from error
        if isinstance(error, OSError) and error.errno in _REFUSED:
            raise RunError(f"{path}: cannot be written ({error.strerror})") from error
        raise


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Puts `data` into the file at `path`, whole or not at all, and raises, as `replacing` does."""
    with replacing(path, data):
        pass


def _write_new(path: Path, data: memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        done = 0
        while done < len(data):  # one call may take a part only
            done += os.write(descriptor, data[done:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free} bytes free on the disk"
    except OSError:
        return "the disk does not say how many are free"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` of `text` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, data: Mapping[str, Any]) -> None:
    """`write_bytes` of plain values as strict JSON: NaN and infinities, which JSON lacks, become null."""
    write_text(path, json.dumps(_finite(data), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remove_temporaries(folder: Path) -> None:
    """Removes what killed `write_bytes` left in `folder` and below. Only for who holds the folder's lock."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+-[0-9a-f]{8}\.tmp", path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a strict JSON file; None when the file is missing, cut or holds anything else."""
    try:
        found = json.loads(path.read_bytes(), parse_constant=_refuse) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
