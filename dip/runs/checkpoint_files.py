"""Checkpoints: written atomically, and verified before anything in them is unpickled.

A checkpoint `step-000000123.ckpt` is a file of `torch.save` followed by one line of JSON, the footer: format, step,
identity and options of its run, and the SHA-256 of all of this. One file needs only one rename.
"""

import contextlib
import hashlib
import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from dip.errors import NotFiniteError, RunError
from dip.files import remove_temporaries, write_bytes
from dip.options import log
from dip.runs import differences, flat
from dip.runs.checkpoint_names import path_of as path_of
from dip.runs.checkpoint_names import step_of as step_of
from dip.runs.checkpoint_names import stored as stored

FORMAT = 2  # of the file; a higher one than the program's own is refused
KEEP = 2  # number of checkpoints kept
FOOTER_BYTES = 2**16  # more than the footer has
# Lightning can build objects from these keys on loading. Our configuration is stored elsewhere.
_HYPER_PARAMETERS = ("hyper_parameters", "hparams_name", "hparams_type", "datamodule_hyper_parameters")


class DamagedError(RunError):
    """A checkpoint is not what was written, or cannot be resumed from; an older one may be usable."""


def write(folder: str | Path, state: Mapping[str, Any], step: int, identity: str, options: Any = None) -> Path:
    """Write `state` as the checkpoint of `step`, then delete all but the newest `KEEP` intact ones.

    Checkpoints of later steps are deleted too, because the run has gone back to an earlier step. Once a valid
    checkpoint exists, there is one at every instant. The caller holds the run folder's lock.

    Args:
        folder: created if absent, inside an existing run folder.
        state: nested dicts and lists of tensors and plain values, on any device.
        step: number of optimisation steps done.
        identity: hash of the configuration, compared on loading.
        options: the configuration as plain values, to name the differences when a checkpoint is refused.

    Raises:
        NotFiniteError: a weight is NaN or infinite. After any error, older checkpoints are unchanged.
        RunError: the disk is full (with the bytes needed), or the folder is not writable.
        TypeError: `state` holds a value that `weights_only` loading would refuse.
    """
    path, content = path_of(folder, step), io.BytesIO()
    if bad := _not_finite(state):
        raise NotFiniteError(f"{path}: not written, {bad} is not finite")
    torch.save(state, content)
    content.seek(0)
    if unsafe := torch.serialization.get_unsafe_globals_in_checkpoint(content):
        raise TypeError(f"{path}: a checkpoint holds tensors and plain values, not {', '.join(unsafe)}")
    with contextlib.suppress(OSError):  # what follows names the path
        path.parent.mkdir(exist_ok=True)
    store(path, content, identity, options)
    return path


def store(path: Path, content: io.BytesIO, identity: str, options: Any = None) -> None:
    """The second half of `write`: append the footer to `content`, a pickled state, and write it to `path`."""
    remove_temporaries(path.parent)
    if path.is_dir():  # not created by this program, so it is moved, not deleted
        aside = path.with_name(f"{path.name}.aside-{secrets.token_hex(4)}")
        log.warning("%s: is a folder, moved to %s", path, aside.name)
        path.rename(aside)
    footer = {"format": FORMAT, "step": step_of(path), "identity": identity, "options": options}
    footer["sha256"] = _checksum(content.getbuffer(), footer)
    content.seek(0, os.SEEK_END)
    content.write(b"\n" + json.dumps(footer).encode())
    write_bytes(path, content.getbuffer())
    kept = 1
    for other in stored(path.parent):
        if other == path or other.is_dir():
            continue
        if step_of(other) < step_of(path) and kept < KEEP and _intact(other):
            kept += 1
            continue
        try:
            other.unlink()
        except OSError as error:
            log.warning("%s: cannot be deleted (%s)", other, error.strerror)


def footer_of(path: Path) -> dict[str, Any]:
    """The footer of a checkpoint, not verified. Raises `DamagedError` if there is none."""
    return _read(path, FOOTER_BYTES)[1]


def verified(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Content and footer of a checkpoint whose SHA-256 and step are right. `torch.load` ignores the footer.

    Raises:
        DamagedError: the checksum or the step is wrong.
        RunError: the format is newer than this program's.
    """
    data, footer = _read(path)
    if footer.pop("sha256", None) != _checksum(memoryview(data)[: data.rfind(b"\n")], footer):
        raise DamagedError(f"{path}: its content has changed since it was written (SHA-256)")
    kinds = {"format": int, "step": int, "identity": str}
    if not all(isinstance(footer.get(name), kind) for name, kind in kinds.items()):
        raise DamagedError(f"{path}: its footer is not one of a checkpoint")
    if (found := footer["format"]) > FORMAT:
        raise RunError(f"{path}: has format {found}, this program reads up to {FORMAT}; use the version that wrote it")
    if footer["step"] != step_of(path):
        raise DamagedError(f"{path}: was written as step {footer['step']}")
    return data, footer


def load(path: Path, identity: str | None, options: Any = None) -> dict[str, Any]:
    """The state in one checkpoint, on the CPU; with `identity` None, of any configuration.

    Raises:
        DamagedError: the checkpoint is not what was written, or its weights are not finite.
        RunError: it belongs to another configuration, or has a newer format.
    """
    data, footer = verified(path)
    if identity is not None and footer["identity"] != identity:
        raise RunError(_refusal(path, footer, identity, options))
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not isinstance(state.get("state_dict"), dict):
            raise TypeError("no dict with a state_dict")
    except MemoryError:
        raise
    except Exception as error:  # a crafted pickle can raise anything
        reason = str(error).strip().partition("\n")[0]
        raise DamagedError(f"{path}: holds more than tensors and plain values ({reason})") from error
    if bad := _not_finite(state):
        raise DamagedError(f"{path}: {bad} is not finite")
    return state


def latest(folder: Path, identity: str, options: Any = None) -> Path | None:
    """The newest usable checkpoint; None if none was ever completed.

    A damaged checkpoint is skipped with a warning. The caller holds the run folder's lock.

    Raises:
        RunError: all are damaged, or one belongs to another configuration or has a newer format.
    """
    remove_temporaries(folder)
    reason = ""
    for path in stored(folder):
        try:
            load(path, identity, options)
            return path
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

    def __init__(self, identity: str, options: Any = None) -> None:
        self.identity, self.options = identity, options

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint; see `write`."""
        write(Path(path).parent, checkpoint, step_of(Path(path)), self.identity, self.options)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """Load a checkpoint; see `load`. The other arguments are ignored: to the CPU, with `weights_only=True`."""
        state = load(Path(path), self.identity, self.options)
        return {key: value for key, value in state.items() if key not in _HYPER_PARAMETERS}

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _read(path: Path, last: int | None = None) -> tuple[bytes, dict[str, Any]]:
    """The content of a checkpoint, or its `last` bytes, and its footer."""
    if not path.is_file():
        raise DamagedError(f"{path}: is not a file")
    try:
        with open(path, "rb") as file:
            file.seek(0 if last is None else max(0, path.stat().st_size - last))
            data = file.read()
        footer = json.loads(data[data.rfind(b"\n") + 1 :])
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        footer = None
    if not isinstance(footer, dict) or "identity" not in footer:
        raise DamagedError(f"{path}: is truncated or damaged")
    return data, footer


def _checksum(payload: memoryview, footer: Mapping[str, Any]) -> str:
    found = hashlib.sha256(payload)
    found.update(json.dumps(footer, sort_keys=True).encode())
    return found.hexdigest()


def _intact(path: Path) -> bool:
    try:
        return bool(verified(path))
    except RunError:
        return False


def _refusal(path: Path, footer: Mapping[str, Any], identity: str, options: Any) -> str:
    text = f"{path}: belongs to configuration {footer['identity'][:8]}, not to {identity[:8]}"
    if options is not None and footer["options"] is not None:
        text += f" ({'; '.join(differences(flat(footer['options']), flat(options)).values())})"
    return text + "; restart with overwrite=true"


def _not_finite(state: Mapping[str, Any]) -> str | None:
    """The key of the first weight that holds NaN or infinity; None if there is none."""
    for key, value in state.get("state_dict", {}).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return f"state_dict.{key}"
    return None
