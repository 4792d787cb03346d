"""Checkpoints of tensors and plain values, written and loaded by Lightning or without it.

Nothing is unpickled before its SHA-256 is verified, and then with `weights_only=True`.
"""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from dip.errors import NotFiniteError, RunError
from dip.files import remove_temporaries
from dip.runs import differing, flat
from dip.runs.checkpoint_files import DamagedError, path_of, remove, step_of, store, stored, verified

log = logging.getLogger("dip")

_PLAIN = (str, bytes, bool, int, float, type(None), torch.Size, torch.dtype, torch.device)
# Lightning can build objects from these keys on loading. Our configuration is stored elsewhere.
_HYPER_PARAMETERS = ("hyper_parameters", "hparams_name", "hparams_type", "datamodule_hyper_parameters")


def write(
    folder: str | Path,
    state: Mapping[str, Any],
    step: int,
    identity: str,
    keep: int = 2,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write `state` as the checkpoint of `step`, then delete all but the newest `keep` intact ones.

    The caller holds the run folder's lock.

    Args:
        folder: created if absent, inside an existing run folder.
        state: nested dicts and lists of tensors and plain values, on any device.
        step: number of optimisation steps done.
        identity: hash of the configuration, compared on loading.
        keep: number of checkpoints to keep, >= 1.
        options: the configuration as plain values, to name the differences when a checkpoint is refused.

    Raises:
        NotFiniteError: a weight is NaN or infinite. Older checkpoints are unchanged.
        RunError: the disk is full (with the bytes needed), or the folder is not writable. Older checkpoints are unchanged.
        TypeError: `state` holds a value that `weights_only` loading would refuse.
    """
    path = path_of(folder, step)
    _check_plain(state)
    if bad := _not_finite(state):
        raise NotFiniteError(f"{path}: not written, {bad} is not finite")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be created ({error.strerror})") from error
    content = io.BytesIO()
    torch.save(state, content)
    store(path, content, identity, {"options": options, "torch": str(torch.__version__)}, keep)
    return path


def load(
    path: str | Path, identity: str, map_location: Any = "cpu", options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The state in one checkpoint.

    Raises:
        DamagedError: the checkpoint is not what was written, or its weights are not finite.
        RunError: it belongs to another configuration, or has a newer format.
    """
    path = Path(path)
    data, footer = verified(path)
    if footer["identity"] != identity:
        raise RunError(_refusal(path, footer, identity, options))
    try:
        state = torch.load(io.BytesIO(data), map_location=map_location, weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a crafted pickle can raise anything
        reason = str(error).strip().partition("\n")[0]
        raise DamagedError(f"{path}: holds more than tensors and plain values ({reason})") from error
    if not isinstance(state, dict):
        raise DamagedError(f"{path}: holds a {type(state).__name__} instead of a state")
    if bad := _not_finite(state):
        raise DamagedError(f"{path}: {bad} is not finite")
    return state


def latest(
    folder: str | Path, identity: str, options: Mapping[str, Any] | None = None
) -> tuple[Path, dict[str, Any]] | None:
    """Path and state of the newest usable checkpoint; None if none was ever completed.

    A damaged checkpoint is skipped with a warning. The caller holds the run folder's lock.

    Raises:
        RunError: all are damaged, or one belongs to another configuration or has a newer format.
    """
    remove_temporaries(Path(folder))
    reason = ""
    for path in stored(Path(folder)):
        try:
            return path, load(path, identity, options=options)
        except DamagedError as error:
            log.warning("%s; trying the previous checkpoint", error)
            reason = reason or str(error)
    if reason:
        raise RunError(f"{folder}: no checkpoint can be used ({reason}); restart with overwrite=true")
    return None


class DipCheckpointIO(CheckpointIO):
    """Routes `trainer.save_checkpoint(path)` and `trainer.fit(ckpt_path=path)` through `write` and `load`.

    A path must be `<folder>/step-<nine digits>.ckpt`. The arguments are those of `write`.
    """

    def __init__(self, identity: str, keep: int = 2, options: Mapping[str, Any] | None = None) -> None:
        self.identity, self.keep, self.options = identity, keep, options

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; see `write`."""
        assert storage_options is None, "checkpoints are plain local files"
        write(Path(path).parent, checkpoint, step_of(Path(path)), self.identity, self.keep, self.options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint; see `load`. `weights_only` is ignored: it is always true."""
        state = load(path, self.identity, "cpu" if map_location is None else map_location, self.options)
        return {key: value for key, value in state.items() if key not in _HYPER_PARAMETERS}

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        remove(Path(path))


def _refusal(path: Path, footer: Mapping[str, Any], identity: str, options: Mapping[str, Any] | None) -> str:
    text = f"{path}: belongs to configuration {footer['identity'][:8]}, not to {identity[:8]}"
    if options is not None and footer["options"] is not None:
        there, here = flat({"config": footer["options"]}), flat({"config": options})
        changes = [
            f"{key.removeprefix('config.')} is {there.get(key)} there and {here.get(key)} here"
            for key in differing([there, here])
        ]
        text += f" ({'; '.join(changes)})"
    return text + "; restart with overwrite=true"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested dicts, lists and tuples, each with its dotted key."""
    if type(value) in (dict, OrderedDict, list, tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            yield from _leaves(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _check_plain(state: Mapping[str, Any]) -> None:
    for key, value in _leaves(state):
        # The exact type: a NumPy float is a float, but loading refuses it.
        if type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise TypeError(f"{key}: a checkpoint holds tensors and plain values, not {kind}")


def _not_finite(state: Mapping[str, Any]) -> str | None:
    """The key of the first weight that holds NaN or infinity; None if there is none."""
    for key, value in _leaves(state.get("state_dict", {}), "state_dict"):
        if (
            isinstance(value, torch.Tensor)
            and value.is_floating_point()
            and not bool(torch.isfinite(value).all())
        ):
            return key
    return None
