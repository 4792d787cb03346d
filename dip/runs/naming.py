"""The identity of a run: the options that change its result, and the name of its folder. Imports no torch."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.configuration.schema import Config, plain
from dip.options import default_of
from dip.sources import split

WITHOUT_EFFECT = frozenset({"name", "out", "device", "logger", "snapshot_every", "checkpoint_every", "keep_checkpoint",
                            "baselines", "wait", "overwrite"})  # fmt: skip
"""Options that change where and how often something is written, not what is computed. They do not change the folder,
except that `name` is the first part of its name."""


def identity(config: Config, image_digest: str | None, reference_digest: str | None) -> dict[str, Any]:
    """Every option that changes the result, with images by their content instead of their name.

    The name of the image's file is part of the folder's name (`name`), so the run of a renamed file is a new run.
    """
    options = {name: value for name, value in plain(config).items() if name not in WITHOUT_EFFECT}
    for name in config.stop.later:
        if options["stop"][name] is None:
            del options["stop"][name]
    return options | {"image": image_digest, "reference": reference_digest}


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of plain values (dicts, lists, strings, numbers, booleans, None), keys sorted.

    Floats are hashed by their shortest exact text, so 1/30 is the same on every machine. 1 and 1.0 differ.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def name(config: Config, identity: Mapping[str, Any]) -> str:
    """The name of a run folder, such as `photo-noisy-skips3.4-size128-steps3000-seed0-1234abcd`.

    The last part is the start of `fingerprint(identity)`, the first one the option `name` if it is given. The name of
    the image's file follows, although `identity` does not contain it: a renamed file is a new run. Then come the method
    and the network if they are not the default ones.
    """
    file, key = split(config.image)
    known = (default_of(Config.__dataclass_fields__["image"]), "array")  # "array": given in memory
    sides = config.size if isinstance(config.size, (list, tuple)) else [config.size]
    unused = config.unused()
    parts = [
        config.name,
        _word(f"{Path(file).stem}-{key or ''}") * (config.image not in known),
        config.method.name * (config.method.name not in ("dip", config.name)),
        _word(config.net.name) * (config.net.name not in ("hourglass", config.name) and "net" not in unused),
        config.target.name,
        f"skips{'.'.join(map(str, config.skips)) or 'none'}" * ("skips" not in unused),
        f"size{'x'.join(map(str, sides))}" * (config.size is not None),
        f"tile{config.tile}" * (config.tile not in (0, "auto")),
        config.precision.name * (config.precision.name != "auto"),
        f"steps{config.steps}" * ("steps" not in unused),
        f"seed{config.seed}",
    ]
    readable = "-".join(part for part in parts if part)
    return f"{readable}-{fingerprint(identity)[:8]}"


def _word(text: str) -> str:
    """`text` as a part of a folder's name: at most 24 letters, digits, dots, hyphens and underscores."""
    return re.sub(r"[^\w.]+", "-", text)[:24].strip("-.")
