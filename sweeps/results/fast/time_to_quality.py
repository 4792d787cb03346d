"""Make table.csv, curves.csv and quality.png of this page: `python time_to_quality.py SLOW SECONDS FAST SECONDS ENDED TO`.

SLOW, FAST and ENDED are folders of runs that restore the same images; those of ENDED have early stopping. SECONDS per step
come from the benchmark, since other processes may have slowed the runs down. Curves are means over seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter

from dip.report.collect import Run, collect
from dip.report.figures.sheet import COLORS, DASHED, sheet
from dip.report.tables import csv_text

NEAR = 0.1  # dB


def by_image(folder: str) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in collect(Path(folder)):
        found.setdefault(Path(run.config["image"]).stem.removesuffix("_noisy"), []).append(run)
    return found


def curves(folder: str, seconds: float) -> list[dict]:
    """The PSNR in dB of the averaged output at each record, by image and seconds."""
    points = []
    for image, same in by_image(folder).items():
        histories = [run.history for run in same]
        psnr = np.mean([history["psnr_ema"] for history in histories], axis=0)
        steps = zip(histories[0]["step"], psnr, strict=True)
        points += [{"image": image, "seconds": step * seconds, "psnr": value} for step, value in steps]
    return points


def compared(slow: list[dict], fast: list[dict]) -> list[dict]:
    """A row per image: best PSNR of each, seconds to within 0.1 dB of the slow best, and the speed-ups of both kinds."""
    table = []
    for image in sorted({point["image"] for point in slow}):
        (slow_at, slow_psnr), (fast_at, fast_psnr) = (
            np.array([(float(point["seconds"]), float(point["psnr"])) for point in points if point["image"] == image]).T
            for points in (slow, fast)
        )
        best, to_best = slow_psnr.max(), slow_at[slow_psnr.argmax()]
        slow_near, fast_near = (at[psnr >= best - NEAR][0] for at, psnr in ((slow_at, slow_psnr), (fast_at, fast_psnr)))
        table.append({
            "image": image, "slow_best": best, "slow_seconds": to_best, "slow_near": slow_near, "fast_best": fast_psnr.max(),
            "fast_near": fast_near, "ratio": to_best / fast_near, "ratio_near": slow_near / fast_near,
        })  # fmt: skip
    return table


def quality_curves(path: Path, pairs: dict[str, tuple]) -> None:
    """Draw a panel for each image: PSNR against seconds of slow and fast settings; a line 0.1 dB below the slow maximum.

    `pairs` is image -> (slow, fast), each (seconds, PSNR in dB).
    """
    with sheet(path, (2.6 * len(pairs) + 0.6, 2.7)) as figure:
        panels = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axes, (name, (slow, fast)) in zip(panels, sorted(pairs.items()), strict=True):
            axes.plot(*slow, color=COLORS[1], lw=1.6, label="the paper's settings, plain")
            axes.plot(*fast, color=COLORS[0], lw=1.6, label="fast")
            wanted = float(np.nanmax(np.asarray(slow[1], dtype=np.float64))) - 0.1
            axes.axhline(wanted, **DASHED)
            axes.set_ylim(wanted - 6, wanted + 1)
            axes.set_xscale("log")
            seconds, psnr = (np.asarray(values, dtype=np.float64) for values in fast)
            axes.set_xlim(left=float(seconds[np.argmax(psnr >= wanted - 6)]) / 1.3)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.grid(True)
            axes.set_title(name)
            axes.set_xlabel("seconds (logarithmic)")
        panels[0].set_ylabel("PSNR (dB)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)


def main(slow: str, slow_seconds: str, fast: str, fast_seconds: str, ended: str, to: str) -> None:
    points = {"slow": curves(slow, float(slow_seconds)), "fast": curves(fast, float(fast_seconds))}
    table, stopped = compared(**points), by_image(ended)
    for row in table:
        psnr, steps = (np.mean([run.result[name] for run in stopped[row["image"]]]) for name in ("psnr", "steps"))
        seconds = steps * float(fast_seconds)
        row |= {"ended": psnr, "ended_seconds": seconds, "ended_ratio": row["slow_seconds"] / seconds}
    rows = [{"image": point["image"], "way": way, **point} for way, given in points.items() for point in given]
    for name, made in (("table", table), ("curves", rows)):
        Path(to, f"{name}.csv").write_text(csv_text(made))
    quality_curves(Path(to, "quality"), {
        row["image"]: tuple(
            tuple(zip(*((point["seconds"], point["psnr"]) for point in given if point["image"] == row["image"]), strict=True))
            for given in points.values()
        )
        for row in table
    })  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
