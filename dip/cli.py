"""What a terminal takes and shows: flags in any order, the log as plain lines, errors in one line."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import difflib
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dip.config import GROUPS, Config
from dip.errors import DipError
from dip.z import Z

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
        print(f"error: {explain(error)}", file=sys.stderr)
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
        print(f"error: {_explain_hydra(str(error))}", file=sys.stderr)
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


def explain(error: BaseException) -> str:
    """An error of ours, of Hydra or of OmegaConf as one line that names the option and what is legal."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for link in chain:
        if isinstance(link, DipError):
            return str(link)
    if lacking := _lacking(" ".join(map(str, chain))):
        return lacking
    for link in reversed(chain):
        key = getattr(link, "full_key", None)
        if key and (field := _field(key)) is not None:
            given = re.search(r"override (\S+)", str(error))
            what = given.group(1) if given else key
            return f"{what}: must be {field.metadata['legal']}, for example {key}={field.metadata['example']}"
    return _explain_hydra(str(error))


def _lacking(text: str) -> str | None:
    """That something does not have an option, which it was given by hand or by an experiment; None where `text` says none."""
    found = re.search(r"Key '(\w+)' not in '(\w+)'", text)
    if found is None:
        return None
    key, kind = found.groups()
    file = re.search(r"In 'experiment/([\w-]+)'", text)
    for prefix, cls in _classes():
        if cls.__name__ != kind:
            continue
        own = [field.name for field in dataclasses.fields(cls) if field.name != "name"]
        if close := difflib.get_close_matches(key, own, 1):
            said = f" (in experiment={file[1]})" if file else ""
            return f"{prefix}{key}: no such option{said}; did you mean {prefix}{close[0]}?"
        group = prefix.rstrip(".")
        names = [name for name, known in GROUPS.get(group, {}).items() if known is cls]
        choice = f"{group}={names[0]}" if len(names) == 1 else group
        if not names:
            said = f", which experiment={file[1]} sets" if file else ""
            return f"{prefix}{key}: no such option{said} (python train.py --help lists them all, for example size=256)"
        if file:
            return f"{choice}: has no option {key}, which experiment={file[1]} sets; leave one of the two out"
        return f"{choice}: has no option {key}; it has {', '.join(own) or 'none'}"
    return None


def _explain_hydra(text: str) -> str:
    """Hydra's texts that a user meets most often, in one line; any other joined to one."""
    if found := re.search(r"Could not find '([\w/]+)/([^'\s]+)'", text):
        group, choice = found.groups()
        listed = re.search(r"Available options in '[^']*':(.*?)Config search path", text, re.DOTALL)
        names = sorted(GROUPS.get(group, listed[1].split() if listed else ()))
        if names:
            example = (difflib.get_close_matches(choice, names, 1) or names)[0]
            return f"{group}={choice}: must be one of {', '.join(names)}, for example {group}={example}"
    if found := re.search(r"Cannot find primary config '([^']+)'", text):
        where = re.findall(r"provider=command-line, path=file://(\S+)", text)
        names = sorted(file.stem for folder in where for file in Path(folder).glob("*.yaml"))
        close = difflib.get_close_matches(found[1], names, 1) or names
        hint = (
            f"; must be one of {', '.join(names)}, for example -cn {close[0]}"
            if names
            else "; give its folder with -cd"
        )
        return f"-cn {found[1]}: there is no such file{hint}"
    if found := re.search(r"Error parsing override '([^']+)'\s+missing EQUAL", text):
        return f"{found[1]}: an option is written name=value, for example steps=100"
    if found := re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' is not in struct", text
    ):
        key = found.group(1)
        close = difflib.get_close_matches(key, set(_names()) - {key}, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{key}: no such option{hint} (python train.py --help lists them all, for example size=256)"
    if found := re.search(r"Ambiguous value for argument '([^=]+)=([^']*)'", text):
        key, value = found.groups()
        return f"{key}={value}: one list is written {key}=[{value}]; to run each value in turn, add -m"
    if wrong := next((word for word in sys.argv[1:] if _names_a_group(word)), None):
        key, _, value = wrong.partition("=")
        example = f"{key}={min(GROUPS[key])}" if key in GROUPS else "z.scale=0.1"
        legal = f"one of {', '.join(sorted(GROUPS[key]))}" if key in GROUPS else "set option by option"
        return f"{key}={value}: must be {legal}, for example {example}"
    if "Config group override must be a string" in text:
        return "experiment: must be the name of a file in conf/experiment, for example experiment=quick"
    lines = [line.strip() for line in text.splitlines() if line.strip() and "full_key" not in line]
    return " ".join(line for line in lines if not line.startswith("object_type"))


def _names_a_group(word: str) -> bool:
    """Whether `word` gives a group of options something that is no name."""
    key, _, value = word.partition("=")
    words = value.split(",")
    return key == "z" or (key in GROUPS and not any("(" in word or word in GROUPS[key] for word in words))


def _classes() -> list[tuple[str, type[Any]]]:
    """(prefix, dataclass) of everything that has options, what was typed before its siblings."""
    nested = [
        (f"{group}.", cls) for group, classes in GROUPS.items() for cls in dict.fromkeys(classes.values())
    ]
    chosen = [
        (f"{group}.", classes[choice]) for group, _, choice in (word.partition("=") for word in sys.argv[1:])
        if choice in (classes := GROUPS.get(group, {}))
    ]  # fmt: skip
    return [("", Config), ("z.", Z), *chosen, *nested]


def _names() -> list[str]:
    return [f"{prefix}{f.name}" for prefix, cls in _classes() for f in dataclasses.fields(cls)] + list(GROUPS)


def _field(key: str) -> dataclasses.Field[Any] | None:
    for prefix, cls in _classes():
        for field in dataclasses.fields(cls):
            if prefix + field.name == key.split("[")[0] and field.metadata:
                return field
    return None
