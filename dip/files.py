"""Atomic writing of files, and reading of files that may be damaged. Imports no torch."""

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.errors import RunError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_WRITABLE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def write_bytes(path: str | Path, data: bytes | memoryview, folders: bool = False) -> None:
    """Write `data` to `path` atomically: after a crash the file holds either the old content or the new.

    The temporary file is created in the same folder, because a rename is atomic only within one file system. It is
    removed if anything fails. With `folders`, the folders in which the file lies are made.

    Raises:
        RunError: the disk is full (with the number of bytes needed), or the folder is not writable.
        OSError: any other failure, unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name != "nt":  # Windows cannot open a folder
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            space = f"{len(memoryview(data))} bytes needed, {shutil.disk_usage(path.parent).free} bytes free"
            raise RunError(f"{path}: cannot be written, {space} ({error.strerror})") from error
        if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
            raise RunError(f"{path}: cannot be written ({error.strerror})") from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` of `text` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, data: Mapping[str, Any]) -> None:
    """`write_bytes` of plain values as strict JSON. NaN and infinities, which JSON lacks, become null."""
    write_text(path, json.dumps(_finite(data), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files that killed processes left in `folder` and below. Call it with the folder locked."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+-[0-9a-f]{8}\.tmp", path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if the file is missing, truncated or holds anything else."""
    try:
        found = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
