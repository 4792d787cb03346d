"""`python -m dip.bench`: one table of seconds per step and peak memory, and the same as JSON.

Every figure is the median over processes that take turns, so that a machine that slows down slows all rows alike;
compare rows of one table, not of two. Each measurement has a process of its own: peak memory belongs to it alone, and
the allocator's settings of one row cannot leak into the next.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import signal
import statistics
import sys
from pathlib import Path
from typing import Any

from dip.bench.measure import measure, overhead, rules
from dip.configuration.schema import OPTIMIZERS
from dip.errors import DipError, RunError
from dip.nets import Hourglass

KNOWN = ("plain fp32", "plain tf32", *(f"{row} {name}" for row in ("ours", "run", "floor") for name in ("fp32", "tf32", "bf16")),
         "ours fp64", "run fp64", "run fp16")  # fmt: skip
ROWS = (("plain", "fp32"), ("ours", "fp32"), ("ours", "tf32"), ("ours", "bf16"), ("run", "fp32"), ("run", "bf16"),
        ("floor", "fp32"), ("floor", "bf16"))  # fmt: skip


def in_a_process(function: Any, *arguments: Any) -> Any:
    """`function(*arguments)` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def table(size: int, found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Medians per row, and their ratio to the plain network's."""
    rows = []
    plain = statistics.median(m["seconds"] for m in found["plain fp32"]) if "plain fp32" in found else None
    memory = statistics.median(m["memory"] for m in found["plain fp32"]) if "plain fp32" in found else None
    for name, measured in found.items():
        seconds = statistics.median(m["seconds"] for m in measured)
        used = statistics.median(m["memory"] for m in measured)
        rows.append(
            {
                "size": size, "row": name, "seconds": seconds, "runs": len(measured), "memory": used,
                "speed": None if plain is None else plain / seconds,
                "memory_ratio": used / memory if memory and not name.startswith("floor") else None,
                "bytes_per_pixel": used / size**2,
            }
        )  # fmt: skip
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table of one size."""
    print(f"{'size':>5}  {'what':<12}{'ms/step':>10}{'x plain':>9}{'MB':>8}{'of plain':>9}{'B/pixel':>9}")
    for r in rows:
        speed = "" if r["speed"] is None else f"{r['speed']:.2f}"
        memory = "" if r["memory_ratio"] is None else f"{r['memory_ratio']:.2f}"
        print(
            f"{r['size']:>5}  {r['row']:<12}{r['seconds'] * 1e3:>10.2f}{speed:>9}{r['memory'] / 1e6:>8.0f}{memory:>9}"
            f"{r['bytes_per_pixel']:>9.0f}"
        )


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m dip.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[256], help="sides of the image (default 256)"
    )
    parser.add_argument("--channels", type=int, default=128, help="feature maps of every level (default 128)")
    parser.add_argument(
        "--skips", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="levels with skips (default all five)"
    )
    parser.add_argument("--steps", type=int, default=8, help="timed steps per measurement (default 8)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements per row, in turn (default 3)")
    parser.add_argument(
        "--rows", nargs="+", choices=KNOWN, metavar="ROW", help="only these, such as 'plain fp32' 'ours bf16'"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--compile", action="store_true", help="compile our network")
    parser.add_argument("--graph", action="store_true", help="replay our network as CUDA graphs")
    parser.add_argument(
        "--checkpoint", action="store_true", help="our network with net.checkpoint_activations=true"
    )
    parser.add_argument("--optimizer", default="adam", choices=OPTIMIZERS, help="ours (plain has Adam)")
    parser.add_argument("--uniform", action="store_true", help="ours with perturbation_distribution=uniform")
    parser.add_argument(
        "--ensemble", type=int, default=1, help="networks side by side in the rows called run"
    )
    parser.add_argument(
        "--overhead", action="store_true", help="a run against a bare loop, at --sizes and on a tiny network"
    )
    parser.add_argument(
        "--rules", action="store_true", help="an update of each stopping rule against a step, at --sizes"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("bench.json"), help="where the figures go (default bench.json)"
    )
    options = parser.parse_args()
    skips = Hourglass().ordered(options.skips)
    for size in options.sizes:
        if (needed := Hourglass().padded(size, size)[0]) != size:  # plain knows no padding
            parser.error(f"argument --sizes: {size} is padded to {needed} by the network, which would be what is timed; "
                         f"for example --sizes {needed}")  # fmt: skip

    import torch

    from dip.hardware import devices

    device = devices.pick_device(options.device)
    usable = [row for row in ROWS if device.type == "cuda" or row[1] != "tf32"]
    names = options.rows or [" ".join(row) for row in usable]
    for name in names:
        if not name.startswith("floor"):
            devices.pick_precision(name.split()[1], device)  # raises where the device cannot
    try:
        options.json.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--json {options.json}: cannot be written ({error.strerror})") from error
    result: dict[str, Any] = {
        "machine": devices.describe(device), "torch": torch.__version__, "python": platform.python_version(),
        "command": ["python", "-m", "dip.bench", *sys.argv[1:]], "rows": [], "overhead": [], "rules": [],
    }  # fmt: skip
    print(f"{result['machine']}, torch {torch.__version__}")
    common = {
        "skips": tuple(skips),
        "device": str(device),
        "speedups": tuple(way for way in ("compile", "graph") if getattr(options, way)),
        "checkpoint": options.checkpoint,
        "optimizer": options.optimizer,
        "perturbation": "uniform" if options.uniform else "gaussian",
        "ensemble": options.ensemble,
    }
    for size in [] if options.overhead or options.rules else options.sizes:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        problem = {"size": size, "channels": options.channels, **common}
        for repeat in range(options.repeats):
            for name in names:
                print(
                    f"\r{size}: {name}, {repeat + 1} of {options.repeats}    ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                row, precision = name.split()
                found[name].append(in_a_process(measure, row, precision, problem, options.steps, 2))
        print("\r" + " " * 60, end="\r", file=sys.stderr)
        rows = table(size, found)
        show(rows)
        result["rows"] += rows
    if options.overhead:
        tiny = {"size": 32, "channels": 8, "depth": 3, **common, "skips": (2,)}
        for problem in [
            tiny,
            *({"size": size, "channels": options.channels, **common} for size in options.sizes),
        ]:
            precision = devices.pick_precision("auto", device).name
            steps = 50 if problem["size"] > 64 else 500
            found_overhead = in_a_process(overhead, problem, precision, steps, options.repeats)
            extra = (found_overhead["run"] - found_overhead["bare"]) * 1e3
            print(f"{problem['size']:>5}  {problem['channels']} channels {precision}: bare {found_overhead['bare'] * 1e3:.3f} ms, "
                  f"run {found_overhead['run'] * 1e3:.3f} ms, {(found_overhead['ratio'] - 1) * 100:+.1f} % ({extra:+.3f} ms)")  # fmt: skip
            result["overhead"].append({"problem": problem, "precision": precision, **found_overhead})
    for size in options.sizes if options.rules else []:
        problem = {"size": size, "channels": options.channels, **common}
        precision = devices.pick_precision("auto", device).name
        times = in_a_process(rules, problem, precision, 10 * options.steps)
        for name, seconds in times.items():
            share = seconds / times["step"]
            print(f"{size:>5}  {name:<12}{seconds * 1e3:>10.3f} ms{share:>9.2%} of a step")
            result["rules"].append({"size": size, "rule": name, "seconds": seconds, "share": share})
    options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not at once: the measuring process ends first
    try:
        main()
    except DipError as error:
        sys.exit(f"error: {error}")
