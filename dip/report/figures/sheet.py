"""What all figures share: style, colours, axes, and writing the files."""

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
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

DPI = 150
BOTH = ("png", "svg")
INK, MUTED, HAIRLINE = "#1a1a1a", "#5f6368", "#e3e5e8"
# The palette of Okabe and Ito, distinguishable with any colour vision; without its yellow, too pale on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
DASHED: dict[str, Any] = {"color": MUTED, "lw": 0.9, "ls": (0, (4, 2)), "zorder": 1}
"""The line style of marked steps and levels."""
DOT: dict[str, Any] = {"ms": 5.5, "mec": "white", "mew": 0.9, "zorder": 5}
"""The marker of the best step."""

_STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.labelsize": 9, "axes.titlesize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "axes.labelcolor": INK, "axes.edgecolor": MUTED, "axes.linewidth": 0.7, "xtick.color": MUTED, "ytick.color": MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "grid.color": HAIRLINE, "grid.linewidth": 0.7,
    "legend.frameon": False, "legend.fontsize": 8, "legend.title_fontsize": 8,
    "text.parse_math": False,  # labels may contain file names with dollar signs
    "svg.hashsalt": "dip",  # equal figures give equal files
}  # fmt: skip


@contextmanager
def sheet(path: Path, size: tuple[float, float], formats: Sequence[str] = BOTH) -> Iterator[Figure]:
    """A figure of `size` inches, written to `path` with the suffix of each format when the block ends.

    Each file is replaced as a whole.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for target in files(path, formats):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.part")
            kind = target.suffix[1:]
            figure.savefig(partial, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
            os.replace(partial, target)


def files(path: Path, formats: Sequence[str] = BOTH) -> list[Path]:
    """The files of a figure: `path` with the suffix of each format."""
    return [path.with_suffix(f".{kind}") for kind in formats]


def step_axis(axes: Axes, label: bool = True) -> None:
    """A logarithmic x axis for steps: 1, 10, 100, 1,000."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major")
    if label:
        axes.set_xlabel("step (logarithmic)")


def log_values(axes: Axes) -> None:
    """A logarithmic y axis with ticks at 1, 2, 5 of each decade, for at least two ticks within one decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = (1.0,) if high > 3e3 * low else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def fit_steps(axes: Axes, steps: ArrayLike) -> None:
    """Ends the step axis at the ends of the curves; writes a note if there is no curve."""
    if np.size(steps):
        first, last = float(np.min(steps)), float(np.max(steps))
        axes.set_xlim(max(first, 1) / 1.05, max(last, 2 * first) * 1.08)
    else:
        axes.set_xlim(1, 10)
        place = axes.transAxes
        axes.text(0.5, 0.5, "no finite value yet", transform=place, ha="center", va="center", color=MUTED)
