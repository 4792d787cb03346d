"""`python -m dip.bench`: print a table of seconds per step and peak memory, and write it as JSON.

Each number is the median over processes. Rows alternate, so that a machine that slows down slows all rows alike:
compare rows of one table, not of two tables. Each measurement has its own process, so that peak memory and the
allocator's settings belong to one row.

Rows: plain (the network in plain PyTorch), ours (a bare loop over the computation of a run), run (a whole run), floor
(the convolutions of the plain network only).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import multiprocessing
import platform
import signal
import sys
from pathlib import Path
from statistics import median
from typing import Any

from dip.configuration.loggers import CSV
from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.hardware.precision import Precision
from dip.model.optimizers import OPTIMIZERS
from dip.nets import Hourglass, Hourglass3d

KNOWN = [
    *("plain fp32", "plain tf32", "ours fp64", "run fp64", "run fp16"),
    *(f"{row} {name}" for row in ("ours", "run", "floor") for name in ("fp32", "tf32", "bf16")),
]
DEFAULT = ["plain fp32", "ours fp32", "ours tf32", "ours bf16", "run fp32", "run bf16", "floor fp32", "floor bf16"]


def in_a_process(name: str, *arguments: Any, module: str = "measure") -> Any:
    """The function `name` of `dip.bench.measure`, or of another module there, called in a new process."""
    found = importlib.import_module(f"dip.bench.{module}")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(getattr(found, name), arguments)


def time_volume(config: Config, repeats: int) -> dict[str, Any]:
    """Measure and print a step of the network in three dimensions."""
    row: dict[str, Any] = in_a_process("measured", config, repeats, module="volumes")
    per_voxel = f"{row['microseconds_per_voxel']:.2f} us and {row['bytes_per_voxel']:,.0f} B per voxel"
    print(
        f"{row['size']:>5}^3  {row['precision']}: {1e3 * row['seconds']:.0f} ms/step, {row['memory'] / 1e6:.0f} MB; {per_voxel}"
    )
    return row


def table(size: int, found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """The medians of each row, and their ratios to the row "plain fp32"; None where that is not measured."""
    rows: list[dict[str, Any]] = []
    for name, measured in found.items():
        seconds, memory = (median(one[key] for one in measured) for key in ("seconds", "memory"))
        row: dict[str, Any] = {"size": size, "row": name, "seconds": seconds, "runs": len(measured), "memory": memory}
        rows.append(row | {"speed": None, "memory_ratio": None, "bytes_per_pixel": memory / size**2})
    for plain in [row for row in rows if row["row"] == "plain fp32"]:
        for row in rows:
            row["speed"] = plain["seconds"] / row["seconds"]
            if plain["memory"] and not row["row"].startswith("floor"):  # the floor saves no activations
                row["memory_ratio"] = row["memory"] / plain["memory"]
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table of one size."""
    print(f"{'size':>5}  {'row':<12}{'ms/step':>10}{'x plain':>9}{'MB':>8}{'of plain':>9}{'B/pixel':>9}")
    for r in rows:
        speed, ratio = ("" if r[key] is None else f"{r[key]:.2f}" for key in ("speed", "memory_ratio"))
        times, memory = f"{r['seconds'] * 1e3:>10.2f}{speed:>9}", f"{r['memory'] / 1e6:>8.0f}{ratio:>9}"
        print(f"{r['size']:>5}  {r['row']:<12}{times}{memory}{r['bytes_per_pixel']:>9.0f}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m dip.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = made.add_argument
    add("--sizes", type=int, nargs="+", default=[256], help="sides of the image (default 256)")
    add("--channels", type=int, default=128, help="feature maps of every level (default 128)")
    add("--skips", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="levels with skip connections (default all five)")
    add("--steps", type=int, default=8, help="timed steps per measurement (default 8)")
    add("--repeats", type=int, default=3, help="measurements per row (default 3)")
    add("--rows", nargs="+", choices=KNOWN, metavar="ROW", help="rows, for example 'plain fp32' 'ours bf16'")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--compile", action="store_true", help="our network with precision.compile=true")
    add("--graph", action="store_true", help="our network with precision.graph=true (CUDA graphs)")
    add("--checkpoint", action="store_true", help="our network with net.checkpoint_activations=true")
    add("--optimizer", default="adam", choices=tuple(OPTIMIZERS), help="in ours and run; plain uses Adam")
    add("--uniform", action="store_true", help="ours and run with perturbation_distribution=uniform")
    add("--ensemble", type=int, default=1, help="networks of the ensemble, in the rows called run")
    add("--overhead", action="store_true", help="a run against a bare loop, at --sizes and with a tiny network")
    add("--rules", action="store_true", help="an update of each stopping rule against a step, at --sizes")
    add("--volumes", action="store_true", help="a step of net=hourglass3d on a cube of --sizes voxels a side")
    add("--json", type=Path, default=Path("bench.json"), help="output file (default bench.json)")
    return made


def time_rows(config: Config, names: list[str], steps: int, repeats: int) -> list[dict[str, Any]]:
    """Measure and print the table of one size."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            status = f"\r{config.size}: {name}, {repeat + 1} of {repeats}    "
            print(status, end="", file=sys.stderr, flush=True)
            row, precision = name.split()
            wanted = dataclasses.replace(config.precision, name=precision)
            found[name].append(in_a_process("measure", row, dataclasses.replace(config, precision=wanted), steps))
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    rows = table(config.size, found)
    show(rows)
    return rows


def time_overhead(config: Config, repeats: int) -> dict[str, Any]:
    """Measure and print a whole run against the bare loop."""
    found: dict[str, Any] = in_a_process("overhead", config, 50 if config.size > 64 else 500, repeats)
    bare, run, precision = found["bare"] * 1e3, found["run"] * 1e3, config.precision.name
    print(f"{config.size:>5}  {precision}: bare {bare:.3f} ms, run {run:.3f} ms, {found['ratio'] - 1:+.1%} ({run - bare:+.3f} ms)")  # fmt: skip
    problem = {"size": config.size, "channels": getattr(config.net, "channels", None)}
    return {"problem": problem, "precision": precision, **found}


def time_rules(config: Config, steps: int) -> list[dict[str, Any]]:
    """Measure and print an update of each stopping rule against a step."""
    times = in_a_process("rules", config, steps)
    found = []
    for name, seconds in times.items():
        share = seconds / times["step"]
        print(f"{config.size:>5}  {name:<12}{seconds * 1e3:>10.3f} ms{share:>9.2%} of a step")
        found.append({"size": config.size, "rule": name, "seconds": seconds, "share": share})
    return found


def main() -> None:
    """Check the options, measure, print, write."""
    options = parser().parse_args()
    skips = Hourglass().ordered(options.skips)
    for size in [] if options.volumes else options.sizes:
        if (needed := Hourglass().padded(size, size)[0]) != size:  # the plain network does not pad
            parser().error(f"argument --sizes: {size} would be padded to {needed}; for example --sizes {needed}")  # fmt: skip

    import torch

    from dip.hardware import devices

    device = devices.pick_device(options.device)
    names = options.rows or [row for row in DEFAULT if device.type == "cuda" or not row.endswith("tf32")]
    for name in names:
        if not name.startswith("floor"):
            devices.pick_precision(name.split()[1], device)  # raises where the device does not have it
    try:
        options.json.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--json {options.json}: cannot be written ({error.strerror})") from error
    result: dict[str, Any] = {
        "machine": devices.describe(device), "torch": torch.__version__, "python": platform.python_version(),
        "command": ["python", "-m", "dip.bench", *sys.argv[1:]], "rows": [], "overhead": [], "rules": [], "volumes": [],
    }  # fmt: skip
    print(f"{result['machine']}, torch {torch.__version__}")
    config = Config(
        net=Hourglass(channels=options.channels, checkpoint_activations=options.checkpoint), skips=skips, device=str(device),
        precision=Precision(devices.pick_precision("auto", device).name, options.compile, options.graph),
        optimizer=OPTIMIZERS[options.optimizer](), ensemble=options.ensemble, logger=CSV(),
        perturbation_distribution="uniform" if options.uniform else "gaussian",
    )  # fmt: skip
    configs = [dataclasses.replace(config, size=size) for size in options.sizes]
    if options.overhead:
        tiny = dataclasses.replace(config, size=32, net=Hourglass(depth=3, channels=8), skips=[2])
        result["overhead"] = [time_overhead(config, options.repeats) for config in [tiny, *configs]]
    for config in configs:
        if options.volumes:
            net = Hourglass3d(channels=options.channels, checkpoint_activations=options.checkpoint)
            result["volumes"].append(time_volume(dataclasses.replace(config, net=net), options.repeats))
        elif options.rules:
            result["rules"] += time_rules(config, 10 * options.steps)
        elif not options.overhead:
            result["rows"] += time_rows(config, names, options.steps, options.repeats)
        options.json.write_text(json.dumps(result, indent=2) + "\n")  # the next size may exceed the memory


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`: the measuring process ends first
    try:
        main()
    except DipError as error:
        sys.exit(f"error: {error}")
