"""Warm start (option `init`): a run starts from the weights of a finished run, not from random ones.

Only the weights are taken: the optimiser, the average and the stopping rule start anew. Imports no torch until they are
loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dip import runs
from dip.configuration.schema import Config, plain
from dip.errors import OptionError
from dip.options import log
from dip.runs.checkpoint_names import stored

if TYPE_CHECKING:
    from torch import Tensor, nn

_NETS = "nets."

SAME_FUNCTION = ("net.checkpoint_activations",)
"""Options of a network that do not change what it computes."""


def digest(folder: str | None) -> str | None:
    """SHA-256 of the file that `weights` loads, for the identity of a run; None without a folder. Raises OptionError."""
    return None if folder is None else hashlib.sha256(_checkpoint(folder).read_bytes()).hexdigest()


def weights(config: Config, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """The state of the networks of the run `config.init`, for an image of `shape` (C, H, W).

    Raises:
        OptionError: the folder is not a finished run with a checkpoint, or its network is another one.
        RunError: the checkpoint is damaged.
    """
    assert config.init is not None
    from dip.runs.checkpoint_files import footer_of, load

    path = _checkpoint(config.init)
    state = load(path, None)
    channels, *size = state["dip"]["average"].shape[1:]
    there = runs.flat(footer_of(path)["options"]) | {"image.channels": channels, "image.size": tuple(size)}
    here = runs.flat(plain(config)) | {"image.channels": shape[0], "image.size": shape[1:]}
    differ = runs.differences(there, here)
    # Of two kinds of networks, all options differ.
    if lines := [differ.get("net.name", line) for name, line in differ.items() if _of_network(name)]:
        raise _other(config.init, "; ".join(dict.fromkeys(lines)))
    if lines := [line for name, line in differ.items() if name.startswith("z.") or name in ("seed", "image.size")]:
        log.warning(
            "init=%s: z is another input than in that run, so its weights help less (%s)", config.init, "; ".join(lines)
        )
    held: dict[str, Tensor] = state["state_dict"]
    return {name: tensor for name, tensor in held.items() if name.startswith(_NETS)}  # not what the method fitted


def start(module: nn.Module, state: Mapping[str, Tensor], folder: str) -> None:
    """Load `weights` into `module`. Raises OptionError if their shapes are not the module's."""
    there, here = (
        {name: tuple(tensor.shape) for name, tensor in held.items() if name.startswith(_NETS)}
        for held in (state, module.state_dict())
    )
    if lines := [*runs.differences(there, here).values()]:
        more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
        raise _other(folder, "; ".join(lines[:3]) + more)
    module.load_state_dict({**module.state_dict(), **state})


def _checkpoint(folder: str) -> Path:
    """The last checkpoint of the finished run in `folder`."""
    if not runs.finished(folder):
        raise OptionError("init", folder, "the folder of a finished run with a checkpoint", "init=outputs/RUN")
    found = stored(Path(folder) / "checkpoints")
    if not found:
        legal = "the folder of a run that kept its checkpoint; repeat that run with keep_checkpoint=true overwrite=true"
        raise OptionError("init", folder, legal, "init=outputs/RUN")
    return found[0]


def _of_network(name: str) -> bool:
    counts = name.startswith("net.") and name not in SAME_FUNCTION
    return counts or name in ("skips", "z.channels", "ensemble", "image.channels")


def _other(folder: str, lines: str) -> OptionError:
    return OptionError("init", folder, f"a run of the same network ({lines})", "init=outputs/RUN")
