"""What Hydra and OmegaConf say of a slip, in one line that names the option, the legal values and an example."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dip.configuration.schema import GROUPS, Config
from dip.errors import DipError
from dip.targets import NoiseOptions
from dip.z import Z


def in_one_line(error: BaseException) -> str:
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
    return hydras(str(error))


def _lacking(text: str) -> str | None:
    """That something does not have an option, which it was given by hand or by an experiment; None where `text` says none."""
    found = re.search(r"Key '(\w+)' not in '(\w+)'", text)
    if found is None:
        return None
    key, kind = found.groups()
    file = re.search(r"In 'experiment/([\w-]+)'", text)
    for prefix, cls in classes():
        if cls.__name__ != kind:
            continue
        own = [field.name for field in dataclasses.fields(cls) if field.name != "name"]
        if meant := _close(key, own, prefix):
            said = f" (in experiment={file[1]})" if file else ""
            return f"{prefix}{key}: no such option{said}; did you mean {meant}?"
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


def hydras(text: str) -> str:
    """Hydra's texts that a user meets most often, in one line; any other joined to one."""
    if (found := re.search(r"Error parsing override '([^']+)'", text)) and Path(found[1]).is_file():
        return f"{found[1]}: an option is written name=value, for example image={found[1]}"
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
        meant = _close(key, _names())
        hint = f"; did you mean {meant}?" if meant else ""
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


def _close(key: str, names: Sequence[str], prefix: str = "") -> str:
    """What `key` was probably meant to be: options of groups that are called so, else of `names` the one most like it."""
    members = [] if prefix else list(dict.fromkeys(name for name in _names() if name.endswith(f".{key}")))
    alike = [f"{prefix}{name}" for name in difflib.get_close_matches(key, set(names) - {key}, 1)]
    return " or ".join(members or alike)


def _names_a_group(word: str) -> bool:
    """Whether `word` gives a group of options something that is no name."""
    key, _, value = word.partition("=")
    words = value.split(",")
    return key == "z" or (key in GROUPS and not any("(" in word or word in GROUPS[key] for word in words))


def classes() -> list[tuple[str, type[Any]]]:
    """(prefix, dataclass) of everything that has options, what was typed before its siblings."""
    nested = [
        (f"{group}.", cls) for group, classes in GROUPS.items() for cls in dict.fromkeys(classes.values())
    ]
    chosen = [
        (f"{group}.", classes[choice]) for group, _, choice in (word.partition("=") for word in sys.argv[1:])
        if choice in (classes := GROUPS.get(group, {}))
    ]  # fmt: skip
    return [("", Config), ("z.", Z), *chosen, *nested, ("target.noise.", NoiseOptions)]


def _names() -> list[str]:
    return [f"{prefix}{f.name}" for prefix, cls in classes() for f in dataclasses.fields(cls)] + list(GROUPS)


def _field(key: str) -> dataclasses.Field[Any] | None:
    for prefix, cls in classes():
        for field in dataclasses.fields(cls):
            if prefix + field.name == key.split("[")[0] and field.metadata:
                return field
    return None
