"""Tiny checkpoint states, and ways to damage their files."""

from pathlib import Path
from typing import Any

import torch

from dip.runs.checkpoint_files import latest, load, write


def state(value: float = 1) -> dict[str, Any]:
    return {"state_dict": {"w": torch.full((8, 4), float(value))}, "step": 7}


def put(folder: Path, *steps: int) -> None:
    """Write a checkpoint at each of `steps`, whose weights are the step."""
    for step in steps:
        write(folder, state(step), step, "me")


def usable(folder: Path) -> float | None:
    """The weight in the checkpoint that a run would resume from; None if there is none."""
    found = latest(folder, "me")
    return None if found is None else load(found, "me")["state_dict"]["w"][0, 0].item()


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def cut(percent: int):
    return lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * percent // 100])


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "0 %": cut(0), "1 %": cut(1), "50 %": cut(50), "99 %": cut(99), "one bit": flip_a_bit,
    "no footer": lambda path: path.write_bytes(path.read_bytes().rpartition(b"\n")[0]), "a folder": replace_by_folder,
}  # fmt: skip
