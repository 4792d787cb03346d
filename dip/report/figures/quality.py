"""PSNR against time: what a faster way is worth."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from dip.report.figures.sheet import COLORS, MUTED, files, sheet

Curve = tuple[ArrayLike, ArrayLike]


def quality_curves(path: str | os.PathLike[str], pairs: Mapping[str, tuple[Curve, Curve]]) -> list[Path]:
    """A panel for each image: PSNR over seconds of the slow and of the fast way, and the slow one's best less 0.1 dB.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        pairs: by image, (slow, fast), each (seconds, PSNR in dB).
    """
    with sheet(path, (2.6 * len(pairs) + 0.6, 2.7)) as figure:
        panels = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axes, (name, (slow, fast)) in zip(panels, sorted(pairs.items()), strict=True):
            for (seconds, psnr), color, label in (
                (slow, COLORS[1], "the paper's settings, plain"),
                (fast, COLORS[0], "fast"),
            ):
                axes.plot(seconds, psnr, color=color, lw=1.6, label=label)
            wanted = float(np.nanmax(np.asarray(slow[1], dtype=np.float64))) - 0.1
            axes.axhline(wanted, color=MUTED, lw=0.9, ls=(0, (4, 2)))
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
