"""What holds of every run folder, whatever happened to it."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from dip import runs
from dip.runs.generations import stored, verified

UNEQUAL = ("seconds", "step_seconds", "peak_memory_bytes", "device")  # of a result: what the machine was like


def evidence(folder: Path, checkpoint: bool = True) -> dict[str, Any]:
    """What must be the same, byte for byte, whether a run was disturbed or not."""
    with open(folder / "metrics.csv", newline="") as file:
        rows = [
            {name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]
    pictures = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    found: dict[str, Any] = {"rows": rows, "losses": (folder / "losses.npy").read_bytes(), **pictures}
    found["result"] = numbers(folder)
    if checkpoint:
        found["checkpoint"] = state(folder)
    return found


def numbers(folder: Path) -> dict[str, Any]:
    """What a result says about the computation."""
    result = json.loads((folder / "result.json").read_text())
    kept = {key: value for key, value in result.items() if key not in UNEQUAL}
    for option in ("out", "overwrite"):
        kept["config"].pop(option)
    return kept


def state(folder: Path) -> dict[str, bytes]:
    """The tensors of the newest checkpoint, as bytes, by dotted name: weights, average, moments, losses, the rule's."""
    for path in stored(folder / "checkpoints")[:1]:
        return dict(_tensors(torch.load(io.BytesIO(verified(path)[0]), weights_only=True)))
    return {}


def _tensors(value: Any, name: str = "") -> list[tuple[str, bytes]]:
    if isinstance(value, torch.Tensor):
        return [(name, value.reshape(-1).clone().view(torch.uint8).numpy().tobytes())]
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else ()
    )
    return [leaf for key, item in pairs for leaf in _tensors(item, f"{name}.{key}")]


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys in which two evidences are not the same, a level further down where both are dicts."""
    found = []
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if a != b:
            deeper = isinstance(a, dict) and isinstance(b, dict)
            found.append(f"{key}({', '.join(differences(a, b))})" if deeper else key)
    return found


def litter(folder: Path) -> list[str]:
    """Temporary files, and the lock, that a run at its end must not have left."""
    return [str(path.relative_to(folder)) for path in [*folder.rglob(".*.tmp"), *folder.glob(".lock")]]


def locked(folder: Path) -> bool:
    """Whether somebody holds the folder although its run has ended."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def usable(folder: Path) -> bool:
    """Whether the run can go on: it has no checkpoint yet, or an intact one."""
    places = stored(folder / "checkpoints")
    for path in places:
        try:
            verified(path)
        except runs.RunError:
            continue
        return True
    return not places


def complaints(folder: Path, code: int, text: str, before: Collection[str] = ()) -> list[str]:
    """What is wrong with a folder that a run has left with exit status `code`, having printed `text`.

    `before` is the litter that it found: a run that ended before it held the folder cannot have removed it.
    """
    found = []
    result = runs.read_result(folder)
    status = None if result is None else result["status"]
    if locked(folder):
        found.append("the lock outlived its process")
    left = [path for path in litter(folder) if code == 0 or path not in before]
    if code >= 0 and left:
        found.append(f"left {', '.join(left)}")
    if "Traceback" in text and code not in (130, -2):
        found.append(f"a traceback: {text.strip().splitlines()[-1]}")
    if code == 0 and status not in ("finished", "stopped"):
        found.append(f"exit status 0, but the run is {status}")
    if (
        code in (129, 130, 143)
        and result is not None
        and status not in ("interrupted", "finished", "stopped", "failed")
    ):
        found.append(f"exit status {code}, but the run is {status}")
    if code == 1 and "error: " not in text:
        found.append("failed without a reason")
    if status == "failed" and not (result or {}).get("error"):
        found.append("result.json says failed and not why")
    return found
