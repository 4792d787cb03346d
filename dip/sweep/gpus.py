"""The GPUs and CPU threads of this machine, found without importing torch into this process."""

import glob
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from dip.options import log

CPU = "cpu"
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""The environment variables that select GPUs. ROCm also reads the first one."""

_DEVICES = ("/dev/nvidia[0-9]*", "/dev/nvidia-caps", "/dev/dxg", "/dev/kfd")
"""Device files of which a machine with a GPU has one: of NVIDIA's driver, of WSL, of AMD's driver."""

_PROBE = """
import torch
for number in range(torch.cuda.device_count()):
    found = torch.cuda.get_device_properties(number)
    print("number" if torch.version.hip or " MIG " in found.name else f"GPU-{found.uuid}")
"""


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that jobs may use, as values for CUDA_VISIBLE_DEVICES; [] if there are none.

    These are the ones that torch sees in another process, in its order. They are named by their UUID where that selects
    them, so that a claim means the same GPU in every terminal. Otherwise (ROCm, instances of a partitioned GPU) they
    have the name of their entry in CUDA_VISIBLE_DEVICES, or their number.
    """
    if not any(glob.glob(pattern) for pattern in _DEVICES):
        return []
    visible = environment.get(VARIABLES[0], environment.get(VARIABLES[1]))
    lines = _output([sys.executable, "-c", _PROBE], 120).split()
    if not lines and visible not in ("", "-1"):
        log.warning("this machine has a GPU, but torch finds none that works; jobs run on the CPU")
    names = [str(number) for number in range(len(lines))] if visible is None else visible.replace(" ", "").split(",")
    pairs = zip(lines, names, strict=False)  # entries behind one that names no GPU are ignored
    return list(dict.fromkeys(name if line == "number" else line for line, name in pairs))


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


def _output(command: Sequence[str], timeout: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of threads for all jobs together: OMP_NUM_THREADS if set, else this process's CPU cores."""
    wanted = environment.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows
