"""Checkpoints of tensors and plain values, for Lightning and without it, on top of `dip.runs.generations`.

Nothing is unpickled before its length and SHA-256 are right, and then tensors and plain values only.
"""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from dip.errors import NotFiniteError, RunError
from dip.files import remove_temporaries
from dip.runs import differing, flat
from dip.runs.generations import Damaged, path_of, remove, step_of, store, stored, verified

log = logging.getLogger("dip")

FINITE = ("state_dict",)  # where a NaN or an infinity makes a checkpoint worthless: dotted key prefixes
_PLAIN = (str, bytes, bool, int, float, type(None), torch.Size, torch.dtype, torch.device)
# Lightning can build objects from these on loading; our configuration is kept elsewhere and names no code.
_HYPER_PARAMETERS = ("hyper_parameters", "hparams_name", "hparams_type", "datamodule_hyper_parameters")


def write(
    folder: str | Path,
    state: Mapping[str, Any],
    step: int,
    identity: str,
    keep: int = 2,
    *,
    options: Mapping[str, Any] | None = None,
    finite: Collection[str] = FINITE,
) -> Path:
    """Writes `state` as the checkpoint of `step`, then deletes all but the newest `keep` intact ones.

    Checkpoints of later steps are deleted too: going back to an earlier step makes them another future.
    Once a valid checkpoint exists, one does at every instant. Only for who holds the run folder's lock.

    Args:
        folder: made if absent, inside an existing run folder.
        state: nested dicts and lists of tensors and plain values, on any device.
        identity: the hash of the configuration, compared on loading.
        options: that configuration as plain values, to say in which a refused checkpoint differs.
        finite: prefixes of the dotted keys whose float tensors must be finite.

    Raises:
        RunError: the disk is full (naming the bytes needed) or the folder cannot be written, or, as
            `NotFiniteError`, a tensor under `finite` holds NaN or infinity; older checkpoints are untouched then.
        TypeError: `state` holds something that loading would refuse.
    """
    path = path_of(folder, step)
    _check_plain(state)
    if bad := _not_finite(state, finite):
        raise NotFiniteError(f"{path}: not written, {bad} is not finite")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be made ({error.strerror})") from error
    buffer = io.BytesIO()
    torch.save(state, buffer)
    store(path, buffer.getbuffer(), identity, {"options": options, "torch": str(torch.__version__)}, keep)
    return path


def latest(
    folder: str | Path,
    identity: str,
    *,
    map_location: Any = "cpu",
    options: Mapping[str, Any] | None = None,
    finite: Collection[str] = FINITE,
) -> tuple[int, dict[str, Any]] | None:
    """Step and state of the newest checkpoint fit to go on from; None where none was ever completed.

    A damaged one is passed over with a warning. Raises `RunError` when all are damaged, and at once for one
    of another configuration (naming both) or of a newer format. Only for who holds the run folder's lock.
    """
    remove_temporaries(Path(folder))
    reason = ""
    for path in stored(Path(folder)):
        try:
            return step_of(path), load(
                path, identity, map_location=map_location, options=options, finite=finite
            )
        except Damaged as error:
            log.warning("%s; trying the checkpoint before it", error)
            reason = reason or str(error)
    if reason:
        raise RunError(f"{folder}: no checkpoint can be used ({reason}); start anew with overwrite=true")
    return None


def newest(
    folder: str | Path,
    identity: str,
    *,
    options: Mapping[str, Any] | None = None,
    finite: Collection[str] = FINITE,
) -> Path | None:
    """The path of the checkpoint that `latest` loads; raises as it does."""
    found = latest(folder, identity, options=options, finite=finite)
    return None if found is None else path_of(folder, found[0])


def load(
    path: str | Path,
    identity: str,
    *,
    map_location: Any = "cpu",
    options: Mapping[str, Any] | None = None,
    finite: Collection[str] = FINITE,
) -> dict[str, Any]:
    """The state in one checkpoint.

    Raises `Damaged` when it is not what was written or not fit to go on from, and `RunError` when it belongs
    to another configuration or has a newer format.
    """
    path = Path(path)
    data, manifest = verified(path)
    if manifest["identity"] != identity:
        raise RunError(_refusal(path, manifest, identity, options))
    try:
        state = torch.load(io.BytesIO(data), map_location=map_location, weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever a crafted pickle provokes
        reason = str(error).strip().partition("\n")[0]
        raise Damaged(f"{path}: holds more than tensors and plain values ({reason})") from error
    if not isinstance(state, dict):
        raise Damaged(f"{path}: holds no state but {type(state).__name__}")
    if bad := _not_finite(state, finite):
        raise Damaged(f"{path}: {bad} is not finite")
    return state


def check_weights(source: str | Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises `RunError` listing the keys in which `found`, a state dict in `source`, is unlike `expected`."""
    shared = found.keys() & expected.keys()
    lists = {
        "missing": expected.keys() - shared,
        "unexpected": found.keys() - shared,
        "of another shape": {key for key in shared if found[key].shape != expected[key].shape},
    }
    wrong = "; ".join(f"{what}: {', '.join(sorted(keys))}" for what, keys in lists.items() if keys)
    if wrong:
        raise RunError(f"{source}: belongs to another network; {wrong}")


class DipCheckpointIO(CheckpointIO):
    """Makes `trainer.save_checkpoint(path)` and `trainer.fit(ckpt_path=path)` go through `write` and `load`.

    A path must be `<folder>/step-<nine digits>.ckpt`. The arguments are those of `write`.
    """

    def __init__(
        self,
        identity: str,
        keep: int = 2,
        *,
        options: Mapping[str, Any] | None = None,
        finite: Collection[str] = FINITE,
    ) -> None:
        self.identity, self.keep, self.options, self.finite = identity, keep, options, finite

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        assert storage_options is None, "checkpoints go to plain local files"
        folder, step = Path(path).parent, step_of(Path(path))
        write(folder, checkpoint, step, self.identity, self.keep, options=self.options, finite=self.finite)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """`load`, whatever `weights_only` says: no checkpoint is ever loaded with more than that."""
        place = "cpu" if map_location is None else map_location
        state = load(path, self.identity, map_location=place, options=self.options, finite=self.finite)
        return {key: value for key, value in state.items() if key not in _HYPER_PARAMETERS}

    def remove_checkpoint(self, path: str | Path) -> None:
        remove(Path(path))


def _refusal(
    path: Path, manifest: Mapping[str, Any], identity: str, options: Mapping[str, Any] | None
) -> str:
    text = f"{path}: belongs to configuration {manifest['identity'][:8]}, not to {identity[:8]}"
    if options is not None and manifest["options"] is not None:
        there, here = flat({"config": manifest["options"]}), flat({"config": options})
        changes = [
            f"{key.removeprefix('config.')} is {there.get(key)} there and {here.get(key)} here"
            for key in differing([there, here])
        ]
        text += f" ({'; '.join(changes)})"
    return text + "; start anew with overwrite=true"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What nested dicts, lists and tuples hold, each with its dotted key."""
    if type(value) in (dict, OrderedDict, list, tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            yield from _leaves(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _check_plain(state: Mapping[str, Any]) -> None:
    for key, value in _leaves(state):
        # The exact type: a NumPy float is a float, yet loading refuses it.
        if type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise TypeError(f"{key}: a checkpoint holds tensors and plain values, not {kind}")


def _not_finite(state: Mapping[str, Any], prefixes: Collection[str]) -> str | None:
    """The key of the first float tensor under `prefixes` that holds NaN or infinity."""
    for key, value in _leaves(state):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            watched = any(f"{key}.".startswith(f"{prefix}.") for prefix in prefixes)
            if watched and not bool(torch.isfinite(value).all()):
                return key
    return None
