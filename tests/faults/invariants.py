"""What must hold for every run folder after any fault."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from dip import runs
from dip.errors import RunError
from dip.runs.checkpoints import stored, verified

UNEQUAL = (
    "seconds",
    "step_seconds",
    "peak_memory_bytes",
    "device",
)  # entries of a result that depend on the machine


def evidence(folder: Path) -> dict[str, Any]:
    """What must be equal, byte for byte, whether a run was disturbed or not."""
    with open(folder / "metrics.csv", newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    pictures = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    losses = (folder / "losses.npy").read_bytes()
    return {
        "rows": rows,
        "losses": losses,
        **pictures,
        "result": numbers(folder),
        "checkpoint": tensors(folder),
    }


def numbers(folder: Path) -> dict[str, Any]:
    """The entries of a result that do not depend on the machine."""
    result = json.loads((folder / "result.json").read_text())
    kept = {key: value for key, value in result.items() if key not in UNEQUAL}
    for option in ("out", "overwrite"):
        kept["config"].pop(option)
    return kept


def tensors(folder: Path) -> dict[str, bytes]:
    """The tensors of the newest checkpoint as bytes, by dotted name: weights, average, moments, losses, the rule's."""
    for path in stored(folder / "checkpoints")[:1]:
        return dict(_tensors(torch.load(io.BytesIO(verified(path)[0]), weights_only=True)))
    return {}


def _tensors(value: Any, name: str = "") -> list[tuple[str, bytes]]:
    if isinstance(value, torch.Tensor):
        return [(name, value.reshape(-1).clone().view(torch.uint8).numpy().tobytes())]
    if not isinstance(value, (dict, list, tuple)):
        return []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [leaf for key, item in pairs for leaf in _tensors(item, f"{name}.{key}")]


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys in which two evidences differ; one level deeper for dicts."""
    found = []
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if a != b:
            deeper = isinstance(a, dict) and isinstance(b, dict)
            found.append(f"{key}({', '.join(differences(a, b))})" if deeper else key)
    return found


def litter(folder: Path) -> list[str]:
    """Temporary files and the lock, which a run must remove when it ends."""
    return [str(path.relative_to(folder)) for path in [*folder.rglob(".*.tmp"), *folder.glob(".*lock")]]


def locked(folder: Path) -> bool:
    """True if a process holds the folder."""
    path = folder / ".flock"
    if path.exists():
        try:
            FileLock(path, timeout=0).acquire().lock.release()
        except Timeout:
            return True
    return False


def usable(folder: Path) -> bool:
    """True if the run can be resumed: it has no checkpoint yet, or an intact one."""
    places = stored(folder / "checkpoints")
    for path in places:
        try:
            verified(path)
        except RunError:
            continue
        return True
    return not places


def complaints(folder: Path, code: int, text: str, before: Collection[str] = ()) -> list[str]:
    """What is wrong with a folder after a run that printed `text` and ended with exit status `code`.

    `before` is the litter that the run found. A run that ended before it held the folder cannot have removed it.
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
    if code == 1 and "error: " not in text:
        found.append("failed without a reason")
    if status == "failed" and not (result or {}).get("error"):
        found.append("result.json says failed without a reason")
    return found
