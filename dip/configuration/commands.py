"""Options as the words of a command line: the command that repeats a run."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dip.configuration import schema

_PLAIN_WORD = re.compile(r"[A-Za-z_./+-][A-Za-z0-9_./+-]*")
# Words that Hydra's grammar does not read as text, in any capitalisation.
_NO_TEXT = re.compile(r"(null|true|false|[+-]?(nan|inf|infinity)|[+-]?[0-9_.]+(e[+-]?[0-9_]+)?)", re.IGNORECASE)


def command(config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """`python train.py ...` with the options of `config` that differ from `defaults`, quoted for bash and zsh.

    Args:
        config: nested options, as in `result.json`.
        defaults: nested default options; None: those of this version. Options that it lacks are written out.
    """
    if defaults is None:
        defaults = schema.defaults()
        kind = schema.GROUPS["target"].get(config["target"]["name"])
        if kind is not None:  # stop=auto selects a rule by the target; options of a rule need its name, stop=RULE
            auto = schema.plain(schema.Config(target=kind()))["stop"]
            defaults["stop"] = auto if config["stop"] == auto else {}
    return joined(["python", "train.py", *(f"{name}={value}" for name, value in _differences(config, defaults))])


def joined(words: Iterable[str]) -> str:
    """`words` as one line for bash and zsh, with double quotes around single quotes where these suffice."""
    return " ".join(f'"{w}"' if "'" in w and not re.search(r'["$`\\!]', w) else shlex.quote(w) for w in words)


def words(config: schema.Config) -> tuple[str, ...]:
    """The arguments of the process that runs `config`: those of `command`, and `overwrite`."""
    given = shlex.split(command(schema.plain(config)))[2:]
    return (*given, "overwrite=true") if config.overwrite else (*given,)


def _differences(config: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(option, value in Hydra's grammar) of the options of `config` that differ from `defaults`.

    `overwrite` is left out: the same command run twice should find the finished run. `prefix` stands before the names.
    """
    for key, value in config.items():
        default = defaults.get(key, ...)
        if isinstance(value, Mapping):
            base = default if isinstance(default, Mapping) else {}
            if "name" in value and value["name"] != base.get("name"):
                yield f"{prefix}{key}", text(value["name"])
                kind = schema.GROUPS.get(key, {}).get(value["name"])
                base = {} if kind is None else dataclasses.asdict(kind())
            inner = {name: item for name, item in value.items() if name != "name"}
            yield from _differences(inner, base, f"{prefix}{key}.")
        elif key != "overwrite" and (default is ... or text(value) != text(default)):
            yield f"{prefix}{key}", text(value)


def text(value: Any) -> str:
    """`value` in Hydra's override grammar, as typed after the `=`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(text, value)) + "]"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN_WORD.fullmatch(value) and not _NO_TEXT.fullmatch(value):
        return value
    # "${" would start an interpolation; OmegaConf halves the backslashes before it.
    value = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    # Hydra halves the backslashes before a quote; other backslashes stand for themselves.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), value) + "'"
