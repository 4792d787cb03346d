"""The GPUs and CPU threads of this machine, found without importing torch."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

CPU = "cpu"


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that jobs may use, as values for CUDA_VISIBLE_DEVICES; [] if there are none.

    These are the ones in CUDA_VISIBLE_DEVICES if it is set, else all. They are named by UUID, so that a claim means the
    same GPU in every terminal. Each instance of a partitioned GPU (MIG) counts as a GPU.
    """
    cards = _parsed(_nvidia_smi())
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [part for parts in cards for part in parts]
    chosen: list[str] = []
    for entry in (entry.strip() for entry in visible.split(",")):
        index = int(entry) if entry.isdigit() else None
        if entry in ("", "-1") or (cards and index is not None and index >= len(cards)):
            break  # CUDA ignores everything after an invalid entry
        chosen.append(entry if index is None or not cards else cards[index][0])
    return list(dict.fromkeys(chosen))


def _nvidia_smi() -> str:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _parsed(text: str) -> list[list[str]]:
    """Parse the output of `nvidia-smi -L`: one list per card, with its UUID or those of its MIG instances."""
    cards: list[list[str]] = []
    for line in text.splitlines():
        found = re.search(r"UUID: ((?:GPU|MIG)-[^)\s]+)", line)
        if found and line.startswith("GPU"):
            cards.append([found[1]])
        elif found and cards:
            cards[-1].append(found[1])
    return [card[1:] or card for card in cards]


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of threads for all jobs together: OMP_NUM_THREADS if set, else this process's CPU cores."""
    wanted = environment.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows
