"""Figures that compare methods: the gaps of the stopping rules, and PSNR against time of two settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from dip.report.figures.sheet import COLORS, DASHED, INK, files, sheet

Curve = tuple[ArrayLike, ArrayLike]


def gap_dots(path: str | os.PathLike[str], gaps: Mapping[str, Sequence[float]]) -> list[Path]:
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


def quality_curves(path: str | os.PathLike[str], pairs: Mapping[str, tuple[Curve, Curve]]) -> list[Path]:
    """A panel for each image: PSNR against seconds of slow and fast settings; a line 0.1 dB below the slow maximum.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        pairs: image -> (slow, fast), each (seconds, PSNR in dB).
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
    return files(path)
