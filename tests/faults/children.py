"""A run in its own process, to be killed: forked from a process that has imported everything, or started as a user does.

A fork starts to compute in a tenth of a second, where `python train.py` imports for seconds. So more kills hit the fit, its
checkpoints and its end.
"""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import ROOT, environment

# What a run imports. No tensor may be computed before a fork, because threads do not survive it.
NEEDED = (
    "dip.fitting.fit", "dip.targets.baselines", "dip.report.figures.run", "dip.targets.operators", "dip.targets.masks",
    "matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "pywt",
    "skimage.data", "skimage.restoration", "skimage.transform", "tifffile", "torch.utils.tensorboard",
)  # fmt: skip

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Hang(Exception):
    """A run did not end in time."""


def get_ready() -> None:
    """Import in this process what its forks need."""
    for module in NEEDED:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)  # the forks inherit it


class Child:
    """A run of `train.py` with `options`, the leader of its own session.

    Args:
        options: the command line arguments.
        console: the file for its output.
        anew: start a new process instead of a fork.
        prepare: called first in the new process.
    """

    def __init__(
        self,
        options: Sequence[str],
        console: Path,
        anew: bool = False,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.console = console
        self._code: int | None = None
        if anew:
            with open(console, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, str(ROOT / "train.py"), *options],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(),
                    start_new_session=True, preexec_fn=prepare,
                )  # fmt: skip
            self.pid, process.returncode = process.pid, 0  # waited for below, like a fork
            return
        sys.stdout.flush()
        sys.stderr.flush()
        # Signals are blocked until the fork has its own handlers.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            _be_a_run(options, console, prepare)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    @property
    def text(self) -> str:
        """Its output."""
        return self.console.read_text(errors="replace")

    def poll(self) -> int | None:
        """Its exit status as in `subprocess`; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send(self, number: int) -> None:
        """Send a signal, unless the run has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit status. A run that does not end in time is killed, and `Hang` raised."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise Hang(f"did not end within {seconds:.0f} s")
            time.sleep(0.005)
        return code

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


def _be_a_run(options: Sequence[str], console: Path, prepare: Callable[[], None] | None) -> None:
    code = 1
    try:
        os.setsid()
        file = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(file, 1)
        os.dup2(file, 2)
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if prepare is not None:
            prepare()
        sys.argv = ["train.py", *options]
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:  # before the program handles it
        traceback.print_exc()
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # nothing of the parent process may run
