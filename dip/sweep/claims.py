"""Claims on devices, so that all sweeps of a user share them: locked files in a folder per user.

The lock (flock) belongs to the open file, which a job's process inherits. The kernel releases it when that process
ends, however it ends and whether or not its sweep still runs. On a system without flock, devices are not claimed.
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dip.errors import RunError


def folder() -> Path:
    """The folder of the claims, created if missing. Raises `RunError` if another user could have created it."""
    path = Path(tempfile.gettempdir()) / f"dip-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise RunError(f"{path}: cannot be created ({error.strerror}); set TMPDIR to your own folder") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RunError(f"{path}: is not your own folder; set TMPDIR to one")
    return path


def take(device: str, share: int, label: str = "") -> list[int] | None:
    """Claim one of `share` places on `device`: the file descriptors that hold the claim, or None if all are taken.

    A job that wants the device alone (`share` 1) locks the device's file exclusively. A job that shares it locks that
    file together with others, and one of `share` further files. Sweeps that differ in `share` exclude each other.
    `label` says for others who holds the place, see `labels`.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return []

    def lock(name: str, how: int) -> int | None:
        descriptor = os.open(_file(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if how == fcntl.LOCK_EX:
            with contextlib.suppress(OSError):  # a full disk; the label is information only
                os.truncate(descriptor, 0)
                os.write(descriptor, label.encode(errors="replace"))
        return descriptor

    whole = lock(device, fcntl.LOCK_EX if share == 1 else fcntl.LOCK_SH)
    if whole is None:
        return None
    if share == 1:
        return [whole]
    for number in range(share):
        place = lock(f"{device}.{number}", fcntl.LOCK_EX)
        if place is not None:
            return [whole, place]
    release([whole])
    return None


def labels(device: str) -> list[str]:
    """The labels of the claims on `device` that are held now, each once."""
    try:
        import fcntl
    except ImportError:
        return []
    found, name = [], re.compile(re.escape(_file(device).name) + r"(\.\d+)?")  # "1", "1.0", but not "10"
    for path in sorted(path for path in folder().iterdir() if name.fullmatch(path.name)):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(file.read().decode(errors="replace"))
    return list(dict.fromkeys(filter(None, found)))


def _file(name: str) -> Path:
    return folder() / name.replace("/", "_")


def release(claim: Iterable[int]) -> None:
    """Close this process's copies of a claim; a job that inherited them keeps it."""
    for descriptor in claim:
        os.close(descriptor)
