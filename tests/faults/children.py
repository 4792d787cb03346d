"""One run in a process of its own, to be killed: forked from a process that has imported everything, or started anew.

A fork begins to compute in a tenth of a second where `python train.py` takes seconds to import, so that many more
kills fall into the fit, its checkpoints and its end.
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

# What a run imports on its way. No tensor may be computed before a fork: threads do not survive one.
NEEDED = (
    "dip.fitting.fit", "dip.targets.baselines", "dip.report.figures", "dip.targets.operators", "dip.targets.jpeg", "dip.targets.masks",
    "matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "pywt",
    "skimage.data", "skimage.restoration", "skimage.transform", "tifffile", "torch.utils.tensorboard",
)  # fmt: skip

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Hang(Exception):
    """A run did not end in time."""


def get_ready() -> None:
    """Imports in this process what its forks need."""
    for module in NEEDED:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)  # the forks inherit it


class Child:
    """A run of `train.py` with `options`, the leader of a session of its own.

    Args:
        options: as typed.
        console: the file that gets what it prints.
        anew: start it as a user does, not by a fork.
        prepare: called in the new process first.
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
            self.pid, process.returncode = process.pid, 0  # it is waited for here, as a fork is
            return
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal waits until the fork has handlers of its own.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            _be_a_run(options, console, prepare)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.console.read_text(errors="replace")

    def poll(self) -> int | None:
        """Its exit status as `subprocess` gives it, None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send(self, number: int) -> bool:
        """Sends a signal; False where the run has ended already."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, number)
        return True

    def hears(self, number: int) -> bool:
        """Whether it has a handler of its own for a signal."""
        return hears(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit status; a run that does not end in time is killed, and `Hang` raised."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise Hang(f"did not end within {seconds:.0f} s")
            time.sleep(0.005)
        return code

    def survivors(self) -> list[int]:
        """Processes of its session that outlived it."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = place.read_text().rpartition(")")[2].split()[:4]
            except OSError:  # gone meanwhile
                continue
            if int(session) == self.pid and state != "Z":
                found.append(int(place.parent.name))
        return found


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal; False where it is gone."""
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
    except KeyboardInterrupt:  # before the program has an answer of its own: as Python ends a process then
        traceback.print_exc()
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # nothing of the process that was forked may run
