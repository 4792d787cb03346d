"""The command that repeats a run, from the options in its `result.json`."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from typing import Any

from dip.configuration import schema as options

_PLAIN_WORD = re.compile(r"[A-Za-z_./+-][A-Za-z0-9_./+-]*")
# What Hydra's grammar reads as something other than a text, in any capitalisation.
_OTHER_THINGS = re.compile(
    r"(null|true|false|[+-]?(nan|inf|infinity)|[+-]?[0-9_.]+(e[+-]?[0-9_]+)?)", re.IGNORECASE
)


def command(config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """`python train.py ...` with every option of `config` that is not its default, quoted for bash and zsh.

    Args:
        config: nested options as in `result.json`.
        defaults: nested options when nothing is said; default those of this version. An option that they do not hold
            is written out.

    `overwrite` is left out: the same command asked twice should find the finished run, not start it anew.
    """
    words = [shlex.quote(f"{name}={value}") for name, value in differences(config, defaults)]
    return " ".join(["python", "train.py", *words])


def differences(
    config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """What `command` writes out: the options that are not at their default, values in Hydra's grammar."""
    return _differences(config, options.defaults() if defaults is None else defaults, "")


def _differences(
    config: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in config.items():
        default = defaults.get(key, ...)
        if key == "overwrite" and not prefix:
            continue
        if isinstance(value, Mapping):
            base = dict(default) if isinstance(default, Mapping) else {}
            if "name" in value and value["name"] != base.get("name"):
                found.append((f"{prefix}{key}", text(value["name"])))
                base = _choice(key, value["name"])
            inner = {name: item for name, item in value.items() if name != "name"}
            found += _differences(inner, base, f"{prefix}{key}.")
        elif default is ... or text(value) != text(default):
            found.append((f"{prefix}{key}", text(value)))
    return found


def _choice(group: str, name: str) -> dict[str, Any]:
    """The options of a group's choice when nothing more is said; {} for a choice that this version does not have."""
    choice = options.GROUPS.get(group, {}).get(name)
    return {} if choice is None else dataclasses.asdict(choice())


def text(value: Any) -> str:
    """`value` in Hydra's override grammar: what stands behind the `=`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(text, value)) + "]"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN_WORD.fullmatch(value) and not _OTHER_THINGS.fullmatch(value):
        return value
    # "${" would be looked up; OmegaConf halves the row of backslashes in front of it.
    value = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    # A backslash means itself except in front of a quote, where Hydra halves the row of them.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), value) + "'"
