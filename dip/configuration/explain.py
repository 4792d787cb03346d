"""Errors in one line: what Hydra and OmegaConf raise, and options that do not exist or were renamed."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dip.configuration import shipped
from dip.configuration.listing import option_names
from dip.configuration.schema import GROUPS
from dip.errors import DipError

OLD_NAMES = {"restarts": "ensemble", "net.tv": "loss.tv"}
"""Options that were renamed: old name -> new name."""

MEANT = {
    "denoise": "degraded", "denoising": "degraded", "restore": "degraded", "blur": "deblur", "sr": "superres",
    "super-resolution": "superres", "none": "never", "unet": "hourglass", "skip": "hourglass", "l2": "mse",
    "half": "fp16", "float16": "fp16", "float32": "fp32", "float": "fp32", "float64": "fp64", "double": "fp64",
    "bfloat16": "bf16",
}  # fmt: skip
"""Words for a choice that resemble another one, or none."""


def closest(word: object, names: Sequence[str]) -> str:
    """The one of `names` that `word` probably means, else the first."""
    meant = MEANT.get(str(word).lower(), "")
    return meant if meant in names else (difflib.get_close_matches(str(word), names, 1) or [*names])[0]


def unknown(name: str, known: Sequence[str], where: str = "") -> DipError:
    """The error for option `name` (dotted), which is not one of `known`: the new name or the closest matches.

    `where` is put behind the message, such as " (in experiment=mine)".
    """
    if name in OLD_NAMES:
        return DipError(f"{name}: this option was renamed{where}; use {OLD_NAMES[name]} instead")
    group, _, key = name.rpartition(".")
    members = [] if group else [option for option in known if option.endswith(f".{key}")]
    siblings = {option.rpartition(".")[2]: option for option in known if option.rpartition(".")[0] == group}
    close = [siblings[match] for match in difflib.get_close_matches(key, siblings, 1)]
    close = close or ([group] if group in known and not siblings else [])
    if not group and not close:
        keys = difflib.get_close_matches(key, [option.rpartition(".")[2] for option in known], 1)
        close = [option for option in known if option.rpartition(".")[2] in keys]
    if meant := " or ".join(dict.fromkeys(members or close)):
        return DipError(f"{name}: no such option{where}; did you mean {meant}?")
    there = (
        f"there are {', '.join(siblings.values())}" if group and siblings else "python train.py --help all lists them"
    )
    return DipError(f"{name}: no such option{where} ({there})")


def in_one_line(error: BaseException) -> str:
    """One line for an error of this program, of Hydra or of OmegaConf. It names the option and the legal values."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    for link in chain:
        if isinstance(link, DipError):
            return str(link)
        if isinstance(link, OverrideParseException):
            return _not_parsed(link)
        if isinstance(link, MissingConfigException) and link.missing_cfg_file:
            group, _, choice = str(link.missing_cfg_file).rpartition("/")
            if not group:
                known = ", ".join(shipped.names("sweeps"))
                return f"-cn {choice}: there is no such file; the shipped sweeps are {known}"
            if (group, choice) == ("hydra/sweeper", "optuna"):
                return "hydra/sweeper=optuna: Optuna is not installed; pip install 'deep-image-prior[optuna]'"
            if link.options:
                return _no_choice(group, choice, sorted(GROUPS.get(group, link.options)))
        if isinstance(link, (ConfigAttributeError, ConfigKeyError)) and link.full_key:
            return _no_option(link, str(error))
        if isinstance(link, OmegaConfBaseException) and link.full_key:
            return _illegal(link, str(error))
    if found := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", str(error)):
        key, value = found.groups()
        as_list = "" if key in GROUPS else f"a list is written {key}=[{value}]; "
        return f"{key}={value}: {as_list}to run each value in turn, add -m"
    if isinstance(error, OSError):  # by Hydra, which creates this folder
        return f"out={error.filename}: cannot be created ({error.strerror}); choose another folder, for example out=outputs"
    if isinstance(error, (TypeError, ValueError)):  # Hydra's answer to a group that is given a number or a list
        return f"{', '.join(GROUPS)} and experiment take the name of a choice, for example target=noisy ({error})"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _not_parsed(error: Any) -> str:
    """The error for a word that is not `name=value` in Hydra's grammar."""
    word = str(error.override)
    if re.fullmatch(r"[^=]+=\[[^\]]*", word):
        return f"{word}: the list does not end; write it without spaces, or in quotes, for example 'skips=[3,4]'"
    if "=" in word and not Path(word).is_file():
        return f"{word}: {_first_line(error)}"
    example = f"image={word}" if Path(word).is_file() else "steps=100"
    return f"{word}: an option is written name=value, for example {example}"


def _no_choice(group: str, choice: str, names: list[str]) -> str:
    """The error for a group that has no such choice."""
    return f"{group}={choice}: must be one of {', '.join(names)}, for example {group}={closest(choice, names)}"


def _no_option(error: Any, text: str) -> str:
    """The error for an option that does not exist, or not in the choice of its group."""
    file = re.match(r"In '(experiment/[\w-]+)'", text)
    where = f" (in {file[1].replace('/', '=')})" if file else ""
    name, kind = str(error.full_key), error.object_type
    group = name.partition(".")[0]
    choices = [choice for choice, known in GROUPS.get(group, {}).items() if known is kind]
    plain = unknown(name, [*option_names(), "experiment", "entry", "hydra/launcher"], where)
    if not choices or name not in option_names():
        return str(plain)
    own = {field.name: field.metadata.get("example") for field in dataclasses.fields(kind) if field.name != "name"}
    example = next((f", for example {group}.{key}={value}" for key, value in own.items() if value), "")
    return f"{group}={choices[0]}: has no option {error.key}{where}; it has {', '.join(own) or 'none'}{example}"


def _illegal(error: Any, text: str) -> str:
    """The error for a value that OmegaConf cannot convert to the option's type, or cannot resolve."""
    name, given = str(error.full_key), re.search(r"override (\S+)", text)
    field = getattr(error.object_type, "__dataclass_fields__", {}).get(str(error.key).partition("[")[0])
    if field is None or not field.metadata:
        return f"{name}: {_first_line(error)}"
    legal, example = field.metadata["legal"], field.metadata["example"]
    line = f"{given[1] if given else name}: must be {legal}, for example {name}={example}"
    return line.replace("target.", "") if error.object_type is GROUPS["target"]["measured"] else line
