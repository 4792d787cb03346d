"""Curves against the step: the loss and PSNR of one run, and of many runs overlaid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dip.curves import envelope, spans_decades
from dip.figures.sheet import COLORS, DASHES, INK, MUTED, files, log_values, sheet, step_axis

_LEGEND_INSIDE, _LEGEND_MOST = 6, 24  # entries; more than that stand beside the plot, or are only counted
LOSS_LABEL = "loss (mean squared error)"


@dataclass(frozen=True)
class Line:
    """One curve of an overlay. Lines with the same label are repeats of one experiment (seeds).

    Args:
        label: what sets the experiment apart, for the legend.
        values: one per step of `steps`; None and NaN are left out.
        steps: rising, >= 1; default 1, 2, 3, ...
        best_step: where to put a marker; None for none.
    """

    label: str
    values: ArrayLike
    steps: ArrayLike | None = None
    best_step: int | None = None


def loss_curve(
    path: str | os.PathLike[str], losses: ArrayLike, events: Sequence[tuple[int, str]] = ()
) -> list[Path]:
    """The loss of every step of one run: its range as a pale band, its trend as a line.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        losses: (steps,), mean squared error, index 0 is step 1; values that are not finite are left out.
        events: (step, a few words) for what happened on the way, such as `(1740, "stopped")`.
    """
    curve = envelope(losses)
    with sheet(path, (6.0, 3.6)) as figure:
        axes = figure.subplots()
        step_axis(axes)
        axes.set_ylabel(LOSS_LABEL)
        axes.fill_between(
            curve.step, curve.low, curve.high, color=COLORS[0], alpha=0.25, lw=0.6, label="every step"
        )
        axes.plot(curve.step, curve.smooth, color=COLORS[0], lw=1.6, label="trend")
        if spans_decades(curve.mean):
            log_values(axes)
        _mark_events(axes, events)
        if len(curve):
            _fit_steps(axes, curve.step)
            axes.legend(loc="best")
        else:
            _say_nothing(axes)
    return files(path)


def psnr_curve(
    path: str | os.PathLike[str],
    steps: ArrayLike,
    psnr: ArrayLike | None,
    psnr_ema: ArrayLike | None,
    best_step: int | None = None,
    restored_step: int | None = None,
    watched: ArrayLike | None = None,
) -> list[Path]:
    """PSNR of one run against its reference, over what the stopping rule watched; each only where it is known.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        steps: (records,), the step of each record.
        psnr: (records,), dB, of the raw output; None or all NaN without a reference.
        psnr_ema: (records,), dB, of the averaged output.
        best_step: the step of the best PSNR, known with hindsight.
        restored_step: the step whose image was kept.
        watched: (records,), the stopping rule's value, in the rule's own unit.

    Returns:
        The paths written; none when there is neither a PSNR nor a watched value to draw.
    """
    at = np.asarray(steps, dtype=np.float64).reshape(-1)
    raw, averaged, rule = (_known(values, at) for values in (psnr, psnr_ema, watched))
    scored, ruled = raw is not None or averaged is not None, rule is not None
    if not (scored or ruled):
        return []
    heights = ([2.4] if scored else []) + ([1.0 if scored else 2.4] if ruled else [])
    with sheet(path, (6.0, 1.2 + sum(heights))) as figure:
        panels = list(
            figure.subplots(
                len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
            )[:, 0]
        )
        for axes in panels:
            step_axis(axes, label=axes is panels[-1])
            if restored_step:
                axes.axvline(restored_step, color=MUTED, lw=1, ls=(0, (4, 2)), zorder=1)
        if scored:
            _draw_psnr(panels[0], at, raw, averaged, best_step)
        if rule is not None:
            axes = panels[-1]
            axes.plot(at, rule, color=COLORS[2], lw=1.2)
            axes.set_ylabel("watched value\n(stopping rule)")
            if spans_decades(rule):
                log_values(axes)
        if restored_step:
            panels[0].plot(
                [], [], color=MUTED, lw=1, ls=(0, (4, 2)), label=f"restored image, step {restored_step:,}"
            )
        if panels[0].get_legend_handles_labels()[0]:
            panels[0].legend(loc="best")
        _fit_steps(panels[-1], at)
    return files(path)


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
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.label, []).append(line)
    outside = len(groups) > _LEGEND_INSIDE
    with sheet(path, (7.6 if outside else 6.0, 3.8)) as figure:
        axes = figure.subplots()
        step_axis(axes)
        axes.set_ylabel(unit)
        ends = [_draw_group(axes, number, group) for number, group in enumerate(groups.values())]
        drawn = np.concatenate(
            [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines] or [[]]
        )
        if len(drawn) == 0:
            _say_nothing(axes)
        elif "loss" in unit and spans_decades(drawn):
            log_values(axes)
        if len(drawn):
            _fit_steps(
                axes, np.concatenate([np.asarray(line.get_xdata(), dtype=np.float64) for line in axes.lines])
            )
        if title:
            axes.set_title(title, loc="left", color=INK)
        _draw_legend(figure, axes, ends, outside, legend)
    return files(path)


def _draw_group(axes: Axes, number: int, group: Sequence[Line]) -> float:
    """Draws the repeats of one experiment thin and their mean bold; returns the mean's last value (NaN if empty)."""
    color = COLORS[number % len(COLORS)]
    dashes = DASHES[number // len(COLORS) % len(DASHES)]
    curves = [(line, envelope(line.values, line.steps)) for line in group]
    curves = [(line, curve) for line, curve in curves if len(curve)]
    label = group[0].label + (f" ({len(curves)} runs)" if len(curves) > 1 else "")
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


def _draw_psnr(
    axes: Axes,
    at: NDArray[np.float64],
    raw: NDArray[np.float64] | None,
    averaged: NDArray[np.float64] | None,
    best_step: int | None,
) -> None:
    axes.set_ylabel("PSNR (dB)")
    if raw is not None:
        axes.plot(at, raw, color=COLORS[5], lw=1.0, label="output")
    if averaged is not None:
        axes.plot(at, averaged, color=COLORS[0], lw=1.7, label="averaged output")
    curve = averaged if averaged is not None else raw
    if curve is None or best_step is None or best_step not in at:
        return
    best = float(curve[at == best_step][0])
    text = f"best, {best:.2f} dB at step {best_step:,}"
    axes.plot([best_step], [best], "o", color=COLORS[1], ms=6, mec="white", mew=1, zorder=5, label=text)


def _mark_events(axes: Axes, events: Sequence[tuple[int, str]]) -> None:
    for number, (step, text) in enumerate(events):
        axes.axvline(step, color=MUTED, lw=0.9, ls=(0, (4, 2)), zorder=1)
        # Neighbouring events would write over each other: every other one starts lower.
        height = 0.98 - 0.08 * (number % 3)
        axes.annotate(
            text, (step, height), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
            ha="right", va="top", fontsize=8, color=MUTED, bbox={"fc": "white", "ec": "none", "pad": 0.5},
        )  # fmt: skip


def _known(values: ArrayLike | None, at: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """`values` as floats, or None when there is not one finite number among them."""
    if values is None:
        return None
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    assert numbers.shape == at.shape, (numbers.shape, at.shape)
    return numbers if np.isfinite(numbers).any() else None


def _fit_steps(axes: Axes, steps: NDArray[np.float64]) -> None:
    first, last = float(np.min(steps)), float(np.max(steps))
    axes.set_xlim(max(first, 1) / 1.05, max(last, 2 * first) * 1.08)


def _say_nothing(axes: Axes) -> None:
    axes.set_xlim(1, 10)
    axes.text(
        0.5, 0.5, "no finite value yet", transform=axes.transAxes, ha="center", va="center", color=MUTED
    )
