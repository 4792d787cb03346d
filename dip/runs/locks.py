"""One process at a time in a run folder. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
from datetime import datetime
from pathlib import Path
from types import TracebackType

from dip.errors import RunError
from dip.files import remove_temporaries

try:
    import fcntl
except ImportError:  # a system without flock: runs work, unguarded, and say so
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("dip")

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Lock:
    """Holds a run folder, made if absent, for one process at a time::

        with Lock(folder):
            ...

    The kernel frees the lock when its process ends, however it ends. What a killed process left behind (its
    lock, its temporary files) is taken over with a warning. Raises `RunError` when another process holds the
    folder, naming its pid, host and start, or when the folder cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / ".lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Lock:
        assert self._descriptor is None, "a Lock is entered once"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._acquire()
        except OSError as error:
            hint = "give another folder, for example out=outputs"
            raise RunError(f"{self.folder}: cannot hold a run ({error.strerror}); {hint}") from error
        stale = os.pread(self._descriptor, 4096, 0)
        if stale:
            log.warning("%s: taking over from %s, which was killed", self.folder, _holder(stale))
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": now}
        with contextlib.suppress(
            OSError
        ):  # on a full disk the lock holds too, it only cannot say whose it is
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(mine).encode(), 0)
        remove_temporaries(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._descriptor is not None, "a Lock is left once"
        # Removed while still held: whoever opened the file before sees in `_acquire` that it is gone.
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        os.close(self._descriptor)
        self._descriptor = None

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _flock(descriptor):
                    holder = _holder(os.pread(descriptor, 4096, 0))
                    raise RunError(f"{self.folder}: {holder} is at work here; wait for it or stop it first")
                # The holder may have removed the file between our opening and locking it: no lock then.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                        return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _flock(descriptor: int) -> bool:
    """Whether `descriptor` is ours now. True, with a warning, where the file system knows no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    log.warning("no file locks here: a second process in this run folder would not be noticed")
    return True


def _holder(content: bytes) -> str:
    try:
        found = json.loads(content)
        return f"process {found['pid']} on {found['host']} (started {found['started']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
