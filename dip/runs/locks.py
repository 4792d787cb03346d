"""A lock on a run folder: one process at a time. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import datetime
from pathlib import Path

from dip.errors import RunError
from dip.files import read_json, remove_temporaries
from dip.options import log


class Lock:
    """Context manager that holds a run folder, which is created if absent.

    The operating system releases the lock when the process ends, even by SIGKILL. `.flock` is the locked file; `.lock`
    names the process that holds it. After a crash `.lock` remains: the next process takes the lock over with a warning
    and removes temporary files.

    Raises:
        RunError: another process holds the folder (named by pid, host and start), or the folder cannot be created.
    """

    FILES = (".lock", ".flock")

    def __init__(self, folder: str | Path) -> None:
        from filelock import FileLock  # here, because a finished run is reported without it

        self.folder = Path(folder)
        self.path, self._locked_file = (self.folder / name for name in self.FILES)
        self._lock = FileLock(self._locked_file, timeout=0)

    def __enter__(self) -> Lock:
        from filelock import Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise RunError(f"{self.folder}: in use by {self._holder()}; wait for it to end, or stop it first") from None
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be used as a run folder ({error.strerror}); choose another with out=FOLDER, "
                "for example out=outputs"
            ) from error
        if self.path.exists():
            log.warning("%s: taking over the lock of %s, which was killed", self.folder, self._holder())
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": now}
        with contextlib.suppress(OSError):  # on a full disk the lock still works, but the holder is unnamed
            self.path.write_text(json.dumps(holder))
        remove_temporaries(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        # Both are removed while the lock is held. A process that has opened `.flock` meanwhile notices and is refused.
        for path in (self.path, self._locked_file):
            with contextlib.suppress(OSError):
                path.unlink()
        self._lock.release()

    def _holder(self) -> str:
        found = read_json(self.path) or {}
        if not {"pid", "host", "started"} <= found.keys():
            return "another process"
        return f"process {found['pid']} on {found['host']} (started {found['started']})"
