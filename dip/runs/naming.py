"""The identity of a run: the options that change its result, and the name of its folder. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dip.configuration.schema import Config, plain
from dip.methods import Rival

WITHOUT_EFFECT = frozenset({"name", "out", "device", "logger", "snapshot_every", "checkpoint_every", "keep_checkpoint",
                            "baselines", "overwrite"})  # fmt: skip
"""Options that change where and how often something is written, not what is computed. They do not change the folder,
except that `name` is the first part of its name."""


def identity(config: Config, image_digest: str | None, reference_digest: str | None) -> dict[str, Any]:
    """Every option that changes the result, with images by their content instead of their name."""
    options = {name: value for name, value in plain(config).items() if name not in WITHOUT_EFFECT}
    return {**options, "image": image_digest, "reference": reference_digest}


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of plain values (dicts, lists, strings, numbers, booleans, None), keys sorted.

    Floats are hashed by their shortest exact text, so 1/30 is the same on every machine. 1 and 1.0 differ.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def name(config: Config, identity: Mapping[str, Any]) -> str:
    """The name of a run folder, such as `noisy-skips3.4-size128-steps3000-seed0-1234abcd`.

    The last part is the start of `fingerprint(identity)`, the first one the option `name` if it is given.
    """
    levels = ".".join(map(str, config.skips)) or "none"
    sides = config.size if isinstance(config.size, (list, tuple)) else [config.size]
    size = "" if config.size is None else "-size" + "x".join(map(str, sides))
    size += f"-tile{config.tile}" if config.tile else ""
    precision = "" if config.precision.name == "auto" else f"-{config.precision.name}"
    own = "" if config.name is None else f"{config.name}-"
    own += "" if config.method.name == "dip" else f"{config.method.name}-"
    rival = isinstance(config.method, Rival)  # without skips and steps
    skips, steps = ("", "") if rival else (f"-skips{levels}", f"-steps{config.steps}")
    readable = f"{own}{config.target.name}{skips}{size}{precision}{steps}-seed{config.seed}"
    return f"{readable}-{fingerprint(identity)[:8]}"
