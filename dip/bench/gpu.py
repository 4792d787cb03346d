"""`python -m dip.bench.gpu`: everything that needs an NVIDIA GPU, in one call of at most ten minutes.

The measurements are made in the order of their importance, each in a process of its own. The results so far are in
`OUT/gpu.json` after each of them, and what it printed is in `OUT/NAME.log`. A measurement that exceeds the remaining time
is ended, and its runs can be resumed by its command. `--dry-run` prints the commands.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dip import runs

ROOT = Path(__file__).parents[2]
GRACE = 20  # seconds that a run gets to save its checkpoint when its time is over


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One command: its name, its words after `python`, and the seconds that it gets at most."""

    name: str
    words: str
    seconds: int
    folder: str | None = None
    """Of its runs, below the output folder; published as a page there."""


def measurements() -> list[Measurement]:
    """All measurements in the order of their importance. {out} stands for the output folder."""
    bench = "-m dip.bench --sizes 512 --steps 100 --repeats 1"
    rows = "--rows 'plain fp32' 'ours fp32' 'ours tf32' 'ours bf16' 'run bf16'"
    train = "train.py baselines=false logger=csv"
    report = "train.py -cd sweeps -cn figure3 baselines=false logger=csv 'target=noisy,clean,shuffled,noise'"
    again = f"{train} precision=bf16 steps=1000 keep_checkpoint=true out={{out}}"
    photograph = f"{train} experiment=fast image=astronaut size"
    return [
        Measurement("tests", "-m pytest -m gpu -q", 90),
        Measurement("graph", f"{bench} {rows} --json {{out}}/graph.json", 120),
        Measurement("report", f"{report} 'skips=[3,4]' out={{out}}/report", 300, "report"),
        Measurement("first", f"{again}/first", 60, "first"),
        Measurement("second", f"{again}/second", 60, "second"),
        Measurement("layers", f"{bench} {rows} --json {{out}}/layers.json --options precision.kernels=false", 90),
        Measurement("eager", f"{bench} {rows} --json {{out}}/eager.json --options precision.graph=false", 120),
        Measurement("report-all", f"{report} 'skips=[1,2,3,4,5]' out={{out}}/report-all", 300, "report-all"),
        Measurement("fast", f"{photograph}=512 out={{out}}/fast", 90, "fast"),
        Measurement(
            "two-jobs", f"{again}/two-jobs -m hydra/launcher=gpus hydra.launcher.jobs_per_gpu=2 seed=1,2", 90, "two-jobs"
        ),
        Measurement("memory", "-m dip.bench --sizes 256 512 1024 2048 --steps 5 --repeats 1 --rows 'ours bf16' --json {out}/memory.json", 90),
        Measurement("tiles", f"{photograph}=[3008,4000] tile=1024 steps=300 out={{out}}/tiles", 240, "tiles"),
    ]  # fmt: skip


def measure(one: Measurement, out: Path, seconds: float) -> dict[str, Any]:
    """Run the command for at most `seconds`: its status ("done", "failed" or "out of time"), seconds, and runs."""
    began, status = time.monotonic(), "done"
    with open(out / f"{one.name}.log", "w") as log:
        # In a process group of its own, so that the jobs of a sweep end too.
        process = subprocess.Popen(command(one, out), cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            status = "failed" if process.wait(seconds) else "done"
        except subprocess.TimeoutExpired:
            status = "out of time"
        finally:
            end(process)
    found: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - began, 1)}
    if one.folder is not None:
        wanted = ("name", "status", "steps", "psnr", "step_seconds", "seconds", "peak_memory_bytes", "error")
        found["runs"] = [{key: run.get(key) for key in wanted} for run in runs.read(out / one.folder)]
    return found


def command(one: Measurement, out: Path) -> list[str]:
    """The words of the command."""
    return [sys.executable, *shlex.split(one.words.format(out=shlex.quote(str(out))))]


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it started: first so that runs save a checkpoint."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            if process.poll() is None:
                os.killpg(process.pid, number)
                process.wait(GRACE)


def same(out: Path) -> bool | None:
    """Whether two runs of the same options gave the same losses, to the bit; None if one is missing."""
    losses = [path.read_bytes() for name in ("first", "second") for path in (out / name).glob("*/losses.npy")]
    return losses[0] == losses[1] if len(losses) == 2 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status: 1 if a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m dip.bench.gpu", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/gpu"), help="folder of the results (default outputs/gpu)"
    )
    parser.add_argument("--minutes", type=float, default=10, help="for all measurements together (default 10)")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in measurements()], help="some of them")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and measure nothing")
    options = parser.parse_args(arguments)
    out, chosen = options.out.resolve(), [one for one in measurements() if not options.only or one.name in options.only]
    if options.dry_run:
        for one in chosen:
            print(f"# {one.name}, at most {one.seconds} s\n{shlex.join(['python', *command(one, out)[1:]])}")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes - GRACE
    found: dict[str, Any] = {}
    for one in chosen:
        left = min(one.seconds, deadline - time.monotonic())
        found[one.name] = measure(one, out, left) if left > 0 else {"status": "out of time", "seconds": 0}
        found["same_bits_twice"] = same(out)
        runs.write_json(out / "gpu.json", found)
        print(json.dumps({one.name: found[one.name]}), flush=True)
    for one in chosen:  # the pages, after all that needs the GPU
        if one.folder is not None and (out / one.folder).is_dir():
            subprocess.run([sys.executable, "-m", "dip.report", str(out / one.folder)], cwd=ROOT, check=False)
    return int(any(found[one.name]["status"] == "failed" for one in chosen))


if __name__ == "__main__":
    sys.exit(main())
