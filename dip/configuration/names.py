"""Errors about option names: renamed options, and options that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dip.errors import DipError

OLD_NAMES = {"restarts": "ensemble", "net.tv": "loss.tv"}
"""Options that were renamed: old name -> new name."""


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
    if meant := " or ".join(dict.fromkeys(members or close)):
        return DipError(f"{name}: no such option{where}; did you mean {meant}?")
    there = f"there are {', '.join(siblings.values())}" if group else "python train.py --help lists all"
    return DipError(f"{name}: no such option{where} ({there})")
