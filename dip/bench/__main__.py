"""`python -m dip.bench`: print a table of seconds per step and peak memory, and write it as JSON.

Each number is the median over processes. Rows alternate, so that a machine that slows down slows all rows alike:
compare rows of one table, not of two tables. Each measurement has its own process, so that peak memory and the
allocator's settings belong to one row.

Rows: plain (the network in plain PyTorch), ours (a bare loop over the computation of a run), run (a whole run), floor
(the convolutions of the plain network only).
"""

import argparse
import dataclasses
import json
import multiprocessing
import platform
import signal
import sys
from pathlib import Path
from statistics import median
from typing import Any

from dip.configuration import cli, composition, shipped
from dip.configuration.schema import Config
from dip.errors import OptionError, RunError
from dip.nets import Hourglass

KNOWN = [
    *("plain fp32", "plain tf32", "ours fp64", "run fp64", "run fp16"),
    *(f"{row} {name}" for row in ("ours", "run", "floor") for name in ("fp32", "tf32", "bf16")),
]
DEFAULT = ["plain fp32", "ours fp32", "ours tf32", "ours bf16", "run fp32", "run bf16", "floor fp32", "floor bf16"]


def in_a_process(name: str, *arguments: Any) -> Any:
    """The function `name` of `dip.bench.measure`, called in a new process."""
    from dip.bench import measure

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(getattr(measure, name), arguments)


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
    add("--steps", type=int, default=8, help="timed steps per measurement (default 8)")
    add("--repeats", type=int, default=3, help="measurements per row (default 3)")
    add("--rows", nargs="+", choices=KNOWN, metavar="ROW", help="rows, for example 'plain fp32' 'ours bf16'")
    add("--json", type=Path, default=Path("bench.json"), help="output file (default bench.json)")
    add(
        "--options", nargs="+", default=[], metavar="NAME=VALUE",
        help="options of train.py, for example net.channels=32 optimizer=muon precision.graph=true; plain and floor use\n"
        "net and skips of them, ensemble counts in the rows called run; skips are [1,2,3,4,5] by default",
    )  # fmt: skip
    return made


def configured(words: list[str]) -> Config:
    """The options of train.py as typed, with skip connections at all levels by default."""
    import hydra

    composition.register()
    with hydra.initialize_config_dir(str(shipped.path("conf")), version_base="1.3"):
        composed = hydra.compose("config", ["hydra/launcher=basic", "skips=[1,2,3,4,5]", "logger=csv", *words])
        return composition.read(composed, words)


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


def main() -> None:
    """Check the options, measure, print, write."""
    options = parser().parse_args()
    config = configured(options.options)
    if not isinstance(config.net, Hourglass):
        legal = "hourglass, the network of the row plain"
        raise OptionError("net", config.net.name, legal, "--options net.channels=32")
    for size in options.sizes:
        if (needed := config.net.padded(size, size)[0]) != size:  # the plain network does not pad
            parser().error(f"argument --sizes: {size} would be padded to {needed}; for example --sizes {needed}")

    import torch

    from dip.hardware import devices

    device = devices.pick_device(config.device)
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
        "command": ["python", "-m", "dip.bench", *sys.argv[1:]], "rows": [],
    }  # fmt: skip
    print(f"{result['machine']}, torch {torch.__version__}")
    precision = dataclasses.replace(config.precision, name=devices.pick_precision(config.precision.name, device).name)
    config = dataclasses.replace(config, device=str(device), precision=precision)
    for size in options.sizes:
        result["rows"] += time_rows(dataclasses.replace(config, size=size), names, options.steps, options.repeats)
        options.json.write_text(json.dumps(result, indent=2) + "\n")  # the next size may exceed the memory


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`: the measuring process ends first
    with cli.errors_in_one_line():
        main()
