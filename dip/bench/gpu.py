"""`python -m dip.bench.gpu`: everything that needs an NVIDIA GPU, in one call of at most ten minutes.

The measurements are made in the order of their importance, each in a process of its own, which is ended when its time is
over. The results so far are in `outputs/gpu/gpu.json` after each of them, and what it printed is in `outputs/gpu/NAME.log`.
Runs are in `outputs/gpu/NAME`, with a page; their command resumes them.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dip import runs
from dip.errors import RunError
from dip.report.collect import collect

ROOT = Path(__file__).parents[2]
OUT = Path("outputs/gpu")
MINUTES = 10
"""For all measurements together; those that are left then are not made."""
GRACE = 20
"""Seconds that a run gets to save its checkpoint when its time is over."""

BENCH = "-m dip.bench --sizes 512 --steps 100 --repeats 1 --rows 'plain fp32' 'ours fp32' 'ours tf32' 'ours bf16' 'run bf16'"
REPORT = "train.py -cd sweeps -cn figure3 baselines=false logger=csv 'target=noisy,clean,shuffled,noise'"
TWICE = "train.py baselines=false logger=csv precision=bf16 steps=1000 keep_checkpoint=true"
FAST = "train.py baselines=false logger=csv experiment=fast image=astronaut"
MEASUREMENTS = {
    "tests": (90, "-m pytest -m gpu -q"),
    "graph": (120, f"{BENCH} --json {OUT}/graph.json"),
    "report": (300, f"{REPORT} 'skips=[3,4]' out={OUT}/report"),
    "first": (60, f"{TWICE} out={OUT}/first"),
    "second": (60, f"{TWICE} out={OUT}/second"),
    "layers": (90, f"{BENCH} --json {OUT}/layers.json --options precision.kernels=false"),
    "eager": (120, f"{BENCH} --json {OUT}/eager.json --options precision.graph=false"),
    "report-all": (300, f"{REPORT} 'skips=[1,2,3,4,5]' out={OUT}/report-all"),
    "fast": (90, f"{FAST} size=512 out={OUT}/fast"),
    "two-jobs": (90, f"{TWICE} out={OUT}/two-jobs -m hydra/launcher=gpus hydra.launcher.jobs_per_gpu=2 seed=1,2"),
    "memory": (90, f"-m dip.bench --sizes 256 512 1024 2048 --steps 5 --repeats 1 --rows 'ours bf16' --json {OUT}/memory.json"),
    "tiles": (240, f"{FAST} 'size=[3008,4000]' tile=1024 steps=300 out={OUT}/tiles"),
}  # fmt: skip
"""Name -> seconds at most, and the words after `python`."""


def measure(name: str, words: str, seconds: float) -> dict[str, Any]:
    """Run the command for at most `seconds`: its status ("done", "failed" or "out of time"), seconds, and runs."""
    began = time.monotonic()
    with open(OUT / f"{name}.log", "w") as log:
        # In a process group of its own, so that the jobs of a sweep end too.
        command = [sys.executable, *shlex.split(words)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            status = "failed" if process.wait(seconds) else "done"
        except subprocess.TimeoutExpired:
            status = "out of time"
        finally:
            end(process)
    found: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - began, 1)}
    if (OUT / name).is_dir():
        wanted = ("name", "status", "steps", "psnr", "step_seconds", "seconds", "peak_memory_bytes", "error")
        with contextlib.suppress(RunError):  # ended before its first run
            found["runs"] = [{key: run.result.get(key) for key in wanted} for run in collect(OUT / name)]
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it started: first so that runs save a checkpoint."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            if process.poll() is None:
                os.killpg(process.pid, number)
                process.wait(GRACE)


def same() -> bool | None:
    """Whether two runs of the same options gave the same losses, to the bit; None if one is missing."""
    losses = [path.read_bytes() for name in ("first", "second") for path in (OUT / name).glob("*/losses.npy")]
    return losses[0] == losses[1] if len(losses) == 2 else None


def main() -> int:
    """Measure, print, write; returns the exit status: 1 if a measurement failed."""
    os.chdir(ROOT)
    OUT.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * MINUTES - GRACE
    found: dict[str, Any] = {}
    for name, (most, words) in MEASUREMENTS.items():
        left = min(most, deadline - time.monotonic())
        found[name] = measure(name, words, left) if left > 0 else {"status": "out of time", "seconds": 0}
        found["same_bits_twice"] = same()
        runs.write_json(OUT / "gpu.json", found)
        print(json.dumps({name: found[name]}), flush=True)
    for name in MEASUREMENTS:  # the pages, after all that needs the GPU
        if (OUT / name).is_dir():
            subprocess.run([sys.executable, "-m", "dip.report", str(OUT / name)], check=False)
    return int(any(found[name]["status"] == "failed" for name in MEASUREMENTS))


if __name__ == "__main__":
    sys.exit(main())
