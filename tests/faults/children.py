"""A run of `train.py` in its own process, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import ROOT, environment


class Hang(Exception):
    """A run did not end in time."""


class Child:
    """A run of `train.py` with `options`, the leader of its own session.

    Args:
        options: the command line arguments.
        console: the file for its output.
        prepare: called first in the new process.
    """

    def __init__(self, options: Sequence[str], console: Path, prepare: Callable[[], None] | None = None) -> None:
        self.console = console
        with open(console, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "train.py"), *options],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(),
                start_new_session=True, preexec_fn=prepare,
            )  # fmt: skip
        self.pid = self._process.pid

    @property
    def text(self) -> str:
        """Its output."""
        return self.console.read_text(errors="replace")

    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def wait_for(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait until `condition` is true or the run has ended."""
        deadline = time.monotonic() + seconds
        while not condition() and self.running():
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise Hang(f"nothing happened within {seconds:.0f} s")
            time.sleep(0.005)

    def send(self, number: int) -> None:
        """Send a signal, unless the run has ended."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit status. A run that does not end in time is killed, and `Hang` raised."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            raise Hang(f"did not end within {seconds:.0f} s") from None

    def survivors(self) -> list[int]:
        """Processes of its session that still run."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = place.read_text().rpartition(")")[2].split()[:4]
            except OSError:  # the process has ended meanwhile
                continue
            if int(session) == self.pid and state != "Z":
                found.append(int(place.parent.name))
        return found


def handles(pid: int, number: int) -> bool:
    """True if a process has its own handler for a signal; False if it does not exist."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)
