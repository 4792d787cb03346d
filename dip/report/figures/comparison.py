"""The gaps of the stopping rules."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dip.report.figures.sheet import COLORS, INK, files, sheet


def gap_dots(path: Path, gaps: Mapping[str, Sequence[float]]) -> list[Path]:
    """A row for each stopping rule: a dot for each run and a bar at the mean; the rule with the lowest mean on top.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        gaps: rule -> dB below the best recorded image of each run. Averages of two images can be slightly below 0.
    """
    names = sorted(gaps, key=lambda name: float(np.mean(gaps[name])), reverse=True)
    with sheet(path, (6.0, 0.9 + 0.38 * len(names))) as figure:
        axes = figure.subplots()
        for row, name in enumerate(names):
            values = np.sort(np.asarray(gaps[name], dtype=np.float64))
            lift = 0.14 * (np.arange(len(values)) % 3 - 1)  # keeps dots with equal gaps visible
            axes.plot(values, row + lift, "o", color=COLORS[0], ms=4, alpha=0.55, mew=0)
            axes.plot([values.mean()] * 2, [row - 0.32, row + 0.32], color=INK, lw=2)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("dB below the best image of the run (dots: runs, bar: mean)")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xticks(ticks := [-0.1, 0, 0.1, 0.3, 1, 3], [f"{tick:g}" for tick in ticks])
        axes.grid(True, axis="x")
    return files(path)
