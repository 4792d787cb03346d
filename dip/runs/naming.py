"""Which run this is: what makes it itself, and what its folder is called. Imports no torch."""

from __future__ import annotations

from typing import Any

from dip.configuration.schema import Config, plain

# Options that say where and how often something is written, not what is computed: they share a run folder.
WITHOUT_EFFECT = frozenset(
    (
        "out",
        "device",
        "logger",
        "snapshot_every",
        "checkpoint_every",
        "keep_checkpoint",
        "baselines",
        "overwrite",
    )
)


def identity(config: Config, image_digest: str | None, reference_digest: str | None) -> dict[str, Any]:
    """What makes this run this run: every option that changes its result, images by content, not by name."""
    options = {name: value for name, value in plain(config).items() if name not in WITHOUT_EFFECT}
    return {**options, "image": image_digest, "reference": reference_digest}


def readable(config: Config) -> str:
    """The readable half of a run folder's name, such as `noisy-skips3.4-size128-seed0`."""
    levels = ".".join(map(str, config.skips)) or "none"
    sides = config.size if isinstance(config.size, (list, tuple)) else [config.size]
    size = "" if config.size is None else "-size" + "x".join(map(str, sides))
    precision = "" if config.precision.name == "auto" else f"-{config.precision.name}"
    return f"{config.target.name}-skips{levels}{size}{precision}-steps{config.steps}-seed{config.seed}"
