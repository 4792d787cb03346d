"""What a terminal takes and shows: flags in any order, the log as plain lines, errors in one line."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from dip.configuration import explain
from dip.configuration.schema import PICTURES
from dip.errors import DipError

# Asked before `errors_in_one_line` sets it for Hydra.
FULL_ERRORS = os.environ.get("HYDRA_FULL_ERROR") == "1"


def overrides() -> list[str]:
    """What was typed behind `train.py`."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


_WITH_VALUE = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p", "--cfg", "-c",
               "--info", "-i", "--experimental-rerun")  # fmt: skip


def flags_first(arguments: Sequence[str]) -> list[str]:
    """What was typed, in the order that Hydra's parser takes: it refuses options=values before and behind a flag."""
    flags: list[str] = []
    options: list[str] = []
    for before, this in zip(["", *arguments], arguments, strict=False):
        option = re.match(r"~|\+{0,2}[A-Za-z]\S*?=", this) and before not in _WITH_VALUE
        (options if option else flags).append(this)
    return flags + options


_FILES = (*PICTURES, "out")


def files_quoted(arguments: Sequence[str]) -> list[str]:
    """What was typed, with quotes around names of files for which Hydra's grammar has no place: `photo (1).png`, `Küche.png`.

    A `~` that the shell has left is the user's folder.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from dip.configuration.commands import text

    parser, sweep = OverridesParser.create(), bool({"-m", "--multirun"} & set(arguments))
    quoted = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in _FILES and value:
            value = os.path.expanduser(value)
            try:
                listed = parser.parse_override(f"{key}={value}").is_sweep_override()
                plain = sweep or not listed or not Path(value).exists()
            except HydraException:
                plain = False
            argument = f"{key}={value if plain else text(value)}"
        quoted.append(argument)
    return quoted


def outlive_requests() -> None:
    """SIGUSR1 asks for a checkpoint; before there is a fit, and after it, that means nothing, and not the end."""
    number = getattr(signal, "SIGUSR1", None)
    if number is None or signal.getsignal(number) is not signal.SIG_DFL:
        return
    with contextlib.suppress(ValueError):  # in a thread, where Python takes no signals
        # Not ignored yet: what a run is started to ignore stays ignored.
        signal.signal(number, lambda *_: None)
        # Python's own handlers end before the process does.
        atexit.register(signal.signal, number, signal.SIG_IGN)


@contextlib.contextmanager
def shown_as_far_as_read() -> Iterator[None]:
    """What is printed may go to a reader that has seen enough, such as `head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Shows a user's error as one line and exits with status 1; our own errors keep their traceback.

    Set HYDRA_FULL_ERROR=1 to see every traceback.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    _show_log()
    # Hydra prints several lines of its own for each error unless it is told to raise it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except (DipError, HydraException, OmegaConfBaseException) as error:
        if FULL_ERRORS:
            raise
        print(f"error: {explain.in_one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning's answer to a second Ctrl-C is 1
            sys.exit(130)
        raise
    except (ValueError, TypeError) as error:
        if FULL_ERRORS or not _raised_in_hydra(error):
            raise
        print(f"error: {explain.hydras(str(error))}", file=sys.stderr)
        sys.exit(1)


def _raised_in_hydra(error: BaseException) -> bool:
    """True where Hydra says by a plain ValueError, or by stumbling, that what was typed has no meaning."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).startswith("hydra.")


def _show_log() -> None:
    """Sends what the program says to the terminal, once, as plain lines."""
    log = logging.getLogger("dip")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)
        log.propagate = False
