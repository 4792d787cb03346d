"""The GPUs and CPU threads of this machine, found without importing torch into this process."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

CPU = "cpu"
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""The environment variables that select GPUs. ROCm also reads the first one."""

_DEVICES = ("/dev/nvidia[0-9]*", "/dev/nvidia-caps", "/dev/dxg", "/dev/kfd")
"""Device files of which a machine with a GPU has one: of NVIDIA's driver, of WSL, of AMD's driver."""

_PROBE = """
import torch
for number in range(torch.cuda.device_count()):
    uuid = getattr(torch.cuda.get_device_properties(number), "uuid", None)
    print("number" if uuid is None or torch.version.hip else f"GPU-{uuid}")
"""


@dataclasses.dataclass(frozen=True)
class Card:
    """A GPU in a listing of `nvidia-smi -L`."""

    model: str
    uuid: str
    parts: tuple[str, ...]
    """UUIDs of the instances of a partitioned GPU (MIG)."""

    @property
    def places(self) -> tuple[str, ...]:
        """The devices that jobs can use."""
        return self.parts or (self.uuid,)


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that jobs may use, as values for CUDA_VISIBLE_DEVICES; [] if there are none.

    These are the ones in CUDA_VISIBLE_DEVICES if it is set, else all. They are named by their whole UUID where that is
    known, so that a claim means the same GPU in every terminal. Each instance of a partitioned GPU (MIG) counts as a
    GPU. As for CUDA, everything after the first entry that names no GPU is ignored.

    Without `nvidia-smi` (some containers, ROCm), or where numbers have another order than its listing, another process
    asks torch.
    """
    visible = environment.get(VARIABLES[0], environment.get(VARIABLES[1]))
    cards = _parsed(_output(["nvidia-smi", "-L"], 30))
    if visible is None and cards:
        return [place for card in cards for place in card.places]
    entries = None if visible is None else [entry.strip() for entry in visible.split(",")]
    if entries is not None and entries[0] in ("", "-1"):
        return []
    numbers = any(entry.isdigit() for entry in entries or ())
    # CUDA counts the fastest GPU as 0, nvidia-smi counts in the order of the PCI bus.
    same_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({card.model for card in cards}) == 1
    if not cards or (numbers and not same_order):
        return _asked_of_torch(entries)
    found = []
    for entry in entries or ():
        matching = [name for name in (_named(entry, card, number) for number, card in enumerate(cards)) if name]
        if len(matching) != 1:
            break
        found += matching
    return list(dict.fromkeys(found))


def _named(entry: str, card: Card, number: int) -> str | None:
    """The place on `card` that `entry` of CUDA_VISIBLE_DEVICES means, a number or the beginning of a UUID."""
    if entry.isdigit():
        return card.places[0] if int(entry) == number else None
    if entry.startswith("GPU-") and card.uuid.startswith(entry):
        return card.places[0]  # of a partitioned GPU, CUDA uses the first instance
    parts = [part for part in card.parts if entry.startswith("MIG-") and part.startswith(entry)]
    return parts[0] if len(parts) == 1 else None


def _asked_of_torch(entries: Sequence[str] | None) -> list[str]:
    """The GPUs that CUDA or ROCm shows to a process with this environment, in its own order."""
    if not any(glob.glob(pattern) for pattern in _DEVICES):
        return []
    lines = _output([sys.executable, "-c", _PROBE], 120).split()
    names = entries or [str(number) for number in range(len(lines))]
    pairs = zip(lines, names, strict=False)
    return list(dict.fromkeys(name if line == "number" or name.startswith("MIG-") else line for line, name in pairs))


def free_memory() -> dict[str, float] | None:
    """The free part of each GPU's memory, from 0 to 1, by UUID; None if that cannot be found.

    What other users and runs outside of a sweep hold is not free. A GPU that is lost is not listed.
    """
    listed = ["--query-gpu=uuid,memory.free,memory.total", "--format=csv,noheader,nounits"]
    found = {}
    for line in _output(["nvidia-smi", *listed], 30).splitlines():
        uuid, *sizes = (word.strip() for word in line.split(","))
        if uuid.startswith("GPU-"):
            known = len(sizes) == 2 and all(size.isdigit() for size in sizes) and int(sizes[1])
            found[uuid] = int(sizes[0]) / int(sizes[1]) if known else 1.0
    return found or None


def works(device: str) -> bool:
    """Whether a new process can compute on the GPU `device`, a value for CUDA_VISIBLE_DEVICES."""
    code = "import torch; print(torch.ones(1, device='cuda').item())"
    chosen = dict.fromkeys(VARIABLES if VARIABLES[1] in os.environ else VARIABLES[:1], device)
    return "1.0" in _output([sys.executable, "-c", code], 120, {**os.environ, **chosen})


def _output(command: Sequence[str], timeout: float, environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _parsed(text: str) -> list[Card]:
    """Parse the output of `nvidia-smi -L`."""
    cards: list[Card] = []
    for line in text.splitlines():
        found = re.search(r"UUID: ((?:GPU|MIG)-[^)\s]+)", line)
        if found and line.startswith("GPU"):
            cards.append(Card(line.partition(":")[2].partition("(")[0].strip(), found[1], ()))
        elif found and cards:
            cards[-1] = dataclasses.replace(cards[-1], parts=(*cards[-1].parts, found[1]))
    return cards


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of threads for all jobs together: OMP_NUM_THREADS if set, else this process's CPU cores."""
    wanted = environment.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows
