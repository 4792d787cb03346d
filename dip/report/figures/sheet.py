"""What all figures share: look, colours, step axis, and how a figure gets into its files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

DPI = 150
LOSS_LABEL = "loss (mean squared error)"
BOTH = ("png", "svg")
INK, MUTED, HAIRLINE = "#1a1a1a", "#5f6368", "#e3e5e8"
# The palette of Okabe and Ito, told apart with any colour vision; without its yellow, too pale for a line on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))

_LOOK: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "text.parse_math": False,  # labels hold file names, where a dollar is a dollar
    "svg.hashsalt": "dip",  # the same figure gives the same file
}


@contextmanager
def sheet(
    path: str | os.PathLike[str], size: tuple[float, float], formats: Sequence[str] = BOTH
) -> Iterator[Figure]:
    """A figure of `size` inches, written to `path` with the suffix of each format when the block ends."""
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for target in files(path, formats):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.part")
            kind = target.suffix[1:]
            figure.savefig(partial, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
            os.replace(partial, target)


def files(path: str | os.PathLike[str], formats: Sequence[str] = BOTH) -> list[Path]:
    """The files of a figure: `path`, whatever its suffix, with the suffix of each format."""
    return [Path(path).with_suffix(f".{kind}") for kind in formats]


def step_axis(axes: Axes, label: bool = True) -> None:
    """A logarithmic x axis that counts steps: 1, 10, 100, 1,000."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.xaxis.set_minor_locator(LogLocator(base=10, subs=range(2, 10), numticks=12))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major")
    if label:
        axes.set_xlabel("step (logarithmic)")


def log_values(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2, 5 of each decade, so that one decade has more than one tick."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    wide = high > 3e3 * low
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def fit_steps(axes: Axes, steps: NDArray[np.float64]) -> None:
    """Ends the step axis where the curves end."""
    first, last = float(np.min(steps)), float(np.max(steps))
    axes.set_xlim(max(first, 1) / 1.05, max(last, 2 * first) * 1.08)


def say_nothing(axes: Axes) -> None:
    """What stands in a plot of a run that has no number to show yet."""
    axes.set_xlim(1, 10)
    axes.text(
        0.5, 0.5, "no finite value yet", transform=axes.transAxes, ha="center", va="center", color=MUTED
    )
