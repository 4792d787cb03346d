"""Compare the time to quality: `python -m dip.bench.time_to_quality --slow FOLDER 0.82 --fast FOLDER 0.046`.

Reads two folders of runs that restore the same images. The seconds per step come from the benchmark and not from the
run folders, since other processes may have slowed the runs down. The time to quality ends at the first recorded step
whose averaged output is within 0.1 dB of the best PSNR of the slow runs of the same image. PSNRs are averaged over
seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dip import runs
from dip.errors import DipError, RunError
from dip.report import figures
from dip.report.tables import csv_text

NEAR = 0.1  # dB


def curves(folder: Path, seconds: float) -> dict[str, tuple[Any, Any]]:
    """Image -> (seconds, PSNR of the averaged output in dB) of each record, averaged over the runs of that image.

    Raises:
        RunError: a run has no reference, or two runs of one image have different recorded steps.
    """
    found = {}
    for image, same in _by_image(folder).items():
        histories = [runs.history(run["folder"]) for run in same]
        steps, psnr = ([history.get(column, []) for history in histories] for column in ("step", "psnr_ema"))
        if any(at != steps[0] for at in steps) or not all(np.isfinite(values).any() for values in psnr):
            folders = ", ".join(run["folder"] for run in same)
            example = "for example reference=clean.png stop=never"
            raise RunError(f"{folders}: give runs with a reference and equal steps, {example}")
        found[image] = np.asarray(steps[0]) * seconds, np.mean(psnr, axis=0)
    return found


def ends(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Image -> PSNR in dB of the image restored with early stopping, and the seconds of the run; means over runs.

    Raises:
        RunError: a run has no reference.
    """
    found = {}
    for image, same in _by_image(folder).items():
        if any(run["psnr"] is None for run in same):
            raise RunError(f"{folder}: give runs with a reference, for example reference=clean.png")
        ended, steps = (float(np.mean([run[name] for run in same])) for name in ("psnr", "steps"))
        found[image] = {"ended": ended, "ended_seconds": steps * seconds}
    return found


def _by_image(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs.read(folder):
        found.setdefault(Path(run["config.image"]).stem.removesuffix("_noisy"), []).append(run)
    return found


def compare(slow: Mapping[str, tuple[Any, Any]], fast: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    """One row per common image: best PSNR of each in dB, seconds to within 0.1 dB of the slow best, and speed-ups.

    `ratio` is relative to the seconds of the slow run to its best, `ratio_near` to those to within 0.1 dB of it.
    """
    table = []
    for name in sorted(slow.keys() & fast.keys()):
        (slow_at, slow_psnr), (fast_at, fast_psnr) = slow[name], fast[name]
        best, to_best = float(np.nanmax(slow_psnr)), float(slow_at[int(np.nanargmax(slow_psnr))])
        slow_near, fast_near = _first(slow_at, slow_psnr, best - NEAR), _first(fast_at, fast_psnr, best - NEAR)
        row = {"image": name, "slow_best": best, "slow_seconds": to_best, "slow_near": slow_near}
        row |= {"fast_best": float(np.nanmax(fast_psnr)), "fast_near": fast_near}
        ratios = {"ratio": to_best, "ratio_near": slow_near}
        table.append(row | {ratio: fast_near and took / fast_near for ratio, took in ratios.items()})
    return table


def _first(at: Any, psnr: Any, wanted: float) -> Any:
    """The seconds at which the curve first reaches `wanted`; None if it does not."""
    there = np.flatnonzero(psnr >= wanted)
    return float(at[there[0]]) if len(there) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write table, curves and figure; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dip.bench.time_to_quality", description=__doc__)
    for name in ("--slow", "--fast"):
        parser.add_argument(
            name, nargs=2, required=True, metavar=("FOLDER", "SECONDS"), help="runs, and seconds per step"
        )
    parser.add_argument("--ended", type=Path, metavar="FOLDER", help="runs as for --fast, with early stopping")
    parser.add_argument("--to", type=Path, default=Path("."), help="folder for the table, the curves and the figure")
    given = parser.parse_args(arguments)
    try:
        slow, fast = (curves(Path(folder), float(seconds)) for folder, seconds in (given.slow, given.fast))
        table = compare(slow, fast)
        ended = ends(given.ended, float(given.fast[1])) if given.ended else {}
        for row in table:
            if known := ended.get(row["image"]):
                row |= known | {"ended_ratio": row["slow_seconds"] / known["ended_seconds"]}
        if not table:
            raise RunError("--slow and --fast have no image in common; give runs of the same images")
        given.to.mkdir(parents=True, exist_ok=True)
        runs.write_text(given.to / "table.csv", csv_text(table))
        points = [
            {"image": row["image"], "way": way, "seconds": at, "psnr": psnr}
            for row in table
            for way, found in (("slow", slow), ("fast", fast))
            for at, psnr in zip(*found[row["image"]], strict=True)
        ]
        runs.write_text(given.to / "curves.csv", csv_text(points))
        figures.quality_curves(
            given.to / "quality", {row["image"]: (slow[row["image"]], fast[row["image"]]) for row in table}
        )
    except (DipError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for row in table:
        reached = "never" if row["fast_near"] is None else f"{row['fast_near']:.0f} s, {row['ratio']:.1f} x"
        print(f"{row['image']:<12} slow {row['slow_best']:.2f} dB after {row['slow_seconds']:.0f} s; fast there after {reached}, best {row['fast_best']:.2f} dB")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
