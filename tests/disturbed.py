"""Runs that are killed or damaged, and what must not depend on it."""

import csv
import io
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dip import runs
from dip.runs.checkpoint_files import stored, verified
from tests.conftest import ROOT, Fit, environment

UNEQUAL = ("seconds", "step_seconds", "peak_memory_bytes", "device", "config.out", "config.overwrite")
"""Entries of a result that may differ between two equal runs."""


# Runs are forked from a process that has imported torch, Lightning and matplotlib, which takes longer than the runs.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__, "dip.__main__", "dip.fitting.fit", "dip.report.figures.run", "hydra"])


def train(
    options: Sequence[str], console: Path, variables: dict[str, str], prepare: Callable[[], object] | None
) -> None:
    """Run `train.py` with `options` in this process, which is new. See `Child`."""
    os.setsid()
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None  # asks TMPDIR again
    with open(console, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if prepare is not None:
        prepare()
    sys.argv = [str(ROOT / "train.py"), *options]
    sys.orig_argv = [sys.executable, *sys.argv]
    runpy.run_path(sys.argv[0], run_name="__main__")


class Child(SERVER.Process):  # type: ignore[name-defined]
    """A run of `train.py` with `options` in its own process and session; `console` gets its output.

    `prepare`, which must be picklable, is called first in the new process. A sweep is not `daemon`: it starts others.
    """

    def __init__(
        self, options: Sequence[str], console: Path, prepare: Callable[[], object] | None = None, daemon: bool = True
    ) -> None:
        super().__init__(target=train, args=(options, console, environment(), prepare), daemon=daemon)
        self.console = console
        console.write_text("")
        self.start()

    @property
    def output(self) -> str:
        return self.console.read_text(errors="replace")

    def send_signal(self, number: int) -> None:
        if self.exitcode is None:
            os.kill(self.pid, number)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` is true or the run has ended; two minutes at most."""
        deadline = time.monotonic() + 120
        while not condition() and self.exitcode is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError("nothing happened within two minutes")
            time.sleep(0.005)

    def ended(self, seconds: float = 180) -> int:
        """The exit status. A run that does not end in time is killed, and `TimeoutError` raised."""
        self.join(seconds)
        if self.exitcode is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError(f"did not end within {seconds:.0f} s")
        return self.exitcode


class Killed(BaseException):
    """Ends a run inside this process."""


def killed(
    monkeypatch: pytest.MonkeyPatch, fit: Callable[..., object], owner: Any, method: str, at: int, *options: str
) -> None:
    """Run `fit(*options)` and end it at the `at`-th call of `owner.method`."""
    calls, real = 0, getattr(owner, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, call)
        with pytest.raises(Killed):
            fit(*options)


def ends_the_same(
    monkeypatch: pytest.MonkeyPatch, fit: Fit, whole: Path, owner: type, method: str, at: int, *options: str
) -> tuple[Path, dict[str, Any]]:
    """Check that `fit(*options)`, ended at the `at`-th call of `owner.method` and resumed, equals a run in `whole`.

    Returns the folder and the result of the resumed run.
    """
    expected, _ = fit(*options, f"out={whole}")
    killed(monkeypatch, fit, owner, method, at, *options)
    resumed, result = fit(*options)
    assert contents(resumed) == contents(expected)
    assert numbers(resumed) == numbers(expected)
    return resumed, result


def only(folder: Path) -> Path:
    """The one run folder in `folder`."""
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; of a run folder those of its records."""
    with open(path / "metrics.csv" if path.is_dir() else path, newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, Any]:
    """What must be equal, byte for byte, whether a run was interrupted or not."""
    rows = [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows_of(folder)]
    pictures = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    return {"rows": rows, "losses": (folder / "losses.npy").read_bytes(), **pictures}


def numbers(folder: Path) -> dict[str, Any]:
    """The entries of a result that must be equal."""
    result = runs.flat(runs.read_result(folder) or {})
    return {name: value for name, value in result.items() if name not in UNEQUAL}


def evidence(folder: Path) -> dict[str, Any]:
    """`contents`, `numbers`, and the tensors of the newest checkpoint: weights, average, moments, the rule's state."""
    found = {**contents(folder), **numbers(folder)}
    for path in stored(folder / "checkpoints")[:1]:
        found |= _tensors(torch.load(io.BytesIO(verified(path)[0]), weights_only=True))
    return found


def _tensors(value: Any, name: str = "checkpoint") -> dict[str, bytes]:
    if isinstance(value, torch.Tensor):
        return {name: value.reshape(-1).clone().view(torch.uint8).numpy().tobytes()}
    pairs = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, (list, tuple)) else ())
    return {place: data for key, item in pairs for place, data in _tensors(item, f"{name}.{key}").items()}


def differences(one: Path, other: Path) -> list[str]:
    """The names of what differs between the `evidence` of two run folders."""
    a, b = evidence(one), evidence(other)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def litter(folder: Path) -> list[str]:
    """Temporary files and the lock, which a run must remove when it ends."""
    return [str(path.relative_to(folder)) for path in [*folder.rglob(".*.tmp"), *folder.glob(".*lock")]]
