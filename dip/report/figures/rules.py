"""How far each stopping rule stays below the best image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dip.report.figures.sheet import COLORS, INK, files, sheet


def gap_dots(path: str | os.PathLike[str], gaps: Mapping[str, Sequence[float]]) -> list[Path]:
    """A row of dots for each rule, one dot a run, with the mean as a bar; the best rule on top.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        gaps: by rule, dB below the best recorded image of each run, >= 0 but for rounding and means of two images.
    """
    names = sorted(gaps, key=lambda name: float(np.mean(gaps[name])), reverse=True)
    with sheet(path, (6.0, 0.9 + 0.38 * len(names))) as figure:
        axes = figure.subplots()
        for row, name in enumerate(names):
            values = np.sort(np.asarray(gaps[name], dtype=np.float64))
            # Dots of equal gaps would hide each other: they are moved up and down in turn.
            lift = 0.14 * (np.arange(len(values)) % 3 - 1)
            axes.plot(values, row + lift, "o", color=COLORS[0], ms=4, alpha=0.55, mew=0)
            axes.plot([values.mean()] * 2, [row - 0.32, row + 0.32], color=INK, lw=2)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("dB below the best image of the run (dots: runs, bar: mean)")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xticks(ticks := [-0.1, 0, 0.1, 0.3, 1, 3], [f"{tick:g}" for tick in ticks])
        axes.grid(True, axis="x")
    return files(path)
