"""Curves of many runs in one plot: Figure 3 of the report, and PSNR in the same form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dip.report.figures.curves import spans_decades, trend
from dip.report.figures.sheet import COLORS, DASHES, DOT, INK, files, fit_steps, log_values, sheet, step_axis

_LEGEND_INSIDE, _LEGEND_MOST = 6, 24  # entries: up to 6 inside the plot, up to 24 beside it, the rest only counted
_PANELS_IN_A_ROW = 4


@dataclass(frozen=True)
class Line:
    """One curve of an overlay. Lines with the same label are repeats of one experiment with different seeds.

    Args:
        label: the experiment, for the legend.
        values: one for each of `steps`; None and NaN are left out.
        steps: ascending, >= 1; default 1, 2, 3, ...
        best_step: the step of a marker; None for no marker.
        panel: title of the panel, if there are several side by side.
    """

    label: str
    values: ArrayLike
    steps: ArrayLike | None = None
    best_step: int | None = None
    panel: str = ""


def overlay(
    path: Path, lines: Sequence[Line], unit: str, legend: str | None = None, order: Sequence[str] = ()
) -> list[Path]:
    """Loss (Figure 3 of the report) or PSNR against step, one colour per label, with a marker at each `best_step`.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        lines: the curves, in the order of their colours and of the legend.
        unit: label of the y axis; the axis of "loss" can be logarithmic.
        legend: title of the legend.
        order: all labels of several plots, some of which may lack some labels, for the same colours in all plots.
    """
    labels = list(dict.fromkeys(line.label for line in lines))
    panels = list(dict.fromkeys(line.panel for line in lines)) or [""]
    outside = len(labels) > _LEGEND_INSIDE or len(panels) > 1
    columns = min(len(panels), _PANELS_IN_A_ROW)
    rows = -(-len(panels) // columns)
    side = 3.8 if rows == 1 else 2.6
    with sheet(path, (side * columns + 3.8 / rows if outside else 6.0, side * rows)) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        row = list(grid.flat)[: len(panels)]
        for axes in list(grid.flat)[len(panels) :]:
            axes.remove()
        for axes, panel in zip(row, panels, strict=True):
            step_axis(axes)
            axes.set_title(panel, loc="left", color=INK)
        for axes in grid[:, 0]:
            axes.set_ylabel(unit)
        for number, label in enumerate(order or labels):
            for axes, panel in zip(row, panels, strict=True) if label in labels else ():
                _draw_group(axes, number, label, [x for x in lines if (x.label, x.panel) == (label, panel)])
        limits = np.array([axes.dataLim.get_points() for axes in row])  # (panels, 2, 2); infinite if nothing is drawn
        steps, values = (limits[..., axis][np.isfinite(limits[..., axis])] for axis in (0, 1))
        for axes in row:
            fit_steps(axes, steps)
            if unit == "loss" and spans_decades(values):
                log_values(axes)
        _draw_legend(figure, row[0], outside, legend)
    return files(path)


def _draw_group(axes: Axes, number: int, label: str, group: Sequence[Line]) -> None:
    """Draw the repeats of one experiment thin and their mean bold."""
    style = {"color": COLORS[number % len(COLORS)], "ls": DASHES[number // len(COLORS) % len(DASHES)], "lw": 1.6}
    curves = [(line, *trend(line.values, line.steps)) for line in group]
    curves = [(line, step, value) for line, step, value in curves if len(step)]
    label += f" ({len(curves)} runs)" if len(curves) > 1 else ""
    if not curves:
        axes.plot([], [], label=label, **style)
        return
    at = min((step for _, step, _ in curves), key=lambda step: float(step[-1]))  # of the shortest run
    mean = np.mean([np.interp(np.log(at), np.log(step), value) for _, step, value in curves], axis=0)
    if len(curves) > 1:
        for _, step, value in curves:
            axes.plot(step, value, color=style["color"], lw=0.6, alpha=0.45)
    axes.plot(at, mean, label=label, marker="o" if len(at) == 1 else "", **style)
    for line, step, value in curves:
        if line.best_step:
            height = np.interp(np.log(line.best_step), np.log(step), value)
            axes.plot([line.best_step], [height], "o", color=style["color"], **DOT)


def _draw_legend(figure: Figure, axes: Axes, outside: bool, title: str | None) -> None:
    """The labels, in the order in which the curves were drawn."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles or labels == ["all runs"]:  # one curve needs no label
        return
    curves, texts = handles[:_LEGEND_MOST], labels[:_LEGEND_MOST]
    if more := len(handles) - len(curves):
        curves.append(axes.plot([], [], ls="none")[0])
        texts.append(f"and {more} more")
    if outside:
        figure.legend(curves, texts, loc="outside right upper", title=title, alignment="left")
    else:
        axes.legend(curves, texts, loc="best", title=title, alignment="left")
