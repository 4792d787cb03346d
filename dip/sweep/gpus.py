"""Which GPUs there are and how many threads a job may use, without importing torch."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

CPU = "cpu"


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that jobs may use, as values for CUDA_VISIBLE_DEVICES; [] where there is none.

    Those of CUDA_VISIBLE_DEVICES where it is set, else all. They are named by UUID, so that a claim means the same card
    in every terminal; of a card that is split (MIG), each part counts.
    """
    cards = _listed(_nvidia_smi())
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [part for parts in cards for part in parts]
    chosen: list[str] = []
    for entry in (entry.strip() for entry in visible.split(",")):
        if not entry or entry == "-1":
            break  # as CUDA reads it: what follows an invalid entry is not there
        chosen.append(cards[int(entry)][0] if entry.isdigit() and int(entry) < len(cards) else entry)
    return list(dict.fromkeys(chosen))


def _nvidia_smi() -> str:
    try:
        return subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _listed(text: str) -> list[list[str]]:
    """The output of `nvidia-smi -L` as one list per card: of the card, or of its MIG parts."""
    cards: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        found = re.search(r"UUID: ((?:GPU|MIG)-[^)\s]+)", line)
        if found is None:
            continue
        if line.startswith("GPU"):
            cards.append((found[1], []))
        elif cards:
            cards[-1][1].append(found[1])
    return [parts or [card] for card, parts in cards]


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """The threads that all jobs together may use: OMP_NUM_THREADS where it is set, else the cores we may run on."""
    wanted = environment.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
