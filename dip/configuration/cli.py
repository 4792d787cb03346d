"""The command line: arguments in any order, file names of any kind, the log as plain lines, errors in one line."""

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
from typing import NoReturn

from dip.configuration.explain import in_one_line
from dip.configuration.listing import option_names
from dip.configuration.schema import PICTURES
from dip.errors import DipError

# Read before `errors_in_one_line` sets it for Hydra.
FULL_ERRORS = os.environ.get("HYDRA_FULL_ERROR") == "1"


def flags_first(arguments: Sequence[str]) -> list[str]:
    """`arguments` with the flags before the options: Hydra's parser refuses options before and after a flag."""
    from hydra._internal.utils import get_args_parser

    options: list[str] = get_args_parser().parse_known_intermixed_args(arguments)[0].overrides
    return [word for word in arguments if word not in options] + options


def adapted(arguments: Sequence[str]) -> list[str]:
    """`arguments` in Hydra's grammar.

    File names that are no values there get quotes: `photo (1).png`, `Küche.png`. A `~` that the shell did not expand is
    the user's home folder. As in Python, `size=(256,256)` is a list and `steps=1e4` an integer.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from dip.configuration.commands import text

    parser, words = OverridesParser.create(), []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in (*PICTURES, "out") and value:
            value = os.path.expanduser(value)
            try:
                # a,b.png is the name of a file, or two values.
                plain = not (parser.parse_override(f"{key}={value}").is_sweep_override() and Path(value).exists())
            except HydraException:
                plain = False
            argument = f"{key}={value if plain else text(value)}"
        elif re.fullmatch(r"\([\d\s,.]+\)", value):
            argument = f"{key}=[{value[1:-1].strip().rstrip(',')}]"
        elif re.fullmatch(r"\d+(\.\d*)?e\+?\d", value, re.IGNORECASE) and float(value).is_integer():
            argument = f"{key}={float(value):.0f}"
        words.append(argument)
    return words


def refuse_unknown_flags(arguments: Sequence[str]) -> None:
    """Raise `DipError` for what is neither a flag of Hydra nor an option, such as `--image=photo.png`."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise DipError(f"{message}; options are written name=value, for example image=photo.png")

    parser.error = refuse  # type: ignore[method-assign]
    for word in parser.parse_known_intermixed_args(arguments)[1]:
        name, _, value = word.lstrip("-").partition("=")
        if name in option_names():
            refuse(f"{word}: an option is written without dashes, {name}={value or '...'}")
        refuse(f"{word}: there is no such flag")


def ignore_checkpoint_requests() -> None:
    """Ignore SIGUSR1, which asks a fit for a checkpoint, before and after the fit. By default it ends the process."""
    number = getattr(signal, "SIGUSR1", None)
    if number is None or signal.getsignal(number) is not signal.SIG_DFL:
        return
    with contextlib.suppress(ValueError):  # in a thread Python installs no handlers
        # A handler, not SIG_IGN: a child process would inherit that, and a fit keeps ignored signals ignored.
        signal.signal(number, lambda *_: None)
        # Python removes its handlers before the process ends.
        atexit.register(signal.signal, number, signal.SIG_IGN)


@contextlib.contextmanager
def closed_pipe_ignored() -> Iterator[None]:
    """End the output without an error if its reader, such as `head`, has closed the pipe."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print an error that the user caused as one line and exit with status 1. Other errors keep their traceback.

    HYDRA_FULL_ERROR=1 shows every traceback.
    """
    log = logging.getLogger("dip")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())  # plain lines
        log.setLevel(logging.INFO)
        log.propagate = False
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors, instead of printing them
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning exits with 1 at a second Ctrl-C
            sys.exit(130)
        raise
    except Exception as error:
        if FULL_ERRORS or not caused_by_user(error):
            raise
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        sys.exit(1)


def caused_by_user(error: BaseException) -> bool:
    """True for an error that an illegal command line or configuration causes, False for a bug."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    # Hydra answers some words with a ValueError or TypeError; an OSError is one of the folder `out`, which it creates.
    if isinstance(error, (ValueError, TypeError, OSError)):
        modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        raising = [name for name in modules if not (isinstance(error, OSError) and name in ("os", "pathlib"))]
        if raising and raising[-1].startswith("hydra."):
            return True
    return isinstance(error, (DipError, HydraException, OmegaConfBaseException))
