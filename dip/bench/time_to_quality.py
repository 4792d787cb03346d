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
    found: dict[str, list[tuple[Any, Any]]] = {}
    for run in runs.read(folder):
        same = found.setdefault(_image(run), [])
        history = runs.history(run["folder"])
        psnr = np.asarray(history.get("psnr_ema", []), dtype=np.float64)
        if not np.isfinite(psnr).any() or (same and not np.array_equal(same[0][0], history["step"])):
            raise RunError(
                f"{run['folder']}: give runs with a reference and equal steps, for example reference=clean.png stop=never"
            )
        same.append((history["step"], psnr))
    return {
        name: (np.asarray(same[0][0]) * seconds, np.mean([psnr for _, psnr in same], axis=0))
        for name, same in found.items()
    }


def ends(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Image -> PSNR in dB of the image restored with early stopping, and the seconds of the run; means over runs.

    Raises:
        RunError: a run has no reference.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs.read(folder):
        if run["psnr"] is None:
            raise RunError(f"{run['folder']}: give runs with a reference, for example reference=clean.png")
        found.setdefault(_image(run), []).append((run["psnr"], run["steps"] * seconds))
    return {
        image: dict(zip(("ended", "ended_seconds"), np.mean(ends, axis=0).tolist(), strict=True))
        for image, ends in found.items()
    }


def _image(run: Mapping[str, Any]) -> str:
    return Path(run["config.image"]).stem.removesuffix("_noisy")


def compare(slow: Mapping[str, tuple[Any, Any]], fast: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    """One row per common image: best PSNR of each in dB, seconds to within 0.1 dB of the slow best, and speed-ups.

    `ratio` is relative to the seconds of the slow run to its best, `ratio_near` to those to within 0.1 dB of it.
    """
    table = []
    for name in sorted(slow.keys() & fast.keys()):
        (slow_at, slow_psnr), (fast_at, fast_psnr) = slow[name], fast[name]
        best = float(np.nanmax(slow_psnr))
        near = [_first(at, psnr, best - NEAR) for at, psnr in ((slow_at, slow_psnr), (fast_at, fast_psnr))]
        to_best = float(slow_at[int(np.nanargmax(slow_psnr))])
        known = near[1] is not None
        table.append(
            {
                "image": name, "slow_best": best, "slow_seconds": to_best, "slow_near": near[0],
                "fast_best": float(np.nanmax(fast_psnr)), "fast_near": near[1],
                "ratio": to_best / near[1] if known else None, "ratio_near": near[0] / near[1] if known else None,
            }
        )  # fmt: skip
    return table


def _first(at: Any, psnr: Any, wanted: float) -> Any:
    """The seconds at which the curve first reaches `wanted`; None if it does not."""
    there = np.flatnonzero(psnr >= wanted)
    return float(at[there[0]]) if len(there) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write table, curves and figure; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dip.bench.time_to_quality", description=__doc__)
    for name in ("slow", "fast"):
        parser.add_argument(
            f"--{name}",
            nargs=2,
            required=True,
            metavar=("FOLDER", "SECONDS"),
            help="runs, and seconds per step",
        )
    parser.add_argument(
        "--ended", type=Path, metavar="FOLDER", help="runs like those of --fast, but with early stopping"
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=Path("."),
        help="folder of table.csv, curves.csv and quality.png (default: the current one)",
    )
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
            given.to / "quality", {name: (slow[name], fast[name]) for name in slow.keys() & fast.keys()}
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
