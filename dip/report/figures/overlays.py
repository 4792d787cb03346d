"""Curves of many runs in one plot: Figure 3 of the report, and PSNR in the same form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dip.report.figures.curves import envelope, spans_decades
from dip.report.figures.sheet import (
    COLORS,
    DASHES,
    INK,
    LOSS_LABEL,
    files,
    fit_steps,
    log_values,
    say_nothing,
    sheet,
    step_axis,
)

_LEGEND_INSIDE, _LEGEND_MOST = 6, 24  # entries; more than that stand beside the plot, or are only counted


@dataclass(frozen=True)
class Line:
    """One curve of an overlay. Lines with the same label are repeats of one experiment (seeds).

    Args:
        label: what sets the experiment apart, for the legend.
        values: one per step of `steps`; None and NaN are left out.
        steps: rising, >= 1; default 1, 2, 3, ...
        best_step: where to put a marker; None for none.
        panel: the title of the plot that it belongs to, where there are several side by side.
    """

    label: str
    values: ArrayLike
    steps: ArrayLike | None = None
    best_step: int | None = None
    panel: str = ""


def losses_overlay(
    path: str | os.PathLike[str], lines: Sequence[Line], title: str | None = None, legend: str | None = None
) -> list[Path]:
    """Figure 3 of the report: loss against step, one colour per label; `legend` heads the list of labels."""
    return _overlay(path, lines, LOSS_LABEL, title, legend)


def psnr_overlay(
    path: str | os.PathLike[str], lines: Sequence[Line], title: str | None = None, legend: str | None = None
) -> list[Path]:
    """PSNR in dB against step, one colour per label, a marker at each line's `best_step`."""
    return _overlay(path, lines, "PSNR (dB)", title, legend)


def _overlay(
    path: str | os.PathLike[str], lines: Sequence[Line], unit: str, title: str | None, legend: str | None
) -> list[Path]:
    labels = list(dict.fromkeys(line.label for line in lines))
    panels = list(dict.fromkeys(line.panel for line in lines)) or [""]
    outside = len(labels) > _LEGEND_INSIDE or len(panels) > 1
    with sheet(path, (3.8 * (len(panels) + 1) if outside else 6.0, 3.8)) as figure:
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            step_axis(axes)
            axes.set_title(panel or title or "", loc="left", color=INK)
        row[0].set_ylabel(unit)
        ends = []
        for number, label in enumerate(labels):
            here = [[x for x in lines if (x.label, x.panel) == (label, panel)] for panel in panels]
            last = [_draw_group(axes, number, label, group) for axes, group in zip(row, here, strict=True)]
            ends.append(next((end for end in last if not np.isnan(end)), np.nan))
        steps, values = (np.concatenate(parts) for parts in zip(*map(_drawn, row), strict=True))
        for axes in row:
            if len(values):
                fit_steps(axes, steps)
            else:
                say_nothing(axes)
            if unit == LOSS_LABEL and spans_decades(values):
                log_values(axes)
        _draw_legend(figure, row[0], ends, outside, legend)
    return files(path)


def _draw_group(axes: Axes, number: int, label: str, group: Sequence[Line]) -> float:
    """Draws the repeats of one experiment thin and their mean bold; returns the mean's last value (NaN if empty)."""
    color = COLORS[number % len(COLORS)]
    dashes = DASHES[number // len(COLORS) % len(DASHES)]
    curves = [(line, envelope(line.values, line.steps)) for line in group]
    curves = [(line, curve) for line, curve in curves if len(curve)]
    label += f" ({len(curves)} runs)" if len(curves) > 1 else ""
    if not curves:
        axes.plot([], [], color=color, ls=dashes, label=label)
        return float("nan")
    shortest = min((curve for _, curve in curves), key=lambda curve: float(curve.step[-1]))
    at = shortest.step
    mean = np.mean([np.interp(np.log(at), np.log(curve.step), curve.smooth) for _, curve in curves], axis=0)
    if len(curves) > 1:
        for _, curve in curves:
            axes.plot(curve.step, curve.smooth, color=color, lw=0.6, alpha=0.45)
    axes.plot(at, mean, color=color, ls=dashes, lw=1.6, label=label)
    for line, curve in curves:
        if line.best_step:
            height = np.interp(np.log(line.best_step), np.log(curve.step), curve.smooth)
            axes.plot([line.best_step], [height], "o", color=color, ms=5, mec="white", mew=0.8, zorder=5)
    return float(mean[-1])


def _draw_legend(figure: Figure, axes: Axes, ends: Sequence[float], outside: bool, title: str | None) -> None:
    """Lists the labels in the order of the lines' right ends, so that the eye need not search."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    order = sorted(range(len(handles)), key=lambda number: -np.nan_to_num(ends[number], nan=-np.inf))
    shown = order[:_LEGEND_MOST]
    handles, labels = [handles[number] for number in shown], [labels[number] for number in shown]
    if len(order) > len(shown):
        handles.append(axes.plot([], [], ls="none")[0])
        labels.append(f"and {len(order) - len(shown)} more")
    if outside:
        figure.legend(handles, labels, loc="outside right upper", title=title, alignment="left")
    else:
        axes.legend(handles, labels, loc="best", title=title, alignment="left")


def _drawn(axes: Axes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and values of all that is drawn."""
    points = [np.asarray(line.get_xydata(), dtype=np.float64).reshape(-1, 2) for line in axes.lines]
    joined = np.concatenate([np.empty((0, 2)), *points])
    return joined[:, 0], joined[:, 1]
