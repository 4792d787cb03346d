"""Shared fixtures: tiny options, `train.py` as a subprocess or in this process, one thread."""

import atexit
import copy
import functools
import gc
import logging
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hypothesis import settings
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dip.configuration import composition, schema

ROOT = Path(__file__).parent.parent

# A problem of a few milliseconds per step. A test gives the options that matter to it.
TINY = ("size=32", "net.depth=3", "net.channels=8", "skips=[2]", "logger=csv", "precision=fp32", "baselines=false")

# A shell's background job ignores these signals, and the runs that the tests interrupt would inherit that.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# The same examples in each run, so that no test fails at random. Others: --hypothesis-profile=default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

composition.register()

atexit.register(gc.unfreeze)  # of `spared_objects`: some libraries list the objects that live at the end

Train = Callable[..., subprocess.CompletedProcess[str]]
Main = Callable[..., tuple[int, str, str]]
Fit = Callable[..., tuple[Path, dict[str, Any]]]


def pytest_configure() -> None:
    """In pytest's processes `fsync` does not wait for the disk, which takes a tenth of a tiny run. Runs in others wait."""
    os.fsync = os.fstat  # an error, too, for a closed file


def environment() -> dict[str, str]:
    """This process's environment with one thread: exactness is promised for one number of threads."""
    # `errors_in_one_line`, called in a test, sets this variable.
    kept = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def python(
    *words: object, cwd: Path = ROOT, timeout: float = 600, **variables: str
) -> subprocess.CompletedProcess[str]:
    """`python *words` with one thread and these environment variables; its output is text."""
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd,
        env=environment() | variables,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def own_claims(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Every test uses its own temporary folder for the lock files of devices and threads."""
    folder = str(tmp_path_factory.mktemp("claims"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", None)  # asks TMPDIR again
    yield
    monkeypatch.undo()
    tempfile.tempdir = None


@pytest.fixture(autouse=True)
def spared_objects():
    """Hide the objects of earlier tests and imports from the garbage collector.

    `dip.restore` runs it at its end, which would take half of the time of a tiny fit.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def untouched_log():
    """Reset our logger before each test, because `dip.configuration.cli` may have redirected it in an earlier one."""
    log = logging.getLogger("dip")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.NOTSET)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, which take longer than a tiny fit; others test the figures."""
    monkeypatch.setattr("dip.report.figures.run.draw", lambda folder: None)


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """`train("steps=20")` runs `python train.py` on a tiny problem, with its runs in `tmp_path / "outputs"`."""

    def run(*arguments: str, tiny: bool = True) -> subprocess.CompletedProcess[str]:
        given = [*(TINY if tiny else ()), f"out={tmp_path / 'outputs'}", *arguments]
        return python(ROOT / "train.py", *given, cwd=tmp_path, timeout=120)

    return run


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """`main("steps=0")` runs `train.py` with just these arguments in this process: (exit status, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *arguments])
        status: Any = 0
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as error:
            status = error.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """`fit("steps=20")` does the same in this process, seconds faster: (run folder, result)."""
    from dip.fitting import experiment

    def run(*arguments: str, tiny: bool = True) -> tuple[Path, dict[str, Any]]:
        given = [*(TINY if tiny else ()), f"out={tmp_path / 'outputs'}", *arguments]
        result = experiment.run(composed(*given), given, progress=False)
        return Path(result["folder"]), result

    return run


def composed(*overrides: str) -> schema.Config:
    """The options that `train.py` would run with.

    Composing takes a third of a second, setting values a hundredth. So Hydra composes each choice of files once, and
    the values are set in a copy as Hydra sets them. What cannot be set so is left to Hydra, with its messages.
    """
    try:
        chosen = [word for word in overrides if not _sets_a_value(word)]
        found = copy.deepcopy(_by_hydra(*chosen))
        for word in (word for word in overrides if word not in chosen):
            OmegaConf.update(found, _parsed(word).key_or_group, _parsed(word).value())
    except (HydraException, OmegaConfBaseException):
        found = _by_hydra(*overrides)
    return composition.read(found, overrides)


def _sets_a_value(word: str) -> bool:
    """Whether the word is of the form `option=value`, and neither chooses a file of `conf/` nor is a sweep."""
    match = re.match(r"([a-z_][\w.]*)=", word)
    if match is None or word.startswith("hydra") or (ROOT / "conf" / match[1]).is_dir():
        return False
    return not _parsed(word).is_sweep_override()


@functools.cache
def _parsed(word: str) -> Override:
    return OverridesParser.create().parse_override(word)


@functools.lru_cache(maxsize=32)
def _by_hydra(*overrides: str) -> DictConfig:
    # Hydra's own launcher: those of `dip.sweep` are registered by the entry point only.
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra.compose("config", ["hydra/launcher=basic", *overrides])
